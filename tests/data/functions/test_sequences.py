"""Sequences of tf.Examples in functions: as long as those of their record, or as the longest of their batch."""

from typing import Any

import pytest

from mainstay.data import Dataset
from mainstay.io import FixedLenSequenceFeature, parse_example, parse_single_example, train

LENGTHS = [2] * 6 + [3, 1, 0, 2]


def records(**lists: int) -> list[bytes]:
    made = []
    for length in LENGTHS:
        feature = train.Feature(int64_list=train.Int64List(value=range(length * lists.get("width", 1))))
        made.append(train.Example(features=train.Features(feature={"m": feature})).SerializeToString())
    return made


def sequence(shape: Any = (), **settings: Any) -> dict[str, Any]:
    return {"m": FixedLenSequenceFeature(shape, "int64", allow_missing=True, **settings)}


@pytest.mark.parametrize("width", [1, 2])
def test_a_sequence_of_one_record_has_its_own_length(width: int) -> None:
    features = sequence() if width == 1 else sequence([2])
    dataset = Dataset.from_tensor_slices(records(width=width)).map(lambda one: parse_single_example(one, features))
    assert [len(element["m"]) for element in dataset] == LENGTHS
    if width == 1:
        assert dataset.element_spec["m"].shape == (None,)


@pytest.mark.parametrize("width", [1, 2])
def test_a_sequence_in_a_batch_is_as_long_as_the_longest_of_the_batch(width: int) -> None:
    features = sequence(default_value=-1) if width == 1 else sequence([2], default_value=-1)
    dataset = Dataset.from_tensor_slices(records(width=width)).batch(3).map(lambda some: parse_example(some, features))
    assert [element["m"].shape[1] for element in dataset] == [2, 2, 3, 2]
    assert dataset.element_spec["m"].shape[:2] == (None, None)
    assert next(iter(dataset.skip(2)))["m"].reshape(3, -1)[2].tolist() == [-1] * (3 * width)
