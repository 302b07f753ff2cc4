"""scan, take_while, unique, reduce, get_single_element, ignore_errors, and endless numbers."""

import logging

import numpy as np
import pytest

from mainstay.core import ArgumentError, DataError, TensorSpec
from mainstay.data import Dataset


def numbers(dataset: Dataset) -> list[int]:
    return [int(x) for x in dataset]


def inverse(number: float) -> float:
    if number == 0:
        raise ZeroDivisionError(number)
    return 1.0 / number


def test_scan_hands_its_state_on() -> None:
    dataset = Dataset.range(5).scan(np.int64(0), lambda state, x: (state + x, state * 10))
    assert numbers(dataset) == [0, 0, 10, 30, 60]
    assert dataset.cardinality() == 5
    assert dataset.element_spec == TensorSpec((), "int64")


def test_scan_keeps_arrays_and_strings_exactly_in_a_state() -> None:
    initial = {"a": np.array([0.1, 0.2]), "b": b"\xff"}
    dataset = Dataset.range(6).scan(initial, lambda s, x: ({"a": s["a"] * 1.1, "b": s["b"] + b"!"}, (s["a"], s["b"])))
    iterator = dataset.iter()
    for _ in range(2):
        next(iterator)
    rest = dataset.iter(iterator.state())
    assert [(a.tolist(), b) for a, b in iterator] == [(a.tolist(), b) for a, b in rest]


def test_scan_wants_a_pair_and_one_structure() -> None:
    with pytest.raises(DataError, match="pair"):
        list(Dataset.range(3).scan(0, lambda state, x: x))
    with pytest.raises(DataError, match="structure"):
        list(Dataset.range(3).scan(0, lambda state, x: ((x, x), x)))


def test_take_while_stops_at_the_first_refusal() -> None:
    assert numbers(Dataset.counter().take_while(lambda x: x != 40)) == list(range(40))
    assert numbers(Dataset.range(5).take_while(lambda x: x < 0)) == []


def test_unique_compares_numbers_strings_and_arrays() -> None:
    assert numbers(Dataset.from_tensor_slices([3, 1, 3, 2]).unique()) == [3, 1, 2]
    assert list(Dataset.from_tensor_slices([b"a", b"b", b"a"]).unique()) == [b"a", b"b"]
    assert [x.tolist() for x in Dataset.from_tensor_slices([[1, 2], [1, 2]]).unique()] == [[1, 2]]
    with pytest.raises(DataError, match="component"):
        list(Dataset.range(3).enumerate().unique())


def test_reduce_gives_the_last_state() -> None:
    assert Dataset.range(5).reduce(np.int64(3), lambda s, x: s + x).numpy() == 13
    total, product = Dataset.range(1, 5).reduce((0, 1.0), lambda s, x: (s[0] + x, s[1] * 2))
    assert (int(total), float(product)) == (10, 16.0)
    with pytest.raises(ArgumentError, match="infinite"):
        Dataset.counter().reduce(0, lambda s, x: s)
    with pytest.raises(DataError, match="structure"):
        Dataset.range(3).reduce(0, lambda s, x: (s, x))


def test_the_single_element_is_given_only_if_it_is_one() -> None:
    assert Dataset.range(5, 6).get_single_element() == 5
    with pytest.raises(DataError, match="empty"):
        Dataset.range(0).get_single_element()
    with pytest.raises(DataError, match="more than one"):
        Dataset.range(2).repeat().get_single_element()


def test_failing_elements_are_left_out_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    values = Dataset.from_tensor_slices(np.array([1.0, 0.0, 4.0, 0.0, 2.0])).map(inverse)
    with caplog.at_level(logging.WARNING, "mainstay.data"):
        assert [float(x) for x in values.ignore_errors()] == [1.0, 0.25, 0.5]
        assert not caplog.records
        assert [x.tolist() for x in values.ignore_errors(log_warning=True).batch(2)] == [[1.0, 0.25], [0.5]]
    assert [record.getMessage() for record in caplog.records] == ["an element is left out: ZeroDivisionError: 0.0"] * 2
    with pytest.raises(ZeroDivisionError):
        list(values)


def test_the_spec_is_known_though_the_first_elements_fail() -> None:
    values = Dataset.from_tensor_slices(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 2.0])).map(inverse).ignore_errors()
    assert values.element_spec == TensorSpec((), "float64")


def test_all_elements_may_fail() -> None:
    def failing(number: np.int64) -> np.int64:
        raise ValueError(int(number))

    assert numbers(Dataset.range(20).map(failing).ignore_errors()) == []


def test_errors_behind_a_batch_are_not_ignored_but_refused_with_a_way_out() -> None:
    with pytest.raises(ArgumentError, match="put it before"):
        list(Dataset.range(3).batch(2).ignore_errors())
    assert len(list(Dataset.range(3).batch(2).map(lambda x: x + 1).ignore_errors())) == 2


def test_random_numbers_repeat_unless_they_shall_not() -> None:
    same = Dataset.random(seed=4).take(5)
    fresh = Dataset.random(seed=4, rerandomize_each_iteration=True).take(5)
    assert numbers(same) == numbers(same)
    assert numbers(fresh) != numbers(fresh)
    many = np.array(numbers(Dataset.random(seed=1).take(4000)))
    assert many.min() >= 0
    assert many.max() < 2**32
    assert abs(many.mean() / 2**31 - 1) < 0.05


def test_counting_goes_on_from_anywhere() -> None:
    assert numbers(Dataset.counter(2, 3).skip(10**12).take(2)) == [3 * 10**12 + 2, 3 * 10**12 + 5]
    assert next(iter(Dataset.counter(dtype="int32"))).dtype == np.int32
    assert sorted(numbers(Dataset.counter().shuffle(3, seed=1).take(6)))[-1] < 9
