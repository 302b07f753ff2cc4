"""Shuffling: global where there are addresses, in windows elsewhere."""

import numpy as np
import pytest

from mainstay.core import ArgumentError
from mainstay.data import Dataset
from mainstay.data.operations.reading import of_source
from tests.properties.data_pipelines import NumberBlocks, NumberStream


def numbers(dataset: Dataset) -> list[int]:
    return [int(x) for x in dataset]


def test_a_small_buffer_still_mixes_all_rows_of_arrays() -> None:
    found = numbers(Dataset.range(1000).shuffle(2, seed=3))
    assert sorted(found) == list(range(1000))
    assert max(abs(place - number) for place, number in enumerate(found)) > 500


def test_a_filter_does_not_keep_rows_from_being_mixed_globally() -> None:
    found = numbers(Dataset.range(1000).filter(lambda x: x % 2 == 0).shuffle(2, seed=3))
    assert sorted(found) == list(range(0, 1000, 2))
    assert max(abs(2 * place - number) for place, number in enumerate(found)) > 500


def test_passes_differ_unless_they_shall_not() -> None:
    for stream in (Dataset.range(50), of_source(NumberStream(50))):
        fresh = stream.shuffle(20, seed=1)
        assert numbers(fresh) != numbers(fresh)
        same = stream.shuffle(20, seed=1, reshuffle_each_iteration=False)
        assert numbers(same) == numbers(same)


def test_a_buffer_of_one_keeps_the_order() -> None:
    assert numbers(Dataset.range(9).shuffle(1)) == list(range(9))


def test_a_buffer_as_large_as_a_stream_mixes_all_of_it() -> None:
    firsts = {numbers(of_source(NumberStream(30)).shuffle(30, seed=seed))[0] for seed in range(60)}
    assert max(firsts) > 24
    assert min(firsts) < 6


def test_a_window_moves_no_element_further_than_its_size() -> None:
    found = numbers(of_source(NumberStream(200)).shuffle(10, seed=3))
    assert sorted(found) == list(range(200))
    assert max(abs(place - number) for place, number in enumerate(found)) < 10


def test_windows_of_different_passes_end_at_different_places() -> None:
    dataset = of_source(NumberStream(400)).shuffle(10, seed=3)
    borders = [
        tuple(end for end in range(1, 400) if max(found[:end]) == end - 1)
        for found in (numbers(dataset) for _ in range(4))
    ]
    assert len({border[0] % 10 for border in borders}) > 1


def test_blocks_are_mixed_and_all_there() -> None:
    dataset = of_source(NumberBlocks(*[5] * 20)).shuffle(20, seed=2)
    found = numbers(dataset)
    assert sorted(found) == list(range(100))
    assert max(abs(place - number) for place, number in enumerate(found)) > 50
    assert numbers(dataset) != found


def test_the_cardinality_as_buffer_mixes_all_even_where_it_is_unknown() -> None:
    stream = Dataset.range(20).flat_map(lambda x: Dataset.range(x, x + 1))
    found = numbers(stream.shuffle(stream.cardinality(), seed=1))
    assert sorted(found) == list(range(20)) != found


def test_shuffling_behind_repeat_is_local() -> None:
    found = numbers(Dataset.range(5).repeat().shuffle(4, seed=1).take(20))
    assert sorted(found[:20])
    assert max(np.bincount(found)) <= 5


@pytest.mark.parametrize("size", [0, -1, -3, 2.5, "a"])
def test_sizes_that_are_none_are_refused(size: object) -> None:
    with pytest.raises(ArgumentError, match="buffer_size"):
        Dataset.range(3).shuffle(size)  # type: ignore[arg-type]


def test_shuffling_all_of_an_infinite_dataset_is_refused_with_a_way_out() -> None:
    endless = Dataset.range(3).repeat()
    with pytest.raises(ArgumentError, match="before repeat"):
        endless.shuffle(endless.cardinality())


def test_an_unfit_seed_is_refused() -> None:
    with pytest.raises(ArgumentError, match="seed"):
        Dataset.range(3).shuffle(3, seed=1.5)  # type: ignore[arg-type]


def test_the_global_generator_of_numpy_decides_where_no_seed_is_given() -> None:
    def run() -> list[int]:
        np.random.seed(3)
        return numbers(Dataset.range(30).shuffle(30))

    assert run() == run()
