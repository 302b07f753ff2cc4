"""Zip, concatenate, and mixing by choices and by weights."""

import numpy as np
import pytest

from mainstay.core import ArgumentError, DataError, TensorSpec
from mainstay.data import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset
from mainstay.data.operations.reading import of_source
from tests.properties.data_pipelines import NumberStream


def numbers(dataset: Dataset) -> list[int]:
    return [int(x) for x in dataset]


def test_zip_takes_datasets_and_any_structure_of_them() -> None:
    a, b, c = Dataset.range(3), of_source(NumberStream(9)), Dataset.range(7, 9)
    assert [(int(x), int(y)) for x, y in Dataset.zip(a, b)] == [(0, 0), (1, 1), (2, 2)]
    assert [tuple(map(int, x)) for x in Dataset.zip((a, c))] == [(0, 7), (1, 8)]
    assert numbers(Dataset.zip(a)) == [0, 1, 2]
    assert [len(x) for x in Dataset.zip((a,))] == [1, 1, 1]
    first = next(iter(Dataset.zip({"x": a, "y": (b, c)})))
    assert first == {"x": 0, "y": (0, 7)}
    assert Dataset.zip(datasets=(a, c)).cardinality() == 2
    assert Dataset.zip((a, b)).cardinality() == UNKNOWN_CARDINALITY


def test_zip_of_addresses_is_shuffled_globally_and_stays_together() -> None:
    dataset = Dataset.zip((Dataset.range(500), Dataset.range(500).map(lambda x: -x))).shuffle(2, seed=1)
    pairs = [(int(a), int(b)) for a, b in dataset]
    assert all(a == -b for a, b in pairs)
    assert max(abs(place - a) for place, (a, _) in enumerate(pairs)) > 250


@pytest.mark.parametrize("wrong", [[Dataset.range(3)], (Dataset.range(3), [1]), 5, {}, ()])
def test_zip_of_what_is_no_dataset_is_refused(wrong: object) -> None:
    with pytest.raises(ArgumentError, match="zip"):
        Dataset.zip(wrong)
    with pytest.raises(ArgumentError, match="zip"):
        Dataset.zip()


def test_concatenated_addresses_are_shuffled_globally() -> None:
    dataset = Dataset.range(300).concatenate(Dataset.range(300, 500))
    assert numbers(dataset) == list(range(500))
    assert dataset.cardinality() == 500
    shuffled = numbers(dataset.shuffle(2, seed=1))
    assert sorted(shuffled) == list(range(500))
    assert max(shuffled[:50]) > 300
    assert numbers(dataset.skip(298).take(4)) == [298, 299, 300, 301]


def test_concatenating_other_elements_is_refused() -> None:
    with pytest.raises(ArgumentError, match="dataset 1"):
        list(Dataset.range(3).concatenate(Dataset.from_tensor_slices(np.zeros(2, np.float32))))
    with pytest.raises(ArgumentError, match="structure"):
        list(Dataset.range(3).concatenate(Dataset.range(3).enumerate()))
    with pytest.raises(ArgumentError, match="no dataset"):
        Dataset.range(3).concatenate([1])  # type: ignore[arg-type]


def test_concatenating_relaxes_shapes() -> None:
    wide, narrow = Dataset.from_tensor_slices(np.zeros((2, 4))), Dataset.from_tensor_slices(np.zeros((2, 3)))
    assert narrow.concatenate(wide).element_spec == TensorSpec((None,), "float64")
    assert [x.shape for x in narrow.concatenate(wide)] == [(3,), (3,), (4,), (4,)]


def test_choices_of_a_dataset_that_ended_end_it_or_are_passed_over() -> None:
    parts = [Dataset.range(3), Dataset.range(10, 20)]
    choices = Dataset.from_tensor_slices(np.array([0, 1, 0, 0, 0, 1, 1]))
    assert numbers(Dataset.choose_from_datasets(parts, choices)) == [0, 10, 1, 2]
    assert numbers(Dataset.choose_from_datasets(parts, choices, stop_on_empty_dataset=False)) == [0, 10, 1, 2, 11, 12]


def test_a_choice_of_no_dataset_is_refused_with_its_place() -> None:
    choices = Dataset.from_tensor_slices(np.array([0, 2]))
    with pytest.raises(DataError, match="row 1 of the arrays"):
        list(Dataset.choose_from_datasets([Dataset.range(3), Dataset.range(3)], choices))


def test_samples_follow_their_weights_and_lose_nothing() -> None:
    parts = [Dataset.range(1000), Dataset.range(1000, 2000), Dataset.range(2000, 3000)]
    found = numbers(Dataset.sample_from_datasets(parts, [0.5, 0.3, 0.2], seed=1))
    assert sorted(found) == list(range(3000))
    counts = np.bincount(np.array(found[:1000]) // 1000)
    assert np.allclose(counts / 1000, [0.5, 0.3, 0.2], atol=0.06)


def test_samples_end_with_the_first_dataset_if_wanted() -> None:
    parts = [Dataset.range(10), Dataset.range(100, 2000)]
    found = numbers(Dataset.sample_from_datasets(parts, seed=1, stop_on_empty_dataset=True))
    assert sum(x < 100 for x in found) == 10
    assert len(found) < 100


def test_samples_repeat_in_every_pass_unless_rerandomized() -> None:
    parts = [Dataset.range(20), Dataset.range(100, 120)]
    same = Dataset.sample_from_datasets(parts, seed=3)
    fresh = Dataset.sample_from_datasets(parts, seed=3, rerandomize_each_iteration=True)
    assert numbers(same) == numbers(same)
    assert numbers(fresh) != numbers(fresh)


def test_weights_may_change_from_element_to_element() -> None:
    weights = Dataset.from_tensor_slices(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]))
    parts = [Dataset.range(3), Dataset.range(10, 13)]
    assert numbers(Dataset.sample_from_datasets(parts, weights)) == [0, 10, 11, 1]


def test_a_weight_of_zero_leaves_a_dataset_out() -> None:
    parts = [Dataset.range(3), Dataset.range(10, 13)]
    assert numbers(Dataset.sample_from_datasets(parts, [0.0, 1.0])) == [10, 11, 12]
    endless = Dataset.sample_from_datasets([Dataset.range(3).repeat(), Dataset.range(9)])
    assert endless.cardinality() == INFINITE_CARDINALITY


@pytest.mark.parametrize("weights", [[1.0], [-1.0, 2.0], [0.0, 0.0], [float("nan"), 1.0]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ArgumentError, match="weights"):
        Dataset.sample_from_datasets([Dataset.range(3), Dataset.range(3)], weights)


def test_nothing_to_choose_from_is_refused() -> None:
    with pytest.raises(ArgumentError, match="datasets"):
        Dataset.sample_from_datasets([])
    with pytest.raises(ArgumentError, match=r"datasets\[1\]"):
        Dataset.sample_from_datasets([Dataset.range(3), 5])  # type: ignore[list-item]
