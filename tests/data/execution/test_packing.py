import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.data.columns import Loose
from mainstay.data.execution.packing import pack_columns, unpack_columns
from mainstay.io import Ragged


def round_trip(*columns):
    described, parcel = pack_columns(columns)
    memory = np.zeros(parcel.size, np.uint8)
    for offset, part in parcel.parts:
        data = np.frombuffer(part, np.uint8)
        memory[offset : offset + data.size] = data
    return unpack_columns(described, memory), memory


texts = st.lists(st.binary(max_size=9), max_size=8)


@given(texts, st.integers(0, 3), st.booleans())
def test_strings_come_back_from_any_slice(values: list[bytes], start: int, is_large: bool) -> None:
    column = pa.array(values, pa.large_binary() if is_large else pa.binary()).slice(min(start, len(values)))
    [back], _ = round_trip(column)
    assert back.type == column.type
    assert back.to_pylist() == column.to_pylist()


@given(st.lists(texts, max_size=5))
def test_lists_of_strings_come_back(rows: list[list[bytes]]) -> None:
    column = Ragged.from_rows([np.array(row, object) for row in rows], dtype=object) if any(rows) else None
    if column is not None:
        [back], _ = round_trip(column)
        assert back.to_list() == column.to_list()


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "float64", "bfloat16", "complex64"])
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 3), (2, 0), (4, 1, 2)])
def test_arrays_of_any_dtype_and_shape_come_back(dtype: str, shape: tuple[int, ...]) -> None:
    import ml_dtypes

    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    column = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    [back], _ = round_trip(column)
    assert back.dtype == column.dtype
    assert back.shape == column.shape
    assert back.tobytes() == column.tobytes()


def test_arrays_that_are_not_contiguous_come_back() -> None:
    column = np.arange(24).reshape(4, 6)[::2, ::-1]
    [back], _ = round_trip(column)
    assert back.tolist() == column.tolist()


def test_what_comes_back_looks_at_the_memory_and_can_be_written() -> None:
    columns, memory = round_trip(np.zeros(100), np.arange(8))
    assert all(np.shares_memory(column, memory) for column in columns)
    columns[0][3] = 1
    assert memory.any()


def test_every_column_begins_at_a_cache_line() -> None:
    described, parcel = pack_columns([np.zeros(3, np.uint8), np.zeros(5), pa.array([b"abc", b"d"], pa.binary())])
    assert described
    assert all(offset % 64 == 0 for offset, _ in parcel.parts)


def test_batches_of_strings_come_back() -> None:
    column = np.array([[b"a", b"", b"ccc"], [b"\0", b"e", b"f"]], object)
    [back], _ = round_trip(column)
    assert back.dtype == object
    assert back.tolist() == column.tolist()


def test_objects_that_are_no_bytes_come_back() -> None:
    column = np.array([b"a", None, "text"], object)
    [back], _ = round_trip(column)
    assert back.tolist() == [b"a", None, "text"]


def test_strings_with_missing_values_come_back() -> None:
    [back], _ = round_trip(pa.array([b"a", None], pa.binary()))
    assert back.to_pylist() == [b"a", None]


def test_elements_of_different_shapes_come_back() -> None:
    rows = [np.ones((70, 70)), np.zeros((1, 2)), np.ones((2000, 3), np.uint8)]
    [back], memory = round_trip(Loose(rows))
    assert isinstance(back, Loose)
    assert all(
        a.shape == b.shape and a.dtype == b.dtype and (a == b).all() for a, b in zip(rows, back.rows, strict=True)
    )
    assert np.shares_memory(back.rows[0], memory)


def test_lists_of_lists_come_back() -> None:
    column = Ragged.from_rows([Ragged.from_rows([[1, 2], []]), Ragged.from_rows([[3]])])
    [back], _ = round_trip(column)
    assert back.to_list() == [[[1, 2], []], [[3]]]
    assert back.splits.dtype == column.splits.dtype
