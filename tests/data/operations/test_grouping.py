"""Groups by key, buckets by length, and resampling by class."""

from typing import Any

import numpy as np
import pytest

from mainstay.core import ArgumentError, DataError, TensorSpec
from mainstay.data import Dataset
from mainstay.io import Ragged

LENGTHS = [1, 9, 2, 3, 5, 8, 2, 4, 9, 1, 6]


def lists(dataset: Dataset) -> list[Any]:
    return [x.tolist() for x in dataset]


def sequences(lengths: list[int]) -> Dataset:
    return Dataset.from_tensor_slices(Ragged.from_rows([np.arange(length) for length in lengths]))


def widths(dataset: Dataset) -> list[tuple[int, ...]]:
    return [x.shape for x in dataset]


def test_groups_come_as_they_are_complete_and_the_rest_by_key() -> None:
    dataset = Dataset.range(11).group_by_window(lambda x: -(x % 3), lambda key, d: d.batch(2), window_size=3)
    assert lists(dataset) == [[0, 3], [6], [1, 4], [7], [2, 5], [8], [10], [9]]
    keys = Dataset.from_tensor_slices(np.array([5, -1, 3, 7, 5, -1, 3]))
    assert lists(keys.group_by_window(lambda x: x, lambda k, d: d.batch(9), 9)) == [[-1, -1], [3, 3], [5, 5], [7]]


def test_the_size_of_a_group_may_depend_on_its_key() -> None:
    dataset = Dataset.range(6).group_by_window(lambda x: x % 2, lambda k, d: d.batch(9), None, lambda key: key + 1)
    assert lists(dataset) == [[0], [2], [1, 3], [4], [5]]


def test_the_size_of_groups_is_given_once() -> None:
    for sizes in ({}, {"window_size": 1, "window_size_func": lambda key: 1}):
        with pytest.raises(ArgumentError, match="one size"):
            Dataset.range(3).group_by_window(lambda x: x, lambda k, d: d, **sizes)  # type: ignore[arg-type]


def test_keys_are_whole_numbers() -> None:
    with pytest.raises(DataError, match="whole number"):
        list(Dataset.range(3).group_by_window(lambda x: x * 0.5, lambda k, d: d, window_size=1))


def test_buckets_are_those_of_tensorflow() -> None:
    dataset = sequences(LENGTHS).bucket_by_sequence_length(len, [3, 6], [2, 2, 2])
    assert lists(dataset) == [
        [[0, 0], [0, 1]],
        [[0, 1, 2, 0, 0], [0, 1, 2, 3, 4]],
        [list(range(9)), [*range(8), 0]],
        [[0, 1], [0, 0]],
        [list(range(9)), [*range(6), 0, 0, 0]],
        [[0, 1, 2, 3]],
    ]
    assert dataset.element_spec == TensorSpec((None, None), "int64")


def test_buckets_that_are_not_full_may_be_left_out() -> None:
    dataset = sequences(LENGTHS).bucket_by_sequence_length(len, [3, 6], [2, 2, 2], drop_remainder=True)
    assert len(lists(dataset)) == 5


def test_buckets_may_be_padded_to_their_boundary() -> None:
    dataset = sequences([1, 2, 3, 5, 2, 4]).bucket_by_sequence_length(
        len, [3, 6], [2, 2, 2], pad_to_bucket_boundary=True
    )
    assert widths(dataset) == [(2, 2), (2, 5), (1, 2), (1, 5)]
    with pytest.raises(DataError, match="row 1 of the arrays"):
        list(sequences([1, 6]).bucket_by_sequence_length(len, [3, 6], [2, 2, 2], pad_to_bucket_boundary=True))


def test_buckets_without_padding_take_one_shape() -> None:
    assert widths(sequences([2, 5, 2, 5]).bucket_by_sequence_length(len, [3], [2, 2], no_padding=True)) == [
        (2, 2),
        (2, 5),
    ]
    with pytest.raises(DataError, match="padded_batch"):
        list(sequences([1, 2]).bucket_by_sequence_length(len, [3], [2, 2], no_padding=True))


@pytest.mark.parametrize(("boundaries", "sizes"), [([3], [2]), ([3, 3], [1, 1, 1]), ([5, 3], [1, 1, 1])])
def test_buckets_that_do_not_fit_are_refused(boundaries: list[int], sizes: list[int]) -> None:
    with pytest.raises(ArgumentError, match="bucket"):
        sequences([1]).bucket_by_sequence_length(len, boundaries, sizes)


def test_a_state_of_buckets_holds_no_elements() -> None:
    iterator = sequences([1, *[9] * 400]).bucket_by_sequence_length(len, [3], [2, 8]).iter()
    for _ in range(40):
        next(iterator)
    assert len(iterator.state()) < 300


def test_resampling_brings_classes_to_the_wanted_proportions() -> None:
    for initial in (None, [2 / 3, 1 / 3]):
        dataset = Dataset.range(9000).rejection_resample(lambda x: x % 3 == 0, [0.5, 0.5], initial, seed=1)
        counts = np.bincount([int(label) for label, _ in dataset])
        assert counts.sum() > 5000
        assert abs(counts[0] / counts.sum() - 0.5) < 0.03


def test_distributions_and_classes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ArgumentError, match="target_dist"):
        Dataset.range(3).rejection_resample(lambda x: x, [-1.0, 2.0])
    with pytest.raises(ArgumentError, match="initial_dist"):
        Dataset.range(3).rejection_resample(lambda x: x, [0.5, 0.5], [1.0])
    with pytest.raises(DataError, match="no such class"):
        list(Dataset.range(3).rejection_resample(lambda x: x, [0.5, 0.5]))
