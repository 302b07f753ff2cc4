"""Training: a stream of packed features, Keras' fit with early stopping, the best weights and the learning curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mainstay import keras
from mainstay.core import ModelError, Progress, track, write_json
from mainstay.io import ArrowFile
from mainstay.pipeline.components.features import Array, Feature, unpack
from mainstay.pipeline.components.label import Label
from mainstay.pipeline.components.model import build_model, compile_model, standardised
from mainstay.pipeline.components.transform import read_problem

PATIENCE = 5
WEIGHTS = "model.weights.h5"
WINDOW = 8
"""How many record batches are shuffled together; their order is shuffled as a whole."""


def batch_size_for(rows: int) -> int:
    """Return the batch size for a training set: a power of two from 32 to 2,048, about a hundred steps an epoch."""
    return int(2 ** np.clip(np.round(np.log2(max(rows, 1) / 100)), 5, 11))


class FeatureStream(keras.utils.PyDataset):
    """Packed features from disk in batches, shuffled anew in each epoch, with memory for a few record batches only.

    Args:
        path: A file of `transform` with the columns ``numbers``, ``ids`` and ``label``.
        batch_size: Rows in a batch; the last one may be shorter.
        seed: Chooses the order; None keeps the file's.
        problem: Where given, batches come as a dict of columns by feature with labels in their own unit, else as the
            two matrices with standardised labels.
    """

    def __init__(
        self, path: Path, *, batch_size: int, seed: int | None, problem: tuple[Sequence[Feature], Label] | None = None
    ) -> None:
        super().__init__()
        self._file = ArrowFile(path)
        self._batch_size = batch_size
        self._seed = seed
        self._problem = problem
        self._epoch = 0
        self._rows = [0]
        self._start()

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return -(-self._file.num_rows // self._batch_size)

    def __len__(self) -> int:
        return self.num_batches

    def on_epoch_end(self) -> None:
        """Shuffle anew."""
        self._epoch += 1
        self._start()

    def _start(self) -> None:
        self._source = self._windows()
        self._rest: tuple[Array, ...] | None = None
        self._next = 0

    def _windows(self) -> Any:
        rng = None if self._seed is None else np.random.default_rng([self._seed, self._epoch])
        order = np.arange(self._file.num_batches)
        if rng is not None:
            rng.shuffle(order)
        for start in range(0, len(order), WINDOW):
            parts = [_matrices(self._file.read(int(index))) for index in order[start : start + WINDOW]]
            window = tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
            if rng is not None:
                mixed = rng.permutation(len(window[0]))
                window = tuple(array[mixed] for array in window)
            yield window

    def __getitem__(self, index: int) -> Any:
        if index != self._next:
            self._start()
            for _ in range(index):
                self._take()
        numbers, ids, label = self._take()
        if self._problem is None:
            return (numbers, ids), label
        features, target = self._problem
        own_unit = label * target.std + target.mean if target.task == "regression" else label
        return unpack(features, numbers, ids), own_unit

    def _take(self) -> tuple[Array, ...]:
        self._next += 1
        have = self._rest
        while have is None or len(have[0]) < self._batch_size:
            more = next(self._source, None)
            if more is None:
                break
            have = more if have is None else tuple(np.concatenate(pair) for pair in zip(have, more, strict=True))
        if have is None or not len(have[0]):
            raise IndexError("the stream has no more batches")
        self._rest = tuple(array[self._batch_size :] for array in have)
        return tuple(array[: self._batch_size] for array in have)


def _matrices(batch: Any) -> tuple[Array, Array, Array]:
    rows = batch.num_rows
    numbers, ids = (
        batch.column(name)
        .flatten()
        .to_numpy(zero_copy_only=False)
        .reshape(rows, batch.schema.field(name).type.list_size)
        for name in ("numbers", "ids")
    )
    return numbers, ids, batch.column("label").to_numpy(zero_copy_only=False)


class _Packed(keras.Model):
    """A model of named features as one of two matrices: the same weights, a fraction of the cost of a step."""

    def __init__(self, inner: Any, features: Sequence[Feature]) -> None:
        super().__init__()
        self.inner = inner
        self._columns = tuple(features)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.inner(unpack(self._columns, *inputs), training=training)


class _Report(keras.callbacks.Callback):
    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._note = ""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._progress.advance(note=self._note)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        self._note = f"epoch {epoch + 1}, loss {logs.get('loss', 0):.4g}, validation {logs.get('val_loss', 0):.4g}"
        self._progress.advance(0, note=self._note)


def fit(data: Path, *, epochs: int, seed: int, reference: str | None) -> tuple[Any, dict[str, list[float]]]:
    """Train the model of a run and return it with its learning curve.

    Args:
        data: The folder of `transform`: ``train.arrow`` and ``validation.arrow``, and what their columns mean.
        epochs: The most epochs; training stops when the validation loss has not improved for five.
        seed: Chooses the initial weights and the order of the rows.
        reference: The user's model function, or None for the default model.

    Returns:
        The model with the weights of its best epoch, and the values per epoch of loss, val_loss and learning_rate.

    Raises:
        ModelError: The loss is not finite, or the user's model is wrong.
    """
    keras.utils.set_random_seed(seed)
    features, label = read_problem(data)
    model = build_model(features, label, reference=reference)
    rows = ArrowFile(data / "train.arrow").num_rows
    compiled = (features, label) if model.compiled else None
    trained = model if model.compiled else _Packed(standardised(model, label), features)
    if not model.compiled:
        compile_model(trained, label)
    size = batch_size_for(rows)
    stream = FeatureStream(data / "train.arrow", batch_size=size, seed=seed, problem=compiled)
    validation = FeatureStream(data / "validation.arrow", batch_size=max(size, 256), seed=None, problem=compiled)
    with track("Training", total=epochs * len(stream), unit="steps") as progress:
        history = trained.fit(
            stream,
            validation_data=validation,
            epochs=epochs,
            verbose=0,
            shuffle=False,
            callbacks=[
                keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True),
                keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.3, min_lr=1e-5),
                keras.callbacks.TerminateOnNaN(),
                _Report(progress),
            ],
        )
    curve = {name: [float(value) for value in values] for name, values in history.history.items()}
    if not np.isfinite(curve["loss"]).all():
        raise ModelError(
            "training diverged: the loss is not a number",
            where=f"epoch {len(curve['loss'])}",
            fix="look for wild values in the columns, or give a model of your own with a smaller learning rate",
        )
    return model, curve


def save_trained(model: Any, curve: dict[str, list[float]], *, folder: Path) -> None:
    """Write ``model.weights.h5`` and ``history.json`` into `folder`.

    The weights alone: a whole ``.keras`` file holds the time of day, and equal weights would never be equal files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.save_weights(folder / WEIGHTS)
    write_json(folder / "history.json", curve)
