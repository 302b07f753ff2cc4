"""The functions of `tf.data.experimental` for `Dataset.apply`."""

import pytest

from mainstay.core import ArgumentError, DataError
from mainstay.data import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset, experimental


def numbers(dataset: Dataset) -> list[int]:
    return [int(x) for x in dataset]


def odd() -> Dataset:
    return Dataset.range(10).filter(lambda x: x % 2 == 1)


def test_a_length_that_is_asserted_is_believed_and_checked() -> None:
    assert experimental.cardinality(odd()) == UNKNOWN_CARDINALITY
    right = odd().apply(experimental.assert_cardinality(5))
    assert len(right) == len(numbers(right)) == 5
    with pytest.raises(DataError, match="expected: 4"):
        numbers(odd().apply(experimental.assert_cardinality(4)))
    with pytest.raises(DataError, match="received: 5"):
        numbers(odd().apply(experimental.assert_cardinality(6)))
    with pytest.raises(DataError, match="no end"):
        numbers(odd().apply(experimental.assert_cardinality(INFINITE_CARDINALITY)))
    with pytest.raises(ArgumentError, match="expected_cardinality"):
        experimental.assert_cardinality(-5)


def test_a_surplus_element_is_not_given_out() -> None:
    iterator = odd().apply(experimental.assert_cardinality(4)).iter()
    assert [int(next(iterator)) for _ in range(4)] == [1, 3, 5, 7]
    with pytest.raises(DataError):
        next(iterator)


def test_older_names_do_what_the_methods_do() -> None:
    assert numbers(Dataset.range(4).batch(2).apply(experimental.unbatch())) == [0, 1, 2, 3]
    assert numbers(Dataset.range(4).apply(experimental.take_while(lambda x: x < 2))) == [0, 1]
    assert [int(i) for i, _ in Dataset.range(2).apply(experimental.enumerate_dataset(5))] == [5, 6]
    assert len(numbers(Dataset.range(3).apply(experimental.shuffle_and_repeat(3, 2)))) == 6
    interleaved = experimental.parallel_interleave(lambda x: Dataset.range(x, x + 2), 2, sloppy=True)
    assert numbers(Dataset.range(2).apply(interleaved)) == [0, 1, 1, 2]
    assert experimental.get_single_element(Dataset.range(7, 8)) == 7
