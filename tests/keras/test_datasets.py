"""Datasets as the input of `fit`, `evaluate` and `predict`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from event_files import read_values

from mainstay import keras
from mainstay.core import ArgumentError, DataError
from mainstay.data import Dataset
from mainstay.keras.training import datasets, several_steps


@pytest.fixture
def small() -> Any:
    keras.utils.set_random_seed(5)
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    made.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return made


class Seen(keras.callbacks.Callback):
    """Counts what a training does."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.epochs: list[int] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches.append(batch)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(epoch)


def test_a_dataset_trains_as_its_arrays_do(model, data, assert_same_bits) -> None:
    x, y = data
    weights = [np.asarray(weight) for weight in model.get_weights()]
    expected = keras.models.clone_model(model)
    expected.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    expected.set_weights(weights)
    keras.utils.set_random_seed(1)
    wanted = expected.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0).history
    keras.utils.set_random_seed(1)
    twin = keras.models.clone_model(model)
    twin.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    twin.set_weights(weights)
    history = twin.fit(Dataset.from_tensor_slices((x, y)).batch(10), epochs=3, verbose=0).history
    assert history["loss"][0] == pytest.approx(wanted["loss"][0], rel=0.2)  # dropout draws differ between models
    scores = twin.evaluate(Dataset.from_tensor_slices((x, y)).batch(10), verbose=0)
    assert scores == twin.evaluate(x, y, batch_size=10, verbose=0)
    predicted = twin.predict(Dataset.from_tensor_slices(x).batch(10), verbose=0)
    np.testing.assert_array_equal(predicted, twin.predict(x, batch_size=10, verbose=0))


