"""A `mainstay.data.Dataset` as the input of `fit`, `evaluate` and `predict`, with a place to go on from at every step.

Batches go straight from the pipeline's threads to the step: nobody else writes into them, so they are not copied. On an
accelerator two are on their way while a third is in use; the place is that of the last batch that was handed out.
"""

from __future__ import annotations

import functools
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import keras
import numpy as np
from keras.src.trainers import data_adapters
from keras.src.trainers.data_adapters import data_adapter_utils
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from mainstay.core import ArgumentError, DataError
from mainstay.data import INFINITE_CARDINALITY, Chunk, ChunkIterator, Dataset, Place
from mainstay.io import Ragged

_AHEAD = 2


class Batches(Iterator[Any]):
    """One pass over a dataset of batches; it begins when the first batch is asked for.

    Args:
        dataset: The dataset.
        class_weight: The weight of each class, or None; a batch then gets weights for its rows.
        ahead: How many batches are brought to the device before they are asked for; 0 leaves them on the host.
        state: Where to begin; None for the beginning of the next pass.
    """

    def __init__(
        self, dataset: Dataset, class_weight: Mapping[int, float] | None, ahead: int, state: bytes | None = None
    ) -> None:
        self.delivered = 0
        self.is_resumed = state is not None
        self.wait_seconds = 0.0
        self._dataset, self._class_weight, self._ahead = dataset, class_weight, ahead
        self._given = state
        self._chunks: ChunkIterator | None = None
        self._chunk, self._used = Chunk(0, (), 0), 0
        self._rows: Iterator[Any] = iter(())
        self._waiting: deque[tuple[Any, Place | None]] = deque()
        self._last: Any = None
        self._place: Place | None = None
        self._before: Place | None = None

    def __next__(self) -> Any:
        if not self._waiting and not self.has_next():
            raise StopIteration
        self._before = self._place
        self._last, self._place = self._waiting.popleft()
        self.delivered += 1
        if self._ahead:
            self.has_next()
        return self._last

    def has_next(self) -> bool:
        """Return whether there is a further batch; waits for it."""
        while len(self._waiting) <= self._ahead and (self._used < self._chunk.length or self._advance()):
            batch = self._weighted(next(self._rows))
            self._used += 1
            place = self._opened().place_in(self._chunk, self._used) if self._ahead else None
            self._waiting.append((jax.device_put(batch) if self._ahead else batch, place))
        return bool(self._waiting)

    def several(self, count: int) -> Any:
        """Return the next batches as one structure of arrays ``[count, batch, ...]``, if they lie together.

        Where they do not, nothing is taken, and None is returned.
        """
        if self._ahead or self._class_weight is not None or not self.has_next():
            return None
        start = self._used - len(self._waiting)
        if start + count > self._chunk.length or len(self._waiting) > 1:
            return None
        if not all(isinstance(column, np.ndarray) for column in self._chunk.columns):
            return None  # batches of different sizes
        self._waiting.clear()
        for _ in range(start + count - self._used):
            next(self._rows)
        self._used = start + count
        self.delivered += count
        return self._chunk.cut(start, self._used).structure

    def peek(self) -> Any:
        """Return the batch that comes next without taking it; None at the end."""
        return self._waiting[0][0] if self.has_next() else None

    def put_back(self) -> None:
        """Let the batch that was handed out last be the next one again; it is, at most once in a row."""
        self._waiting.appendleft((self._last, self._place))
        self._place = self._before
        self.delivered -= 1

    def state(self) -> bytes:
        """Return the place after the batch that was handed out last."""
        chunks = self._opened()
        if self._ahead:
            return (self._place or self._begun).to_bytes()
        if not self._chunk.length:
            return chunks.place().to_bytes()
        return chunks.place_in(self._chunk, self._used - len(self._waiting)).to_bytes()

    def close(self) -> None:
        """Give back what the pass holds."""
        self._waiting.clear()
        self._rows, self._chunk, self._used = iter(()), Chunk(0, (), 0), 0
        if self._chunks is not None:
            self._chunks.close()

    def _opened(self) -> ChunkIterator:
        if self._chunks is None:
            self._chunks = self._dataset.iterate_chunks(self._given)
            self._begun = self._chunks.place()
        return self._chunks

    def _advance(self) -> bool:
        """Go on to the next batches that lie together; return whether there are some."""
        start = time.perf_counter()
        chunk = self._opened().piece()
        if chunk is None:
            return False
        self._chunk, self._used = Chunk(chunk.skeleton, tuple(map(_checked, chunk.columns)), chunk.length), 0
        self._rows = self._chunk.rows()
        self.wait_seconds += time.perf_counter() - start
        return True

    def _weighted(self, batch: Any) -> Any:
        if self._class_weight is None:
            return batch
        x, y, sample_weight = data_adapter_utils.unpack_x_y_sample_weight(batch)
        if sample_weight is not None:
            raise ArgumentError("class_weight is given, and the dataset has sample weights too", where="class_weight")
        if y is None:
            raise ArgumentError("class_weight is given, and the dataset has no labels", where="class_weight")
        return x, y, data_adapter_utils.class_weight_to_sample_weights(y, self._class_weight)


