"""The profiled batches: JAX's profile in TensorBoard's folders, whatever happens around it."""

import warnings
from pathlib import Path
from typing import Any

import jax
import pytest

from mainstay import keras

TensorBoard = keras.callbacks.TensorBoard


def profiles(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.xplane.pb"))


def batches(file: Path) -> set[int]:
    """The batches whose steps a profile names."""
    numbers = set()
    # From Python 3.13 on the types of jaxlib's reader warn when they are made, which it does not survive as an error.
    warnings.simplefilter("ignore", DeprecationWarning)
    profile = jax.profiler.ProfileData.from_file(str(file))  # planes, lines and events point into it
    for plane in profile.planes:
        for line in plane.lines:
            for event in line.events:
                if event.name.startswith("batch"):
                    numbers |= {value for name, value in event.stats if name == "step_num"}
    return numbers


def fit(model: Any, data: tuple, *callbacks: Any, **arguments: Any) -> None:
    model.fit(*data, batch_size=16, verbose=0, callbacks=list(callbacks), **arguments)


@pytest.mark.parametrize(
    ("window", "expected"),
    [(2, {2}), ("3", {3}), ((2, 3), {2, 3}), ([1, 1], {1}), ("5,6", {5, 6}), ((3, 100), set(range(3, 9)))],
)
def test_the_batches_of_the_window_are_profiled(model, data, tmp_path: Path, window: Any, expected: set[int]) -> None:
    fit(model, data, TensorBoard(tmp_path, profile_batch=window), epochs=2)
    [file] = profiles(tmp_path)
    assert file.parent.parent.parent.parent == tmp_path / "train"
    assert file.parent.parent.name == "profile"
    assert batches(file) == expected


def test_nothing_is_profiled_unless_asked(model, data, tmp_path: Path) -> None:
    fit(model, data, TensorBoard(tmp_path))
    assert profiles(tmp_path) == []


def test_a_window_after_the_end_is_reported(model, data, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"profile_batch=50,60 profiled nothing: training had 4 batches"):
        fit(model, data, TensorBoard(tmp_path, profile_batch=(50, 60)))
    assert profiles(tmp_path) == []


def test_another_profile_goes_on_undisturbed(model, data, tmp_path: Path) -> None:
    jax.profiler.start_trace(tmp_path / "other")
    try:
        with pytest.warns(UserWarning, match="profile_batch is left out"):
            fit(model, data, TensorBoard(tmp_path / "board", profile_batch=(2, 3)))
    finally:
        jax.profiler.stop_trace()
    assert profiles(tmp_path / "board") == []
    assert len(profiles(tmp_path / "other")) == 1


class Failing(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch == 2:
            raise RuntimeError("stop")


def test_a_training_that_failed_in_the_window_does_not_block_the_next_profile(model, data, tmp_path: Path) -> None:
    board = TensorBoard(tmp_path / "first", profile_batch=(2, 9))
    with pytest.raises(RuntimeError, match="stop"):
        fit(model, data, board, Failing())
    fit(model, data, TensorBoard(tmp_path / "second", profile_batch=(2, 3)))
    assert len(profiles(tmp_path / "first")) == 1
    assert [batches(file) for file in profiles(tmp_path / "second")] == [{2, 3}]


def test_the_same_callback_profiles_again_after_a_failure(model, data, tmp_path: Path) -> None:
    board = TensorBoard(tmp_path, profile_batch=(2, 9))
    with pytest.raises(RuntimeError, match="stop"):
        fit(model, data, board, Failing())
    fit(model, data, board)
    assert {frozenset(batches(file)) for file in profiles(tmp_path)} >= {frozenset({2, 3, 4})}


def test_each_training_has_a_profile_and_the_model_trains_as_without(data, tmp_path: Path) -> None:
    import numpy as np

    def trained(*callbacks: Any) -> list:
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
        )
        model.compile("adam", "mse")
        fit(model, data, *callbacks, epochs=2)
        return model.get_weights()

    with_board = trained(TensorBoard(tmp_path, profile_batch=(2, 3), histogram_freq=1, update_freq=1))
    for ours, plain in zip(with_board, trained(), strict=True):
        np.testing.assert_array_equal(ours, plain)
