"""Datasets of objects that have a length and rows by index."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import pytest

from mainstay.core import ArgumentError, DataError, TensorSpec
from mainstay.data import Dataset


class Rows:
    """Rows by index and nothing else, as a map-style dataset of PyTorch."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        if index < 0 or type(index) is not int:
            raise AssertionError(index)
        return self.rows[index]


class Many(Rows):
    """Rows by many indices at a time, as in ArrayRecord."""

    calls = 0

    def __getitems__(self, indices: list[int]) -> list[Any]:
        self.calls += 1
        return [self.rows[index] for index in indices]


class Tensor:
    """A value that is an array only by protocol, as a tensor of PyTorch."""

    def __init__(self, value: Any, requires_grad: bool = False) -> None:
        self.value, self.requires_grad = np.asarray(value), requires_grad

    def detach(self) -> Tensor:
        return Tensor(self.value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.requires_grad:
            raise RuntimeError("detach it first")
        return self.value


def test_rows_come_in_order_in_their_structure() -> None:
    rows = [({"x": np.full(2, i, np.float32), "s": f"row {i}"}, i) for i in range(100)]
    dataset = Dataset.from_source(Rows(rows))
    assert len(dataset) == 100
    assert dataset.element_spec == (
        {"x": TensorSpec((2,), "float32"), "s": TensorSpec((), "string")},
        TensorSpec((), "int64"),
    )
    elements = list(dataset.as_numpy_iterator())
    assert [e[1] for e in elements] == list(range(100))
    assert elements[7][0]["s"] == b"row 7"


def test_a_shuffle_is_global_and_resumable() -> None:
    dataset = Dataset.from_source(Rows(list(range(1000)))).shuffle(10, seed=3).batch(100)
    iterator = dataset.iter()
    first = next(iterator).tolist()
    assert max(first) > 500
    assert [x.tolist() for x in dataset.iter(iterator.state())] == [x.tolist() for x in iterator]


def test_many_rows_are_asked_for_at_once_where_that_is_possible() -> None:
    source = Many([bytes([i]) for i in range(64)])
    assert [bytes(x) for x in Dataset.from_source(source)] == [bytes([i]) for i in range(64)]
    assert source.calls < 16


def test_getitems_must_give_as_many_rows_as_it_was_asked_for() -> None:
    class Short(Many):
        def __getitems__(self, indices: list[int]) -> list[Any]:
            return super().__getitems__(indices)[:-1]

    with pytest.raises(DataError, match="another number of rows"):
        list(Dataset.from_source(Short(list(range(10))), TensorSpec((), "int64")))


def test_tensors_and_images_are_arrays_by_protocol() -> None:
    rows = Rows([(Tensor([1.0, 2.0], requires_grad=True), Tensor(3)) for _ in range(3)])
    assert [(x.tolist(), int(y)) for x, y in Dataset.from_source(rows)] == [([1.0, 2.0], 3)] * 3


def test_numpy_arrays_are_rows_without_a_copy_and_lists_are_rows() -> None:
    assert [x.tolist() for x in Dataset.from_source(np.arange(4).reshape(2, 2))] == [[0, 1], [2, 3]]
    assert [int(x) for x in Dataset.from_source([5, 6])] == [5, 6]


class OnDisk:
    """An array that is read by slices and by rising lists of indices, as one of h5py."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: Any) -> Any:
        if not isinstance(rows, slice) and rows != sorted(set(rows)):
            raise TypeError("indices must rise")
        return self.array[rows]


def test_arrays_on_disk_are_read_by_slices() -> None:
    array = np.arange(200).reshape(100, 2)
    dataset = Dataset.from_source(OnDisk(array))
    np.testing.assert_array_equal(np.stack(list(dataset)), array)
    shuffled = np.stack(list(dataset.shuffle(100, seed=1)))
    np.testing.assert_array_equal(np.sort(shuffled[:, 0]), array[:, 0])


def test_what_can_only_be_iterated_points_to_from_generator() -> None:
    with pytest.raises(ArgumentError, match="from_generator"):
        Dataset.from_source(iter([1, 2]))


def test_a_length_without_end_is_refused() -> None:
    class Endless(Rows):
        def __len__(self) -> int:
            return sys.maxsize

    with pytest.raises(ArgumentError, match="not yet repeated"):
        Dataset.from_source(Endless([1]))


def test_a_row_that_is_not_there_is_an_error_with_its_index() -> None:
    class Longer(Rows):
        def __len__(self) -> int:
            return 5

    with pytest.raises(DataError, match=r"row 3 of the Longer(?s:.)*fewer rows"):
        list(Dataset.from_source(Longer([1, 2, 3]), TensorSpec((), "int64")))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (2.5, "row 17"),
        ("text", "row 17"),
        ({"a": 1}, "row 17"),
        ([1, 2], "row 17"),
        (None, r"row 17(?s:.)*filter here"),
    ],
)
def test_a_row_of_another_type_is_an_error_with_its_index(bad: Any, message: str) -> None:
    rows: list[Any] = list(range(40))
    rows[17] = bad
    with pytest.raises(DataError, match=message):
        list(Dataset.from_source(Rows(rows)))


def test_rows_of_several_shapes_have_a_free_axis_if_a_sample_or_the_spec_says_so() -> None:
    rows = Rows([np.zeros(i + 1) for i in range(9)])
    assert Dataset.from_source(rows).element_spec == TensorSpec((None,), "float64")
    rows = Rows([np.zeros(3 if i == 1 else 2) for i in range(9)])
    with pytest.raises(DataError, match=r"row 1 (?s:.)*element_spec"):
        list(Dataset.from_source(rows))
    assert len(list(Dataset.from_source(rows, TensorSpec((None,), "float64")))) == 9


def test_no_rows_need_a_spec() -> None:
    with pytest.raises(ArgumentError, match="element_spec"):
        _ = Dataset.from_source([]).element_spec
    assert list(Dataset.from_source([], TensorSpec((), "int32"))) == []


def test_an_exception_says_at_which_row_it_was() -> None:
    class Broken(Rows):
        def __getitem__(self, index: int) -> Any:
            if index == 9:
                raise OSError("gone")
            return self.rows[index]

    with pytest.raises(OSError, match="gone") as raised:
        list(Dataset.from_source(Broken(list(range(20))), TensorSpec((), "int64")))
    assert any("row 9 of the Broken" in note for note in raised.value.__notes__)


def test_an_object_that_is_not_thread_safe_is_asked_by_one_thread_at_a_time() -> None:
    class Alone(Rows):
        inside = threading.Lock()

        def __getitem__(self, index: int) -> Any:
            if not self.inside.acquire(blocking=False):
                raise AssertionError("two threads")
            try:
                return np.zeros(100).sum() + self.rows[index]
            finally:
                self.inside.release()

    assert len(list(Dataset.from_source(Alone(list(range(3000))), thread_safe=False))) == 3000
