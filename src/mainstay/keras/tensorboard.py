"""`keras.callbacks.TensorBoard`, with Keras' own arguments, tags and folders, and without TensorFlow."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
import weakref
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import jax
import keras
import numpy as np

from mainstay import summary
from mainstay.core import ArgumentError, MainstayError, ModelError
from mainstay.keras.tensorboard_profile import ProfileWindow
from mainstay.keras.training.several_steps import current_dataset

if TYPE_CHECKING:
    from mainstay.keras.tensorboard_embeddings import Projector


class TensorBoard(keras.callbacks.Callback):
    """Records a training for TensorBoard: metrics, weights, the graph, embeddings and a profile.

    Training metrics go to `log_dir/train`, those of validation to `log_dir/validation`. Summaries that the model's own
    code makes with `mainstay.summary` go there too, unless `update_freq` is `"epoch"`; their default step is the
    number of the batch. Where a `mainstay.data.Dataset` is trained on, `epoch_input_wait_seconds` says how long steps
    waited for its batches in an epoch, and `epoch_input_wait_fraction` which part of the epoch that was.

    Args:
        log_dir: The folder to write to; each training wants one of its own.
        histogram_freq: Every how many epochs to record histograms of the weights; 0 for never.
        write_graph: Whether to record the model's graph: its layers, and its operations within them. A subclass of
            `Model` whose inputs' shape is not known has none.
        write_images: Whether to record the weights as images too, with the histograms.
        write_steps_per_second: Whether to record the speed of training, per epoch and, unless `update_freq` is
            `"epoch"`, per batch; the latter waits for each batch.
        update_freq: When to record metrics beside each epoch: `"epoch"`, `"batch"`, or every how many batches.
        profile_batch: Which batches to profile, from 1 on: `0` for none, `5`, `(5, 8)` or `"5,8"`.
        embeddings_freq: Every how many epochs to write the tables of embedding layers; 0 for never.
        embeddings_metadata: A file with a label for each row of a table, or such files by the names of the layers.

    Raises:
        ArgumentError: An argument is wrong.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | Literal["batch", "epoch"] = "epoch",
        profile_batch: int | str | tuple[int, int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = _checked_frequency("histogram_freq", histogram_freq)
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        if self.update_freq != "epoch" and not _checked_frequency("update_freq", self.update_freq):
            raise _frequency_error("update_freq", update_freq)
        self.embeddings_freq = _checked_frequency("embeddings_freq", embeddings_freq)
        self.embeddings_metadata = embeddings_metadata
        # Keras then runs `on_train_batch_end` in a thread, which waits for the metrics in place of the training loop.
        self.async_safe = not (write_steps_per_second and self.update_freq != "epoch")
        self._profile = ProfileWindow(profile_batch)
        self._train_dir = os.path.join(self.log_dir, "train")
        self._val_dir = os.path.join(self.log_dir, "validation")
        self._writers: dict[str, summary.SummaryWriter] = {}
        self._defaults: list[contextlib.ExitStack] = []
        self._projector: Projector | None = None
        self._drawn: weakref.ref[Any] | None = None
        self._train_batch = self._test_batch = 0
        self._batches_before_epoch = 0
        self._is_training = False
        self._batch_start = self._epoch_start = 0.0
        self._iterations_before_epoch = 0
        self._wait_before_epoch = 0.0
        if self.update_freq == "epoch" and not self._profile.first:
            self._leave_batches_alone()

    def _leave_batches_alone(self) -> None:
        """Put Keras' own hooks in the place of those of each batch, unless a subclass has its own.

        Loops go by that: they take several small steps at once where no callback looks at each.
        """
        for hook in ("on_train_batch_begin", "on_train_batch_end", "on_test_batch_begin"):
            if getattr(type(self), hook) is getattr(TensorBoard, hook):
                setattr(self, hook, getattr(keras.callbacks.Callback, hook).__get__(self))

    @property
    def _train_writer(self) -> summary.SummaryWriter:
        return self._writer(self._train_dir)

    @property
    def _val_writer(self) -> summary.SummaryWriter:
        return self._writer(self._val_dir)

    def _writer(self, folder: str) -> summary.SummaryWriter:
        # An event file exists only where there is something to write.
        if folder not in self._writers:
            self._writers[folder] = summary.create_file_writer(folder)
        return self._writers[folder]

    def set_model(self, model: Any) -> None:
        """Take the model, and record its graph once.

        Raises:
            ArgumentError: `embeddings_metadata` does not fit the model.
            StorageError: The folder cannot be written to.
        """
        super().set_model(model)
        self._undo_defaults(0)
        if self.embeddings_freq:
            from mainstay.keras.tensorboard_embeddings import Projector  # loads Arrow

            self._projector = Projector(model, self.log_dir, self.embeddings_metadata)
        if self.write_graph and (self._drawn is None or self._drawn() is not model):
            self._drawn = weakref.ref(model)
            with _recording(self._train_writer, 0):
                _record_graphs(model)

    def on_train_begin(self, logs: Any = None) -> None:
        """Send the model's own summaries to the training's folder."""
        self._undo_defaults(0)
        self._profile.before_training()
        self._train_batch = self._batches_before_epoch = 0
        self._is_training = True
        self._send_summaries_to(self._train_writer, training=True)

    def on_train_end(self, logs: Any = None) -> None:
        """Close the files and the profile.

        Raises:
            StorageError: Something could not be written.
        """
        self._is_training = False
        self._undo_defaults(0)
        if self._profile.is_open:
            self._wait_for_training()
        self._profile.after_training(self._train_batch)
        writers, self._writers = self._writers, {}
        with contextlib.ExitStack() as stack:  # closes each one, also after another has failed
            for writer in writers.values():
                stack.callback(writer.close)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Count the batch, and open or close the profile."""
        number = self._train_batch + 1
        if self.update_freq != "epoch":
            summary.experimental.set_step(number)
        self._train_batch = number
        self._profile.before_batch(number, self._train_dir, self._wait_for_training)
        if self.write_steps_per_second:
            self._batch_start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Record the metrics of the batch, where `update_freq` says so."""
        if self.update_freq == "epoch":
            return  # called for the profile's sake, or by a subclass
        # Other batches may have begun meanwhile, so that the count of these is of no use here.
        number = self._batches_before_epoch + batch // _steps_per_execution(self._model) + 1
        if number % int(self.update_freq):
            return
        values = dict(logs) if isinstance(logs, Mapping) else {}
        with _recording(self._train_writer, number):
            if self.write_steps_per_second:
                summary.scalar("batch_steps_per_second", 1.0 / (time.perf_counter() - self._batch_start))
            for name, value in values.items():
                summary.scalar(f"batch_{name}", value)

    def on_test_begin(self, logs: Any = None) -> None:
        """Send the model's own summaries to the folder of validation."""
        self._send_summaries_to(self._val_writer, training=False)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Count the batch."""
        number = self._test_batch + 1
        if self.update_freq != "epoch":
            summary.experimental.set_step(number)
        self._test_batch = number

    def on_test_end(self, logs: Any = None) -> None:
        """Record the metrics of the evaluation by the number of training steps.

        Raises:
            StorageError: The folder cannot be written to.
        """
        self._undo_defaults(1 if self._is_training and self.update_freq != "epoch" else 0)
        iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
        if iterations is not None:
            with _recording(self._val_writer, iterations):
                for name, value in (logs or {}).items():
                    summary.scalar(f"evaluation_{name}_vs_iterations", value)
        if not self._is_training:
            self._val_writer.flush()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clock of the epoch."""
        self._batches_before_epoch = self._train_batch
        self._epoch_start = time.perf_counter()
        dataset = current_dataset()
        self._wait_before_epoch = 0.0 if dataset is None else dataset.wait_seconds
        if self.write_steps_per_second:
            self._iterations_before_epoch = int(self.model.optimizer.iterations)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Record the metrics of the epoch, and weights and embeddings where they are due.

        Raises:
            StorageError: Something could not be written.
        """
        self._record_metrics(epoch, dict(logs or {}))
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            with _recording(self._train_writer, epoch):
                self._record_weights()
        if self._projector is not None and epoch % self.embeddings_freq == 0:
            self._projector.write()
        for writer in self._writers.values():
            writer.flush()

    def _record_metrics(self, epoch: int, logs: dict[str, Any]) -> None:
        if not logs:
            return
        validation = {name: value for name, value in logs.items() if name.startswith("val_")}
        training = {name: value for name, value in logs.items() if name not in validation}
        training |= _learning_rates(self.model.optimizer)
        if self.write_steps_per_second:
            steps = int(self.model.optimizer.iterations) - self._iterations_before_epoch
            training["steps_per_second"] = steps / (time.perf_counter() - self._epoch_start)
        dataset = current_dataset()
        if dataset is not None:
            waited = dataset.wait_seconds - self._wait_before_epoch
            training["input_wait_seconds"] = waited
            training["input_wait_fraction"] = waited / (time.perf_counter() - self._epoch_start)
        with _recording(self._train_writer, epoch):
            for name, value in training.items():
                summary.scalar(f"epoch_{name}", value)
        if validation:
            with _recording(self._val_writer, epoch):
                for name, value in validation.items():
                    summary.scalar(f"epoch_{name.removeprefix('val_')}", value)

    def _record_weights(self) -> None:
        for layer in self.model.layers:
            for weight in layer.weights:
                name = weight.path.replace(":", "_")
                values = np.asarray(weight.value)
                summary.histogram(f"{name}/histogram", values)
                if self.write_images and (pixels := _as_images(values)) is not None:
                    summary.image(f"{name}/image", pixels)

    def _send_summaries_to(self, writer: summary.SummaryWriter, *, training: bool) -> None:
        """Make a writer the default one, for summaries of the model's own code in batches that are due."""
        if self.update_freq == "epoch":
            return
        stack = contextlib.ExitStack()
        stack.enter_context(writer.as_default(step=self._train_batch if training else self._test_batch))
        stack.enter_context(
            summary.record_if(
                lambda: (self._train_batch if training else self._test_batch) % int(self.update_freq) == 0
            )
        )
        self._defaults.append(stack)

    def _undo_defaults(self, kept: int) -> None:
        """Undo `_send_summaries_to`, down to `kept` of them; a training that failed leaves its own behind."""
        while len(self._defaults) > kept:
            self._defaults.pop().close()

    def _wait_for_training(self) -> None:
        """Wait until the devices have finished the batches so far."""
        jax.block_until_ready([variable.value for variable in self.model.variables])  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _recording(writer: summary.SummaryWriter, step: Any) -> Iterator[None]:
    """Record the callback's own summaries, whatever is the condition of those of the model's code."""
    with writer.as_default(step=step), summary.record_if(True):
        yield


def _checked_frequency(name: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise _frequency_error(name, value)


def _frequency_error(name: str, value: Any) -> ArgumentError:
    expected = '"epoch", "batch" or a whole number from 1 on' if name == "update_freq" else "a whole number from 0 on"
    return ArgumentError(
        "a frequency of the TensorBoard callback is wrong", where=name, expected=expected, received=repr(value)
    )


def _steps_per_execution(model: Any) -> int:
    steps = getattr(model, "steps_per_execution", 1)
    return steps if isinstance(steps, int) else 1


def _record_graphs(model: Any) -> None:
    if isinstance(model, keras.Sequential) or type(model).__name__ == "Functional":
        try:
            summary.keras_model("keras", model, step=0)
        except MainstayError:
            raise
        except Exception as error:  # of the user's own get_config
            warnings.warn(f"the model's layers are left out of the graph: {error}", stacklevel=4)
    try:
        summary.graph(model)
    except ModelError:
        return  # its inputs are not known before it is called
    except MainstayError:
        raise
    except Exception as error:  # of the user's own call
        warnings.warn(f"the model's operations are left out of the graph: {error}", stacklevel=4)


def _learning_rates(optimizer: Any) -> dict[str, float]:
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of the one that scales the loss
    if hasattr(optimizer, "optimizers"):
        return {f"learning_rate_{each.name}": float(each.learning_rate) for each in optimizer.optimizers}
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return {"learning_rate": float(optimizer.learning_rate)}
    return {}


def _as_images(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """Return a weight as a batch of images, or None for one of too many dimensions."""
    squeezed = values.squeeze()
    match squeezed.shape:
        case (length,):
            return squeezed.reshape(1, length, 1, 1)
        case (rows, columns):
            wide = squeezed.T if rows > columns else squeezed
            return wide.reshape(1, *wide.shape, 1)
        case (_, _, _):
            if keras.config.image_data_format() == "channels_last":
                squeezed = squeezed.transpose(2, 0, 1)  # each kernel by itself
            return squeezed[..., None]
        case (_, _, _, 1 | 3 | 4):
            return squeezed
    return None
