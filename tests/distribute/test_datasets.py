"""Batches on their way to the devices of a strategy."""

import itertools
from collections.abc import Iterator

import jax
import numpy as np
import pytest

from mainstay import keras
from mainstay.core import ArgumentError, DataError
from mainstay.distribute import InputContext, MirroredStrategy, OneDeviceStrategy, Strategy
from mainstay.distribute.datasets import JoinedBatches

BATCHES = [(np.full((2, 3), number, "float32"), {"y": np.arange(2)}) for number in range(5)]


@pytest.fixture
def strategy() -> MirroredStrategy:
    return MirroredStrategy(["cpu:0"])


def test_every_batch_arrives_in_order_as_often_as_asked(strategy: MirroredStrategy) -> None:
    dataset = strategy.experimental_distribute_dataset(BATCHES)
    for _ in range(2):
        arrived = list(dataset)
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(arrived))
        jax.tree.map(np.testing.assert_array_equal, arrived, BATCHES)


def test_the_length_and_the_element_spec_are_those_of_the_source(strategy: MirroredStrategy) -> None:
    class Source(list):  # type: ignore[type-arg]
        element_spec = "a spec"

    dataset = strategy.experimental_distribute_dataset(Source(BATCHES))
    assert len(dataset) == 5  # type: ignore[arg-type]
    assert dataset.element_spec == "a spec"  # type: ignore[attr-defined]


def test_a_generator_has_no_length_and_is_consumed_once(strategy: MirroredStrategy) -> None:
    dataset = strategy.experimental_distribute_dataset(batch for batch in BATCHES)
    with pytest.raises(TypeError, match="no len"):
        len(dataset)  # type: ignore[arg-type]
    assert len(list(dataset)) == 5
    assert list(dataset) == []


def test_two_batches_are_fetched_ahead(strategy: MirroredStrategy) -> None:
    fetched = []

    def source() -> Iterator[np.ndarray]:
        for number in range(5):
            fetched.append(number)
            yield np.zeros(2)

    iterator = iter(strategy.experimental_distribute_dataset(source()))
    next(iterator)
    assert fetched == [0, 1, 2]
    assert len(list(iterator)) == 4


def test_the_batches_before_a_failure_arrive(strategy: MirroredStrategy) -> None:
    def source() -> Iterator[np.ndarray]:
        yield np.zeros(2)
        yield np.ones(2)
        raise OSError("the disk is gone")

    iterator = iter(strategy.experimental_distribute_dataset(source()))
    assert [float(next(iterator)[0]) for _ in range(2)] == [0.0, 1.0]
    with pytest.raises(OSError, match="the disk is gone"):
        next(iterator)


def test_an_endless_source_is_not_exhausted(strategy: MirroredStrategy) -> None:
    iterator = iter(strategy.experimental_distribute_dataset(itertools.repeat(np.zeros(2))))
    assert next(iterator).shape == next(iterator).shape == (2,)


def test_a_py_dataset_is_a_source(strategy: MirroredStrategy) -> None:
    class Source(keras.utils.PyDataset):  # type: ignore[name-defined]
        def __len__(self) -> int:
            return len(BATCHES)

        def __getitem__(self, index: int) -> object:
            return BATCHES[index]

    dataset = strategy.experimental_distribute_dataset(Source())
    assert len(dataset) == len(list(dataset)) == 5  # type: ignore[arg-type]


def test_the_default_strategy_leaves_a_dataset_alone() -> None:
    assert Strategy().experimental_distribute_dataset(BATCHES) is BATCHES


@pytest.mark.parametrize("dataset", [np.zeros((4, 3)), 3, None], ids=["array", "number", "none"])
def test_what_is_no_dataset_is_refused(strategy: MirroredStrategy, dataset: object) -> None:
    with pytest.raises(ArgumentError, match="this is not a dataset of batches"):
        strategy.experimental_distribute_dataset(dataset)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((np.zeros((4, 3)), np.zeros(5)), r"batch 1: the arrays .* differ(.|\n)*\$\[0\] \[4, 3\], \$\[1\] \[5\]"),
        ({"x": np.zeros((4, 3)), "w": 0.5}, r"batch 1: \$\['w'\]: a value of the batch has no batch axis"),
        ((), "batch 1: a batch has no arrays"),
        ((None, None), "batch 1: a batch has no arrays"),
    ],
    ids=["rows-differ", "scalar", "empty", "none"],
)
def test_a_batch_without_one_number_of_rows_is_refused_by_its_number(batch: object, message: str) -> None:
    dataset = OneDeviceStrategy("cpu:0").experimental_distribute_dataset([np.zeros(2), batch])
    iterator = iter(dataset)
    next(iterator)
    with pytest.raises(DataError, match=message):
        next(iterator)


def test_none_stays_none(strategy: MirroredStrategy) -> None:
    [batch] = strategy.experimental_distribute_dataset([(np.zeros((2, 3)), None)])
    assert batch[1] is None


def test_batches_per_replica_are_joined_to_global_batches() -> None:
    joined = JoinedBatches([{"x": np.full((2, 1), number)} for number in range(5)], 2)
    assert len(joined) == 3
    assert [batch["x"].ravel().tolist() for batch in joined] == [[0, 0, 1, 1], [2, 2, 3, 3], [4, 4]]


def test_an_input_function_gets_the_size_of_its_batches(strategy: MirroredStrategy) -> None:
    def make(context: InputContext) -> list[np.ndarray]:
        assert context == InputContext(1, 0, 1)
        return [np.zeros(context.get_per_replica_batch_size(8))]

    [batch] = strategy.distribute_datasets_from_function(make)
    assert batch.shape == (8,)


def test_a_global_batch_that_the_replicas_do_not_divide_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"global_batch_size(.|\n)*a multiple of 4(.|\n)*received: 6"):
        InputContext(num_replicas_in_sync=4).get_per_replica_batch_size(6)
