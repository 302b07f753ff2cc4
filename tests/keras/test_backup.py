"""Backups: training goes on exactly where it was interrupted, whatever the moment."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstay import keras
from mainstay.core import ArgumentError, FormatError
from mainstay.data import Dataset

ROWS = np.random.default_rng(0).random((70, 4), dtype="float32")
LABELS = (ROWS.sum(1) > 2).astype("int64")


def make() -> Any:
    keras.utils.set_random_seed(3)
    layers = keras.layers
    stack = [layers.Dense(8, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.25), layers.Dense(2)]
    model = keras.Sequential([keras.Input((4,)), *stack])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def dataset() -> Dataset:
    return Dataset.from_tensor_slices((ROWS, LABELS)).shuffle(70, seed=1).batch(8)


class Stop(keras.callbacks.Callback):
    """Interrupts a training after so many batches."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.left = batches

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def interrupted(folder: Path, batches: int, data: Any, **options: Any) -> None:
    backup = keras.callbacks.BackupAndRestore(folder, **options)
    with pytest.raises(KeyboardInterrupt):
        make().fit(data, epochs=3, verbose=0, callbacks=[backup, Stop(batches)])


def resumed(folder: Path, data: Any, **options: Any) -> tuple[Any, Any]:
    model = make()
    backup = keras.callbacks.BackupAndRestore(folder, **options)
    return model, model.fit(data, epochs=3, verbose=0, callbacks=[backup]).history


@pytest.fixture(scope="module")
def straight() -> tuple[Any, Any]:
    model = make()
    return model, model.fit(dataset(), epochs=3, verbose=0).history


@pytest.mark.parametrize("save_freq", [1, 4, "epoch"])
@pytest.mark.parametrize("batches", [1, 5, 9, 10, 17, 27])
def test_an_interrupted_training_ends_with_the_bits_of_one_that_was_not(
    straight, tmp_path: Path, assert_same_bits, save_freq: Any, batches: int
) -> None:
    interrupted(tmp_path / "b", batches, dataset(), save_freq=save_freq)
    model, history = resumed(tmp_path / "b", dataset(), save_freq=save_freq)
    assert_same_bits(model, straight[0])
    assert history["loss"][-1] == straight[1]["loss"][-1]
    assert not (tmp_path / "b").exists()


def test_steps_per_epoch_and_unknown_lengths_go_on_too(tmp_path: Path, assert_same_bits) -> None:
    endless = lambda: dataset().repeat()  # noqa: E731
    model = make()
    model.fit(endless(), steps_per_epoch=7, epochs=3, verbose=0)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "b", save_freq=2)
    with pytest.raises(KeyboardInterrupt):
        make().fit(endless(), steps_per_epoch=7, epochs=3, verbose=0, callbacks=[backup, Stop(11)])
    other = make()
    other.fit(endless(), steps_per_epoch=7, epochs=3, verbose=0, callbacks=[backup])
    assert_same_bits(other, model)

    unknown = lambda: dataset().filter(lambda x, y: True)  # noqa: E731
    model = make()
    model.fit(unknown(), epochs=3, verbose=0)
    interrupted(tmp_path / "c", 9, unknown(), save_freq=3)
    other, _ = resumed(tmp_path / "c", unknown(), save_freq=3)
    assert_same_bits(other, model)


@pytest.mark.parametrize(
    "damage", [lambda whole: b"damaged", lambda whole: b"", lambda whole: whole[:-30], lambda whole: b"PK" + whole[9:]]
)
def test_a_damaged_backup_is_passed_over_if_there_is_another(
    tmp_path: Path, straight, assert_same_bits, damage: Any
) -> None:
    options: dict[str, Any] = {"save_freq": 4, "double_checkpoint": True}
    interrupted(tmp_path / "b", 18, dataset(), **options)
    _, second = sorted((tmp_path / "b").iterdir())
    whole = (second / "variables.npz").read_bytes()
    (second / "variables.npz").write_bytes(damage(whole))
    model, _ = resumed(tmp_path / "b", dataset(), **options)
    assert_same_bits(model, straight[0])


