"""Datasets of one element."""

from __future__ import annotations

import numpy as np
import pytest

from mainstay.core import DataError, TensorSpec
from mainstay.data import Dataset, RaggedTensorSpec
from mainstay.io import Ragged


def test_there_is_one_element_in_the_structure_that_was_given() -> None:
    dataset = Dataset.from_tensors({"x": [[1.0, 2.0]], "y": ("text", 3)})
    (element,) = dataset.as_numpy_iterator()
    assert element["x"].tolist() == [[1.0, 2.0]]
    assert element["y"] == (b"text", 3)
    assert len(dataset) == 1
    assert dataset.element_spec["y"] == (TensorSpec((), "string"), TensorSpec((), "int32"))


def test_a_ragged_element_stays_ragged() -> None:
    ragged = Ragged.from_rows([[1], [2, 3]])
    dataset = Dataset.from_tensors(ragged)
    assert [x.to_list() for x in dataset] == [[[1], [2, 3]]]
    assert dataset.element_spec == RaggedTensorSpec((2, None), "int64")


def test_it_repeats_and_batches_like_any_other() -> None:
    assert [x.tolist() for x in Dataset.from_tensors(np.arange(2)).repeat(3).batch(2)] == [[[0, 1], [0, 1]], [[0, 1]]]


def test_what_was_given_is_not_changed_through_an_element() -> None:
    given = np.arange(3)
    (element,) = Dataset.from_tensors(given).as_numpy_iterator()
    with pytest.raises(ValueError, match="read-only"):
        element[0] = 7


def test_objects_are_refused() -> None:
    with pytest.raises(DataError, match="neither numbers nor strings"):
        Dataset.from_tensors({"a": object()})
