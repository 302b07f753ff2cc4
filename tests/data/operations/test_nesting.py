"""Windows, flat_map, interleave: datasets inside of datasets."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from mainstay.core import ArgumentError, TensorSpec
from mainstay.data import UNKNOWN_CARDINALITY, Dataset
from mainstay.data.operations.reading import of_source
from mainstay.data.specs import DatasetSpec
from tests.properties.data_pipelines import NumberStream


def numbers(dataset: Dataset) -> list[int]:
    return [int(x) for x in dataset]


def test_the_windows_of_a_series_become_batches() -> None:
    dataset = Dataset.range(7).window(5, shift=1, drop_remainder=True).flat_map(lambda window: window.batch(5))
    assert [x.tolist() for x in dataset] == [[0, 1, 2, 3, 4], [1, 2, 3, 4, 5], [2, 3, 4, 5, 6]]
    assert dataset.element_spec == TensorSpec((None,), "int64")


def test_each_component_of_a_window_is_a_dataset() -> None:
    pairs = Dataset.from_tensor_slices({"a": np.arange(4), "b": np.ones(4)})
    window = next(iter(pairs.window(2)))
    assert numbers(window["a"]) == [0, 1]
    assert pairs.window(2).element_spec["b"] == DatasetSpec(TensorSpec((), "float64"))
    together = pairs.window(2).flat_map(lambda w: Dataset.zip((w["a"].batch(2), w["b"].batch(2))))
    assert [(a.tolist(), b.tolist()) for a, b in together] == [([0, 1], [1, 1]), ([2, 3], [1, 1])]


def test_windows_of_streams_are_those_of_arrays() -> None:
    for arguments in [(3, 1, 2, True), (2, 3, 1, False), (4, 2, 1, False), (10, None, 1, True)]:
        one = [numbers(w) for w in Dataset.range(11).window(*arguments)]
        assert [numbers(w) for w in of_source(NumberStream(11)).window(*arguments)] == one


@pytest.mark.parametrize("name", ["size", "shift", "stride"])
def test_windows_without_elements_are_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match=name):
        Dataset.range(3).window(**{"size": 2, name: 0})


def test_batches_of_datasets_are_refused_with_a_way_out() -> None:
    with pytest.raises(ArgumentError, match="flat_map"):
        _ = Dataset.range(5).window(2).batch(2).element_spec


def test_map_may_give_datasets() -> None:
    dataset = Dataset.range(3).map(lambda x: Dataset.range(int(x)))
    assert [numbers(inner) for inner in dataset] == [[], [0], [0, 1]]
    assert numbers(dataset.flat_map(lambda inner: inner)) == [0, 0, 1]


def test_a_function_that_gives_no_dataset_is_refused() -> None:
    with pytest.raises(ArgumentError, match="returns a dataset"):
        list(Dataset.range(3).flat_map(lambda x: x))


def test_a_failing_function_keeps_its_exception_and_says_where() -> None:
    def failing(number: np.int64) -> Dataset:
        raise KeyError(int(number))

    with pytest.raises(KeyError) as caught:
        list(Dataset.from_tensor_slices(np.arange(5, 8)).flat_map(failing))
    assert "row 0 of the arrays" in caught.value.__notes__[0]


def test_shuffles_inside_differ_from_element_to_element_and_repeat_with_the_seed() -> None:
    def run() -> list[list[int]]:
        np.random.seed(1)
        dataset = Dataset.range(3).flat_map(lambda _: Dataset.range(30).shuffle(30).batch(30))
        return [x.tolist() for x in dataset]

    first = run()
    assert first[0] != first[1]
    assert first == run()


def test_iterating_draws_nothing_from_the_global_generator() -> None:
    dataset = Dataset.range(3).flat_map(lambda _: Dataset.range(3).shuffle(3))
    before = np.random.get_state()[1].tolist()
    list(dataset)
    assert np.random.get_state()[1].tolist() == before


def test_nested_spec_of_nothing_is_found_with_a_stand_in() -> None:
    dataset = Dataset.range(0).flat_map(lambda x: Dataset.range(3).batch(2))
    assert dataset.element_spec == TensorSpec((None,), "int64")
    assert dataset.cardinality() == 0
    assert Dataset.range(3).flat_map(lambda x: Dataset.range(3)).cardinality() == UNKNOWN_CARDINALITY


def test_interleaved_datasets_close_what_they_opened() -> None:
    closed: list[int] = []

    def opened(number: np.int64) -> Dataset:
        def rows() -> Iterator[np.int64]:
            try:
                yield from (np.int64(row) for row in range(100))
            finally:
                closed.append(int(number))

        return Dataset.from_generator(rows, output_signature=TensorSpec((), "int64"))

    iterator = Dataset.range(2).interleave(opened, cycle_length=2).iter()
    assert [int(next(iterator)) for _ in range(4)] == [0, 0, 1, 1]
    iterator.close()
    for thread in threading.enumerate():
        if thread.name == "mainstay-data-ahead":
            thread.join(60)  # it closes the generator that it pulls
    assert sorted(closed) == [0, 1]


@pytest.mark.parametrize("name", ["cycle_length", "block_length"])
def test_cycles_and_blocks_have_a_length(name: str) -> None:
    with pytest.raises(ArgumentError, match=name):
        Dataset.range(3).interleave(lambda x: Dataset.range(3), **{name: 0})


def test_arguments_go_by_place_as_in_tensorflow() -> None:
    found = numbers(Dataset.range(1, 4).interleave(lambda x: Dataset.range(x, x + 1).repeat(3), 2, 2))
    assert found == [1, 1, 2, 2, 1, 2, 3, 3, 3]


def test_apply_gives_what_its_function_gives() -> None:
    assert numbers(Dataset.range(5).apply(lambda d: d.skip(3))) == [3, 4]
    with pytest.raises(ArgumentError, match="apply"):
        Dataset.range(3).apply(lambda d: 5)


def test_functions_inside_are_tried_once_for_datasets_that_are_built_alike() -> None:
    calls: list[int] = []

    def counted(number: np.int64) -> np.int64:
        calls.append(int(number))
        return np.int64(int(number) + 1)

    dataset = Dataset.range(20).flat_map(lambda n: Dataset.range(int(n), int(n) + 2).map(counted))
    assert numbers(dataset) == [n + 1 + extra for n in range(20) for extra in (0, 1)]
    assert len(calls) < 60


def test_functions_that_are_defined_inside_are_tried_once_too() -> None:
    calls: list[int] = []
    offset = 1

    def opened(number: np.int64) -> Dataset:
        def counted(x: np.int64) -> np.int64:
            calls.append(int(x))
            return np.int64(int(x) + offset)

        return Dataset.range(int(number), int(number) + 2).map(counted)

    assert numbers(Dataset.range(20).flat_map(opened)) == [n + 1 + extra for n in range(20) for extra in (0, 1)]
    assert len(calls) < 60


def test_how_functions_inside_run_does_not_depend_on_where_a_run_begins() -> None:
    def opened(number: np.int64) -> Dataset:
        return Dataset.range(int(number), int(number) + 3).map(lambda x: x + 1 if isinstance(x, np.int64) else x + 5)

    for upstream in (Dataset.range(6), Dataset.range(6).shuffle(6, seed=2)):
        iterator = upstream.flat_map(opened).iter()
        expected = [(int(x), iterator.state()) for x in iterator]
        for number, (_, state) in enumerate(expected):
            assert [int(x) for x in upstream.flat_map(opened).iter(state)] == [x for x, _ in expected[number + 1 :]]


def test_functions_inside_may_differ_from_element_to_element() -> None:
    def opened(number: np.int64) -> Dataset:
        factor = int(number)
        return Dataset.range(3).map(lambda x: x * factor)

    assert numbers(Dataset.range(4).flat_map(opened)) == [n * x for n in range(4) for x in range(3)]