def test_without_random_layers_the_weights_are_those_of_arrays(small, data, assert_same_bits) -> None:
    x, y = data
    twin = keras.models.clone_model(small)
    twin.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    twin.set_weights(small.get_weights())
    twin.fit(x, y, batch_size=10, epochs=2, shuffle=False, verbose=0)
    small.fit(Dataset.from_tensor_slices((x, y)).batch(10), epochs=2, verbose=0)
    for one, other in zip(small.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_several_steps_in_one_program_give_the_bits_of_single_steps(
    small, data, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset.from_tensor_slices(data).shuffle(64, seed=2).batch(5)
    twin = keras.models.clone_model(small)
    twin.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    twin.set_weights(small.get_weights())
    taken: list[int] = []
    original = datasets.Batches.several
    monkeypatch.setattr(several_steps, "LONG", 0)
    monkeypatch.setattr(datasets.Batches, "several", lambda self, n: (taken.append(n), original(self, n))[1])
    small.fit(Dataset.from_tensor_slices(data).shuffle(64, seed=2).batch(5), epochs=3, verbose=0)
    assert taken
    assert set(taken) == {12}
    monkeypatch.setattr(several_steps, "LONG", 10**9)
    twin.fit(dataset, epochs=3, verbose=0)
    for one, other in zip(small.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["shuffled batches", "a short batch in the middle"])
def test_batches_of_different_sizes_keep_to_single_steps(small, data, monkeypatch, kind: str) -> None:
    rows = Dataset.from_tensor_slices(data).batch(5)
    dataset = rows.shuffle(20, seed=8) if kind == "shuffled batches" else rows.concatenate(rows)
    short = [len(batch[0]) for batch in dataset]
    assert 0 < short.index(4) < len(short) - 1
    twin = keras.models.clone_model(small)
    twin.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    twin.set_weights(small.get_weights())
    for model, long in ((small, 0), (twin, 10**9)):
        monkeypatch.setattr(several_steps, "LONG", long)
        rows = Dataset.from_tensor_slices(data).batch(5)
        again = rows.shuffle(20, seed=8) if kind == "shuffled batches" else rows.concatenate(rows)
        model.fit(again, epochs=3, verbose=0)
    for one, other in zip(small.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_epoch_of_a_shuffled_dataset_has_another_order_and_building_uses_none_up(data) -> None:
    seen: list[tuple[float, ...]] = []

    class Looking(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            jax.debug.callback(lambda rows: seen.append(tuple(np.asarray(rows)[:, 0].tolist())), x)
            return self.dense(x)

    x, y = data
    dataset = Dataset.from_tensor_slices((x, y)).shuffle(64, seed=3).batch(64)
    expected = [[float(value) for value in next(iter(dataset))[0][:, 0]] for _ in range(3)]
    model = Looking()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    fresh = Dataset.from_tensor_slices((x, y)).shuffle(64, seed=3).batch(64)
    model.fit(fresh, epochs=3, verbose=0)
    jax.effects_barrier()
    assert [list(rows) for rows in seen[-3:]] == expected
    assert len({tuple(rows) for rows in expected}) == 3


@pytest.mark.parametrize("known", [True, False])
def test_an_epoch_is_the_whole_dataset_whether_its_length_is_known_or_not(small, data, known: bool) -> None:
    rows = Dataset.from_tensor_slices(data)
    dataset = (rows if known else rows.filter(lambda x, y: True)).batch(10)
    seen = Seen()
    small.fit(dataset, epochs=2, verbose=0, callbacks=[seen])
    assert seen.batches == [*range(7)] * 2


def test_steps_per_epoch_go_on_through_the_dataset_and_begin_it_again(small, data) -> None:
    seen = Seen()
    small.fit(Dataset.from_tensor_slices(data).batch(16), epochs=4, steps_per_epoch=2, verbose=0, callbacks=[seen])
    assert seen.batches == [0, 1] * 4


def test_a_dataset_that_ends_within_an_epoch_says_so(small, data) -> None:
    with pytest.warns(UserWarning, match="the dataset ended after 4 of 6 steps"):
        small.fit(Dataset.from_tensor_slices(data).batch(16), epochs=1, steps_per_epoch=6, verbose=0)


def test_an_endless_dataset_wants_a_number_of_steps(small, data) -> None:
    endless = Dataset.from_tensor_slices(data).repeat().batch(16)
    with pytest.raises(ArgumentError, match="steps_per_epoch"):
        small.fit(endless, verbose=0)
    with pytest.raises(ArgumentError, match="has no end"):
        small.evaluate(endless, verbose=0)
    seen = Seen()
    small.fit(endless, steps_per_epoch=3, epochs=2, verbose=0, callbacks=[seen])
    assert len(seen.batches) == 6
    assert small.predict(endless.map(lambda x, y: x), steps=2, verbose=0).shape == (32, 2)


@pytest.mark.parametrize("known", [True, False])
def test_an_empty_dataset_is_refused(small, data, known: bool) -> None:
    rows = Dataset.from_tensor_slices(data)
    empty = (rows.take(0) if known else rows.filter(lambda x, y: False)).batch(4)
    with pytest.raises(DataError, match="the dataset is empty"):
        small.fit(empty, verbose=0)
    with pytest.raises(DataError, match="the dataset is empty"):
        small.evaluate(empty, verbose=0)
    with pytest.raises(DataError, match="the dataset is empty"):
        small.predict(empty.map(lambda x, y: x), verbose=0)


def test_validation_takes_a_dataset_and_begins_it_anew_every_time(small, data) -> None:
    dataset = Dataset.from_tensor_slices(data).batch(16)
    history = small.fit(dataset, validation_data=dataset, epochs=2, verbose=0).history
    assert history["val_loss"][1] == pytest.approx(small.evaluate(dataset, verbose=0))
    limited = small.fit(dataset, validation_data=dataset.repeat(), validation_steps=2, epochs=2, verbose=0).history
    assert len(limited["val_loss"]) == 2


def test_class_weights_weigh_as_they_do_with_arrays(small, data) -> None:
    x, y = data
    twin = keras.models.clone_model(small)
    twin.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    twin.set_weights(small.get_weights())
    weights = {0: 0.5, 1: 3.0}
    twin.fit(x, y, batch_size=16, shuffle=False, class_weight=weights, verbose=0)
    small.fit(Dataset.from_tensor_slices((x, y)).batch(16), class_weight=weights, verbose=0)
    np.testing.assert_array_equal(small.get_weights()[0], twin.get_weights()[0])


def test_class_weights_beside_sample_weights_are_refused(small, data) -> None:
    dataset = Dataset.from_tensor_slices((*data, np.ones(64, "float32"))).batch(16)
    with pytest.raises(ArgumentError, match="sample weights too"):
        small.fit(dataset, class_weight={0: 1.0}, verbose=0)


def test_labels_and_batch_sizes_beside_a_dataset_are_refused(small, data) -> None:
    dataset = Dataset.from_tensor_slices(data).batch(16)
    with pytest.raises(ArgumentError, match="y is given beside a dataset"):
        small.fit(dataset, data[1], verbose=0)
    with pytest.raises(ArgumentError, match="call batch"):
        small.fit(dataset, batch_size=3, verbose=0)


def test_whole_numbers_beyond_32_bits_are_refused_and_others_fit(small, data) -> None:
    x, _ = data
    with pytest.raises(DataError, match="4294967296"):
        small.fit(Dataset.from_tensor_slices((x, np.full(64, 2**32))).batch(16), verbose=0)
    small.fit(Dataset.from_tensor_slices((x, np.zeros(64, np.uint64))).batch(16), verbose=0)


def test_strings_are_refused_with_a_way_out(small) -> None:
    with pytest.raises(DataError, match="a model takes numbers"):
        small.predict(Dataset.from_tensor_slices(["a", "b"]).batch(2), verbose=0)


def test_a_failure_in_the_pipeline_reaches_the_user_and_leaves_the_model_its_weights(small, data) -> None:
    def fail(x: Any, y: Any) -> Any:
        if float(x[0]) == float(data[0][40, 0]):
            raise ZeroDivisionError("row forty")
        return x, y

    with pytest.raises(ZeroDivisionError, match="row forty"):
        small.fit(Dataset.from_tensor_slices(data).map(fail).batch(8), verbose=0)
    assert all(np.isfinite(weight).all() for weight in small.get_weights())


def test_how_long_steps_waited_is_recorded(small, data, tmp_path: Path) -> None:
    board = keras.callbacks.TensorBoard(tmp_path, write_graph=False)
    small.fit(Dataset.from_tensor_slices(data).batch(16), epochs=2, verbose=0, callbacks=[board])
    values = {(tag, step): float(array) for tag, step, _, array in read_values(tmp_path / "train") if "wait" in tag}
    assert {step for tag, step in values if tag == "epoch_input_wait_seconds"} == {0, 1}
    fractions = [value for (tag, _), value in values.items() if tag == "epoch_input_wait_fraction"]
    assert all(0 <= value <= 1 for value in fractions)
    assert len(fractions) == 2


def test_batches_brought_to_a_device_ahead_keep_the_place_of_the_one_in_use(data) -> None:
    dataset = Dataset.from_tensor_slices(data).shuffle(64, seed=4).batch(8)
    plain = datasets.Batches(dataset, None, ahead=0)
    ahead = datasets.Batches(Dataset.from_tensor_slices(data).shuffle(64, seed=4).batch(8), None, ahead=2)
    while plain.has_next():
        ours, theirs = next(ahead), next(plain)
        assert isinstance(ours[0], jax.Array)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ahead.state() == plain.state()
    assert not ahead.has_next()


def test_steps_per_execution_are_kept(data) -> None:
    make: Callable[[], Any] = lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])  # noqa: E731
    one, other = make(), make()
    other.set_weights(one.get_weights())
    for model, steps in ((one, 1), (other, 3)):
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), steps_per_execution=steps)
        model.fit(Dataset.from_tensor_slices(data).batch(8), epochs=2, verbose=0)
    np.testing.assert_allclose(one.get_weights()[0], other.get_weights()[0], rtol=1e-6)