def _checked(column: Any) -> Any:
    """Return a column of batches if a step can take them.

    Raises:
        DataError: It holds strings or lists of different lengths, or integers that the device would change.
    """
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        is_wide = column.dtype.kind in "iu" and column.dtype.itemsize == 8 and column.size
        return _narrowed(column) if is_wide else column
    values = getattr(column, "rows", None)
    if values is not None and all(isinstance(value, np.ndarray) and value.dtype.kind != "O" for value in values):
        return type(column)([_checked(value) for value in values])
    if isinstance(column, Ragged) or (values is not None and isinstance(values[0], Ragged)):
        raise DataError(
            "a batch holds lists of different lengths, and a model takes arrays",
            fix="make the batches with padded_batch, or map to_tensor() over them",
        )
    raise DataError(
        "a batch holds strings, and a model takes numbers",
        received=str(column[:1])[:80],
        fix="turn them into numbers in a map, or leave the column out",
    )


def _narrowed(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return integers in the width that JAX holds them in."""
    held: np.dtype[Any] = jax.dtypes.canonicalize_dtype(array.dtype)
    if held == array.dtype:
        return array
    narrow = array.astype(held)
    if not np.array_equal(narrow, array):
        limits = np.iinfo(held)
        wrong = array[narrow != array].reshape(-1)[0]
        raise DataError(
            f"an integer of 64 bits does not fit into the {held} that JAX holds it as",
            expected=f"{limits.min} to {limits.max}",
            received=int(wrong),
            fix='hash or number them first, or call jax.config.update("jax_enable_x64", True) at the start',
        )
    return narrow


class DatasetAdapter(DataAdapter):
    """A dataset as Keras' loops want their input.

    Args:
        dataset: The dataset, of batches.
        class_weight: The weight of each class, or None.
        steps: How many batches an epoch has, or None for all of them.

    Raises:
        ArgumentError: The dataset has no end, and no number of steps is given.
    """

    def __init__(
        self, dataset: Dataset, class_weight: Mapping[int, float] | None = None, steps: int | None = None
    ) -> None:
        self.dataset = dataset
        self.wait_seconds = 0.0
        self._class_weight, self._steps = class_weight, steps
        self._batches: Batches | None = None
        self._resumed_steps = 0
        cardinality = dataset.cardinality()
        self._num_batches = None if cardinality < 0 else cardinality
        if cardinality == INFINITE_CARDINALITY and not steps:
            raise ArgumentError(
                "the dataset has no end",
                expected="a number of steps per epoch",
                fix="pass steps_per_epoch (steps in evaluate and predict, validation_steps for validation), or take()",
            )

    def enumerate(self, epoch: Any) -> Iterator[tuple[int, int, Batches]]:
        """Yield the first and the last step of each call of a step function in an epoch, with the batches.

        Args:
            epoch: Keras' iterator over epochs.
        """
        per_call, total = epoch.steps_per_execution, epoch.steps_per_epoch or self._num_batches
        batches = self._begin(goes_on=bool(epoch.steps_per_epoch))
        step, self._resumed_steps = self._resumed_steps, 0
        waited = batches.wait_seconds
        is_first = True
        try:
            while not total or step < total:
                if not batches.has_next():
                    self._say_why_it_ends(epoch, step, is_first)
                    return
                is_first = False
                self.wait_seconds += batches.wait_seconds - waited
                waited = batches.wait_seconds
                yield step, step + per_call - 1, batches
                step += per_call
        except GeneratorExit:
            # Keras looks at one batch to build a model; the epoch then begins with that batch.
            if is_first is False and batches.delivered == 1:
                batches.put_back()
            raise

    def _say_why_it_ends(self, epoch: Any, step: int, is_first: bool) -> None:
        if is_first and step == 0:
            raise DataError("the dataset is empty", received=repr(self.dataset), fix="check what it reads and filters")
        if epoch.steps_per_epoch:
            warnings.warn(
                f"the dataset ended after {step} of {epoch.steps_per_epoch} steps; add repeat() to it",
                stacklevel=2,
            )

    def _begin(self, *, goes_on: bool) -> Batches:
        """Return the pass that an epoch reads: one that was only looked into, one that is to go on, or a new one."""
        batches = self._batches
        if batches is not None:
            is_fresh = batches.delivered == 0 and not batches.is_resumed
            may_go_on = goes_on or (batches.is_resumed and batches.delivered == 0)
            if is_fresh or (may_go_on and batches.has_next()):
                return batches
            batches.close()
        self._batches = self._pass(None)
        return self._batches

    def _pass(self, state: bytes | None) -> Batches:
        is_plain = jax.default_backend() == "cpu" or keras.distribution.distribution() is not None
        return Batches(self.dataset, self._class_weight, 0 if is_plain else _AHEAD, state)

    def peek(self) -> Any:
        """Return the batch that comes next without taking it; None at the end."""
        batches = self._begin(goes_on=False)
        return batches.peek()

    def state(self) -> bytes | None:
        """Return the place after the last step; None before the first."""
        return None if self._batches is None else self._batches.state()

    def is_at_end(self, steps_done: int) -> bool:
        """Return whether an epoch is over after so many steps."""
        if self._steps or self._num_batches is not None:
            return steps_done >= (self._steps or self._num_batches or 0)
        return self._batches is None or not self._batches.has_next()

    def resume(self, state: bytes, steps_done: int) -> None:
        """Go on from a place, in the middle of an epoch of which some steps are done."""
        if self._batches is not None:
            self._batches.close()
        self._batches, self._resumed_steps = self._pass(state), steps_done

    def get_jax_iterator(self) -> Batches:
        """Return the batches of the next pass."""
        return self._begin(goes_on=False)

    def get_numpy_iterator(self) -> Batches:
        """Return the batches of the next pass."""
        return self._begin(goes_on=False)

    @property
    def full_batches(self) -> int:
        """How many batches a pass has at least before one that may be shorter; 0 where that is not known."""
        may_be_short = any(spec.shape[:1] == (None,) for spec in keras.tree.flatten(self.dataset.element_spec))
        return max((self._num_batches or 0) - may_be_short, 0)

    @property
    def num_batches(self) -> int | None:
        """How many batches a pass has, if that is known."""
        return self._num_batches

    @property
    def batch_size(self) -> None:
        """Not known to Keras."""
        return None

    @property
    def has_partial_batch(self) -> None:
        """Not known to Keras."""
        return None

    @property
    def partial_batch_size(self) -> None:
        """Not known to Keras."""
        return None


def install(announce: Callable[[Any], None], validates: Callable[[], bool]) -> None:
    """Let Keras' loops take a dataset.

    Args:
        announce: Called with every adapter that is made, those of arrays included.
        validates: Says whether an adapter is wanted for validation: Keras hands it the batch size of the training.
    """
    original = data_adapters.get_data_adapter

    @functools.wraps(original)
    def get_data_adapter(x: Any, y: Any = None, sample_weight: Any = None, **settings: Any) -> Any:
        if not isinstance(x, Dataset):
            other = original(x, y, sample_weight, **settings)
            announce(other)
            return other
        apart = [name for name, value in (("y", y), ("sample_weight", sample_weight)) if value is not None]
        apart += ["batch_size"] if settings.get("batch_size") is not None and not validates() else []
        if apart:
            raise ArgumentError(
                f"{apart[0]} is given beside a dataset",
                where=apart[0],
                expected="a dataset alone: its elements are (x, y) or (x, y, sample_weight), in batches",
                fix="zip the labels into the dataset" if apart[0] != "batch_size" else "call batch() on the dataset",
            )
        adapter = DatasetAdapter(x, settings.get("class_weight"), settings.get("steps_per_epoch"))
        announce(adapter)
        return adapter

    data_adapters.get_data_adapter = get_data_adapter
