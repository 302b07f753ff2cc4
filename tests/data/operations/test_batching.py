"""Batches, padded batches, ragged batches, and back."""

import numpy as np
import pytest

from mainstay.core import ArgumentError, DataError, TensorSpec
from mainstay.data import Dataset, RaggedTensorSpec
from mainstay.io import Ragged


def lists(dataset: Dataset) -> list[object]:
    return [x.to_list() if isinstance(x, Ragged) else x.tolist() for x in dataset]


def first_numbers(count: np.int64) -> np.ndarray:
    return np.arange(int(count))


LENGTHS = np.array([2, 2, 3, 0, 1])


def test_rows_of_different_shapes_are_refused_with_their_place() -> None:
    dataset = Dataset.from_tensor_slices((np.zeros(5), LENGTHS)).map(lambda a, n: {"a": a, "list": first_numbers(n)})
    with pytest.raises(DataError) as caught:
        list(dataset.batch(2))
    assert "['list'], row 1 of batch 1 (row 3 of the arrays)" in str(caught.value)
    assert "shape [3], as row 0 of the batch" in str(caught.value)
    assert "received: shape [0]" in str(caught.value)
    assert "padded_batch" in str(caught.value)


def test_strings_are_batched_as_arrays_of_bytes_and_come_back() -> None:
    dataset = Dataset.from_tensor_slices([b"a", b"", b"ccc"])
    batches = list(dataset.batch(2).as_numpy_iterator())
    assert [batch.tolist() for batch in batches] == [[b"a", b""], [b"ccc"]]
    assert list(dataset.batch(2).unbatch().as_numpy_iterator()) == [b"a", b"", b"ccc"]


@pytest.mark.parametrize("size", [0, -1, 1.5, None, True])
def test_sizes_that_are_none_are_refused(size: object) -> None:
    for method in ("batch", "padded_batch", "ragged_batch", "rebatch"):
        with pytest.raises(ArgumentError, match="batch_size"):
            getattr(Dataset.range(3), method)(size)


def test_the_spec_of_batches_knows_their_size_only_where_all_are_full() -> None:
    rows = Dataset.from_tensor_slices(np.zeros((5, 3), np.float32))
    assert rows.batch(2).element_spec == TensorSpec((None, 3), "float32")
    assert rows.batch(2, drop_remainder=True).element_spec == TensorSpec((2, 3), "float32")
    assert (rows.batch(2).cardinality(), rows.batch(2, drop_remainder=True).cardinality()) == (3, 2)


def test_a_batch_of_one_chunk_is_a_view_of_the_arrays() -> None:
    array = np.arange(8)
    assert all(np.shares_memory(batch, array) for batch in Dataset.from_tensor_slices(array).batch(4))


def test_padding_fills_up_to_the_longest_row_of_each_batch() -> None:
    dataset = Dataset.from_tensor_slices(LENGTHS).map(first_numbers)
    assert lists(dataset.padded_batch(2)) == [[[0, 1], [0, 1]], [[0, 1, 2], [0, 0, 0]], [[0]]]
    assert lists(dataset.padded_batch(2, [4], -1, True)) == [
        [[0, 1, -1, -1], [0, 1, -1, -1]],
        [[0, 1, 2, -1], [-1, -1, -1, -1]],
    ]


def test_padding_takes_structures_of_shapes_and_values() -> None:
    dataset = Dataset.from_tensor_slices({"a": [[1, 2]], "b": [b"x"]})
    found = next(iter(dataset.padded_batch(1, {"a": [3], "b": []}, padding_values={"a": 9, "b": b"?"})))
    assert found["a"].tolist() == [[1, 2, 9]]
    assert found["b"].tolist() == [b"x"]
    pairs = Dataset.from_tensor_slices(([[1, 2, 3]], [1]))
    spec = pairs.padded_batch(2, ([5], []), drop_remainder=True).element_spec
    assert spec == (TensorSpec((2, 5), "int64"), TensorSpec((2,), "int64")) or spec == (
        TensorSpec((2, 5), "int32"),
        TensorSpec((2,), "int32"),
    )


def test_padding_of_lists_of_strings_takes_strings() -> None:
    dataset = Dataset.from_tensor_slices(Ragged.from_rows([[b"x", b"y"], [b"z"]]))
    assert lists(dataset.padded_batch(2, padding_values=b"?")) == [[[b"x", b"y"], [b"z", b"?"]]]
    with pytest.raises(ArgumentError, match="padding_values"):
        list(dataset.padded_batch(2, padding_values=1))


