"""`BackupAndRestore` that goes on exactly where training was interrupted, in the middle of an epoch too.

Each backup is a folder of its own that appears whole: the weights, what optimizers, metrics and seeds hold, and the
place in the dataset. The one before is removed after that: a run that is killed at any moment finds one that is whole.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mainstay.core import ArgumentError, FormatError, atomic_folder, storage_errors
from mainstay.keras.training.datasets import DatasetAdapter
from mainstay.keras.training.several_steps import current_dataset, current_run

_VERSION = 1
_PREFIX = "backup-"
_VALUES, _PLACE = "variables.npz", "training.json"


class BackupAndRestore(keras.callbacks.BackupAndRestore):
    """Backs the training up, and goes on from the last backup when `fit` is called again after an interruption.

    With a `mainstay.data.Dataset` the weights are bit for bit those of a run that was never interrupted, and a dataset
    for validation goes on where it was, too. With arrays or generators, an epoch that was interrupted is begun again,
    with the weights of the backup, as Keras does.

    Args:
        backup_dir: A folder for the backups of this run alone.
        save_freq: ``"epoch"``, or every how many batches to back up.
        double_checkpoint: Whether to keep the backup before the last one too, for the case that files get damaged.
        delete_checkpoint: Whether the backups are removed when training is finished.

    Raises:
        ArgumentError: `save_freq` is something else, or the model is not built when `fit` begins.

    Example:
        >>> backup = BackupAndRestore("out/backup", save_freq=100)
        >>> model.fit(dataset, epochs=10, callbacks=[backup])  # doctest: +SKIP
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: int | str = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        if save_freq != "epoch" and (type(save_freq) is not int or save_freq < 1):
            raise ArgumentError(
                "how often to back up is not clear",
                where="save_freq",
                expected='"epoch", or a number of batches from 1 on',
                received=repr(save_freq),
            )
        super().__init__(os.fspath(backup_dir), save_freq, double_checkpoint, delete_checkpoint)
        self._folder = Path(backup_dir)
        self._in_epoch = self._is_due = False
        self._restored_metrics: list[np.ndarray[Any, Any]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Go on from the last backup, if there is one."""
        self._current_epoch = self._last_batch_seen = self._batches_seen_since_last_saving = 0
        for abandoned in self._folder.glob(f".{_PREFIX}*.partial"):
            shutil.rmtree(abandoned, ignore_errors=True)  # a run was killed while it wrote
        found = self._backups()
        if not found:
            return
        for backup in reversed(found):
            try:
                self._restore(backup)
                return
            except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
                failure = error
        raise FormatError(
            "the backup cannot be read",
            where=found[-1],
            received=f"{type(failure).__name__}: {failure}",
            fix="remove the folder to begin anew",
        ) from failure

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Give the metrics what they held when the epoch was interrupted."""
        self._current_epoch, self._in_epoch = epoch, True
        for variable, value in zip(self.model.metrics_variables, self._restored_metrics, strict=False):
            variable.assign(value)
        self._restored_metrics = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Back up, where that is due."""
        self._in_epoch = False
        super().on_epoch_end(epoch, logs)
        if self._is_due:
            self._save_model()

    def on_train_end(self, logs: Any = None) -> None:
        """Remove the backups of a run that is finished."""
        if self.delete_checkpoint:
            for backup in self._backups():
                shutil.rmtree(backup)
            if self._folder.is_dir() and not any(self._folder.iterdir()):
                self._folder.rmdir()

    def _backups(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        names = [path for path in self._folder.iterdir() if path.name.removeprefix(_PREFIX).isdigit()]
        return sorted(names, key=lambda path: int(path.name.removeprefix(_PREFIX)))

    def _save_model(self) -> None:
        adapter, run = current_dataset(), current_run()
        # After its last step an epoch is not over: what looks at it, validation for one, has yet to come.
        self._is_due = self._in_epoch and adapter is not None and adapter.is_at_end(self._last_batch_seen + 1)
        if self._is_due:
            return
        found = self._backups()
        number = int(found[-1].name.removeprefix(_PREFIX)) + 1 if found else 1
        place = {
            "version": _VERSION,
            "epoch": self._current_epoch,
            "steps": self._last_batch_seen + 1 if self._in_epoch else 0,
            "variables": [_form(variable) for variable in _variables(self.model)],
            "dataset": _place(adapter),
            "validation": _place(None if run is None else run.validation),
        }
        with storage_errors(self._folder, "write"):
            self._folder.mkdir(parents=True, exist_ok=True)
        with atomic_folder(self._folder / f"{_PREFIX}{number}") as folder:
            np.savez(folder / _VALUES, *(_bits(variable) for variable in _variables(self.model)))
            (folder / _PLACE).write_text(json.dumps(place))
        for backup in found[: len(found) - (1 if self.double_checkpoint else 0)]:
            shutil.rmtree(backup)

    def _restore(self, backup: Path) -> None:
        model = self.model
        if not model.built:
            raise ArgumentError(
                "a model that is not built cannot be restored",
                where=model.name,
                fix="give it a keras.Input, or call it once on data",
            )
        place = json.loads((backup / _PLACE).read_text())
        if place["version"] != _VERSION:
            raise FormatError("the backup is of another version", where=backup, expected=_VERSION, received=place)
        for optimizer in _optimizers(model):
            if not optimizer.built:
                optimizer.build(model.trainable_variables)
        variables = _variables(model)
        forms = [_form(variable) for variable in variables]
        if forms != place["variables"]:
            raise FormatError(
                "the backup is of another model, optimizer or set of metrics",
                where=backup,
                expected=forms,
                received=place["variables"],
                fix="train the same model, or remove the folder to begin anew",
            )
        with open(backup / _VALUES, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            values = [arrays[name] for name in arrays.files]
        for variable, value in zip(variables, values, strict=True):
            variable.assign(_value(variable, value))
        in_epoch = place["steps"] > 0
        self._restored_metrics = [np.asarray(variable) for variable in model.metrics_variables] if in_epoch else []
        model._initial_epoch = self._current_epoch = place["epoch"]
        adapter, run = current_dataset(), current_run()
        if run is not None and place.get("validation"):
            run.validation_place = place["validation"].encode()
        if adapter is not None and place["dataset"]:
            adapter.resume(place["dataset"].encode(), place["steps"])
            self._last_batch_seen = max(place["steps"] - 1, 0)
        else:
            self._restored_metrics = []


def _place(adapter: DatasetAdapter | None) -> str | None:
    """Return the place in a dataset; None without one, and before its first batch."""
    state = None if adapter is None else adapter.state()
    return None if state is None else state.decode()


def _optimizers(model: Any) -> list[Any]:
    """Return the optimizers of a model, those that its own steps use included, in one order."""
    held = {id(value): value for _, value in sorted(vars(model).items()) if isinstance(value, keras.Optimizer)}
    return list(held.values())


def _variables(model: Any) -> list[Any]:
    """Return everything that training changes, each once, in one order."""
    found = [*model.variables, *model.metrics_variables]
    found += [variable for optimizer in _optimizers(model) for variable in optimizer.variables]
    return list({id(variable): variable for variable in found}.values())


def _form(variable: Any) -> list[Any]:
    return [list(variable.shape), str(variable.dtype)]


def _bits(variable: Any) -> np.ndarray[Any, Any]:
    """Return the value of a variable as a file of arrays can hold it, whatever its dtype."""
    return np.frombuffer(np.asarray(variable.value).tobytes(), np.uint8)


def _value(variable: Any, bits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.frombuffer(bits.tobytes(), np.asarray(variable.value).dtype).reshape(variable.shape)