def test_what_a_run_left_that_was_killed_while_it_wrote_goes_away(tmp_path: Path, straight, assert_same_bits) -> None:
    class Killed(BaseException):
        """Stands for a signal that nothing can catch."""

    def kill(*args: Any, **arrays: Any) -> None:
        shutil.copytree(*sorted((tmp_path / "b").glob(".backup-*")), tmp_path / "left")
        raise Killed

    interrupted(tmp_path / "b", 9, dataset(), save_freq=4)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(np, "savez", kill)
        resumed(tmp_path / "b", dataset(), save_freq=4)
    (tmp_path / "left").rename(tmp_path / "b" / ".backup-3.17-0badcafe.partial")
    model, _ = resumed(tmp_path / "b", dataset(), save_freq=4)
    assert_same_bits(model, straight[0])
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("batches", [5, 18])
def test_what_validates_goes_on_where_it_was(tmp_path: Path, batches: int) -> None:
    held = lambda: Dataset.from_tensor_slices((ROWS, LABELS)).shuffle(70, seed=4).batch(8).take(2)  # noqa: E731
    wanted = make().fit(dataset(), epochs=3, verbose=0, validation_data=held()).history["val_loss"]
    backup = keras.callbacks.BackupAndRestore(tmp_path / "b", save_freq=1)
    with pytest.raises(KeyboardInterrupt):
        make().fit(dataset(), epochs=3, verbose=0, validation_data=held(), callbacks=[backup, Stop(batches)])
    backup = keras.callbacks.BackupAndRestore(tmp_path / "b", save_freq=1)
    found = make().fit(dataset(), epochs=3, verbose=0, validation_data=held(), callbacks=[backup]).history["val_loss"]
    assert found == wanted[-len(found) :]
    assert len(found) == 3 - batches // 10


def test_an_epoch_is_not_backed_up_as_over_before_its_validation(tmp_path: Path) -> None:
    class Killed(keras.callbacks.Callback):
        def on_test_begin(self, logs: Any = None) -> None:
            raise KeyboardInterrupt

    data = dataset()
    backup = keras.callbacks.BackupAndRestore(tmp_path / "b", save_freq=1)
    with pytest.raises(KeyboardInterrupt):
        make().fit(data, epochs=3, verbose=0, validation_data=data, callbacks=[backup, Killed()])
    backup = keras.callbacks.BackupAndRestore(tmp_path / "b", save_freq=1)
    history = make().fit(dataset(), epochs=3, verbose=0, validation_data=dataset(), callbacks=[backup]).history
    assert len(history["val_loss"]) == 3


def test_a_dataset_for_validation_says_nothing_about_arrays(tmp_path: Path) -> None:
    held = Dataset.from_tensor_slices((ROWS, LABELS)).batch(35)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "b", save_freq=1)
    callbacks = [backup, Stop(13)]
    with pytest.raises(KeyboardInterrupt):
        make().fit(ROWS, LABELS, batch_size=8, epochs=3, verbose=0, validation_data=held, callbacks=callbacks)
    [place] = (tmp_path / "b").glob("*/training.json")
    assert json.loads(place.read_text())["epoch"] == 1
    assert json.loads(place.read_text())["dataset"] is None


def test_a_single_damaged_backup_is_an_error_that_names_it(tmp_path: Path) -> None:
    interrupted(tmp_path / "b", 5, dataset(), save_freq=4)
    [backup] = (tmp_path / "b").iterdir()
    (backup / "training.json").write_text("{}")
    with pytest.raises(FormatError, match="backup-1"):
        resumed(tmp_path / "b", dataset())


def test_a_backup_of_another_model_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path / "b", 5, dataset(), save_freq=4)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(FormatError, match="another model"):
        model.fit(dataset(), verbose=0, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "b")])


def test_the_backup_of_another_dataset_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path / "b", 5, dataset(), save_freq=4)
    with pytest.raises(ArgumentError, match="another dataset"):
        resumed(tmp_path / "b", Dataset.from_tensor_slices((ROWS, LABELS)).batch(5))


def test_arrays_are_backed_up_by_the_epoch_as_keras_does(tmp_path: Path) -> None:
    backup = keras.callbacks.BackupAndRestore(tmp_path / "b")
    with pytest.raises(KeyboardInterrupt):
        make().fit(ROWS, LABELS, batch_size=8, epochs=3, verbose=0, callbacks=[backup, Stop(12)])
    [place] = (tmp_path / "b").glob("*/training.json")
    assert json.loads(place.read_text())["epoch"] == 1
    seen = make().fit(ROWS, LABELS, batch_size=8, epochs=3, verbose=0, callbacks=[backup]).history
    assert len(seen["loss"]) == 2


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "batch", True])
def test_how_often_must_be_clear(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match="save_freq"):
        keras.callbacks.BackupAndRestore("b", save_freq=wrong)