def test_padding_fills_every_axis() -> None:
    dataset = Dataset.from_tensor_slices(np.array([1, 2])).map(lambda n: np.ones((int(n), 3 - int(n))))
    assert lists(dataset.padded_batch(2)) == [[[[1, 1], [0, 0]], [[1, 0], [1, 0]]]]


def test_a_row_that_is_longer_than_its_shape_is_refused_with_its_place() -> None:
    dataset = Dataset.from_tensor_slices(LENGTHS).map(first_numbers)
    with pytest.raises(DataError, match=r"row 0 of batch 1 \(row 2 of the arrays\)"):
        list(dataset.padded_batch(2, [2]))


def test_shapes_of_another_structure_are_refused() -> None:
    with pytest.raises(ArgumentError, match="padded_shapes"):
        list(Dataset.from_tensor_slices(([1], [2])).padded_batch(2, ([], [], [])))
    with pytest.raises(ArgumentError, match="padding_values"):
        list(Dataset.from_tensor_slices([[1]]).padded_batch(2, [3], 0.5))


def test_ragged_batches_keep_what_has_one_shape_as_arrays() -> None:
    rows = Ragged.from_rows([[1], [2, 3], []])
    dataset = Dataset.from_tensor_slices({"list": rows, "number": np.arange(3)}).ragged_batch(2)
    first = next(iter(dataset))
    assert first["list"].to_list() == [[1], [2, 3]]
    assert first["number"].tolist() == [0, 1]
    assert isinstance(dataset.element_spec["list"], RaggedTensorSpec)
    assert dataset.element_spec["number"].shape == (None,)


def test_ragged_batches_of_a_row_function_are_always_ragged() -> None:
    same = Dataset.from_tensor_slices(np.array([2, 2])).map(first_numbers).ragged_batch(2)
    assert lists(same) == [[[0, 1], [0, 1]]]
    assert isinstance(next(iter(same)), Ragged)


def test_row_splits_may_have_32_bits() -> None:
    rows = Dataset.from_tensor_slices(Ragged.from_rows([[1], [2, 3]]))
    assert next(iter(rows.ragged_batch(2, row_splits_dtype="int32"))).splits.dtype == np.int32
    with pytest.raises(ArgumentError, match="row_splits_dtype"):
        rows.ragged_batch(2, row_splits_dtype="int8")


def test_rebatching_gives_sizes_in_turns() -> None:
    dataset = Dataset.range(10).batch(4)
    assert lists(dataset.rebatch(3)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert lists(dataset.rebatch([2, 3], drop_remainder=True)) == [[0, 1], [2, 3, 4], [5, 6], [7, 8, 9]]
    assert lists(dataset.rebatch([2, 1])) == [[0, 1], [2], [3, 4], [5], [6, 7], [8], [9]]
    full = Dataset.range(10).batch(5, drop_remainder=True)
    assert full.rebatch([2, 1]).cardinality() == len(lists(full.rebatch([2, 1]))) == 7
    with pytest.raises(ArgumentError, match="batch_size"):
        dataset.rebatch([])


def test_what_has_no_axis_is_not_taken_apart() -> None:
    with pytest.raises(DataError, match="no rows"):
        list(Dataset.range(3).unbatch())


def test_components_with_different_numbers_of_rows_are_not_taken_apart() -> None:
    with pytest.raises(DataError, match=r"3 rows, as in \[0\]"):
        list(Dataset.from_tensor_slices((np.zeros((1, 3)), np.zeros((1, 2)))).unbatch())


def test_sparse_batches_are_refused_with_a_way_out() -> None:
    with pytest.raises(ArgumentError, match="ragged_batch"):
        Dataset.range(3).sparse_batch(2, [4])


def test_batches_of_lists_are_batched_again_and_come_back() -> None:
    rows = Dataset.from_tensor_slices(Ragged.from_rows([[1], [2, 3], [], [4], [5, 6]]))
    twice = rows.batch(2).batch(2)
    assert lists(twice) == [[[[1], [2, 3]], [[], [4]]], [[[5, 6]]]]
    assert lists(twice.unbatch()) == [[[1], [2, 3]], [[], [4]], [[5, 6]]]
    assert lists(twice.unbatch().unbatch()) == [[1], [2, 3], [], [4], [5, 6]]
    assert lists(rows.batch(2).rebatch(3)) == [[[1], [2, 3], []], [[4], [5, 6]]]
    assert lists(rows.batch(2).shuffle(1).unbatch()) == [[1], [2, 3], [], [4], [5, 6]]


def test_a_number_is_the_shape_of_rows_with_one_axis() -> None:
    dataset = Dataset.range(1, 3).map(lambda n: np.arange(int(n))).padded_batch(2, padded_shapes=3)
    assert next(iter(dataset)).tolist() == [[0, 0, 0], [0, 1, 0]]
