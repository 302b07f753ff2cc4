"""Take, skip, shard, repeat, enumerate, on addresses and on streams."""

import pytest

from mainstay.core import ArgumentError
from mainstay.data import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset
from mainstay.data.operations.reading import of_source
from tests.properties.data_pipelines import NumberStream


def numbers(dataset: Dataset) -> list[int]:
    return [int(x) for x in dataset]


@pytest.mark.parametrize("make", [Dataset.range, lambda n: of_source(NumberStream(n))], ids=["addresses", "stream"])
def test_positions_are_chosen_as_tensorflow_chooses_them(make: object) -> None:
    dataset: Dataset = make(7)  # type: ignore[operator]
    assert numbers(dataset.take(2)) == [0, 1]
    assert numbers(dataset.take(-1)) == list(range(7))
    assert numbers(dataset.take(-2)) == list(range(7))
    assert numbers(dataset.take(0)) == []
    assert numbers(dataset.skip(5)) == [5, 6]
    assert numbers(dataset.skip(-1)) == []
    assert numbers(dataset.skip(9)) == []
    assert numbers(dataset.shard(3, 1)) == [1, 4]
    assert numbers(dataset.skip(1).take(4).shard(2, 1)) == [2, 4]
    assert numbers(dataset.take(2).repeat(2)) == [0, 1, 0, 1]
    assert numbers(dataset.repeat(0)) == []
    assert [(int(i), int(x)) for i, x in dataset.skip(5).enumerate(-2)] == [(-2, 5), (-1, 6)]


def test_cardinalities_are_those_of_tensorflow() -> None:
    seven = Dataset.range(7)
    unknown = seven.filter(lambda x: x > 0)
    assert [seven.shard(3, index).cardinality() for index in range(3)] == [3, 2, 2]
    assert unknown.shard(3, 0).cardinality() == UNKNOWN_CARDINALITY
    assert unknown.repeat(0).cardinality() == 0
    assert Dataset.range(0).repeat().cardinality() == 0
    assert seven.repeat().cardinality() == INFINITE_CARDINALITY
    assert seven.repeat().take(3).cardinality() == 3
    assert seven.repeat().batch(2).cardinality() == INFINITE_CARDINALITY
    assert seven.enumerate().cardinality() == 7
    assert Dataset.counter().cardinality() == INFINITE_CARDINALITY


def test_repeating_nothing_without_an_end_ends() -> None:
    assert numbers(Dataset.range(3).filter(lambda x: x > 5).repeat()) == []


@pytest.mark.parametrize(("count", "index"), [(0, 0), (3, 3), (3, -1)])
def test_shards_that_do_not_exist_are_refused(count: int, index: int) -> None:
    with pytest.raises(ArgumentError, match=f"num_shards={count}, index={index}"):
        Dataset.range(7).shard(count, index)


def test_a_count_that_is_no_whole_number_is_refused() -> None:
    with pytest.raises(ArgumentError, match="count"):
        Dataset.range(3).take(1.5)  # type: ignore[arg-type]
