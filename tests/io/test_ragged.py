"""Ragged columns: rows in and out, what they refuse, and the conveniences of TensorFlow."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArgumentError, DataError
from mainstay.io import Ragged

NUMBERS = st.lists(st.lists(st.integers(-5, 5), max_size=4), min_size=1, max_size=6)
STRINGS = st.lists(st.lists(st.binary(max_size=3), max_size=4), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(NUMBERS | STRINGS, st.data())
def test_rows_come_back_however_they_are_picked(rows: list[list[object]], data: st.DataObject) -> None:
    column = Ragged.from_rows(rows, dtype=None if any(rows) else np.int64)
    assert column.to_list() == rows
    assert len(column) == column.nrows() == len(rows)
    assert column.row_lengths().tolist() == [len(row) for row in rows]
    picked = data.draw(st.lists(st.integers(-len(rows), len(rows) - 1), max_size=6))
    assert column[np.array(picked, np.int64)].to_list() == [rows[row] for row in picked]
    start, stop = data.draw(st.tuples(*[st.integers(-8, 8)] * 2))
    step = data.draw(st.sampled_from([1, 2, -1]))
    assert column[start:stop:step].to_list() == rows[start:stop:step]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    assert column[mask].to_list() == [row for row, kept in zip(rows, mask, strict=True) if kept]
    assert [list(row) for row in column] == rows
    assert Ragged.concatenate([column, column]).to_list() == rows + rows


@settings(max_examples=40, deadline=None)
@given(NUMBERS, st.integers(0, 5), st.integers(0, 7))
def test_a_tensor_is_filled_up_and_cut_off(rows: list[list[int]], width: int, height: int) -> None:
    column = Ragged.from_rows(rows, dtype=np.int64)
    longest = max(map(len, rows))
    assert column.to_tensor().tolist() == [row + [0] * (longest - len(row)) for row in rows]
    expected = [(row + [9] * width)[:width] for row in (rows + [[]] * height)[:height]]
    assert column.to_tensor(9, shape=(height, width)).tolist() == expected
    assert column.to_tensor(shape=(None, width)).shape == (len(rows), width)


def test_strings_are_kept_with_the_zero_bytes_at_their_end() -> None:
    column = Ragged.from_rows([[b"a\0"], [], ["é", b""]])
    assert column.to_list() == [[b"a\0"], [], ["é".encode(), b""]]
    assert isinstance(column.values, pa.BinaryArray)
    assert column.dtype == object
    assert column[0].tolist() == [b"a\0"]
    assert column.to_tensor().tolist() == [[b"a\0", b""], [b"", b""], ["é".encode(), b""]]
    assert column[1:].to_list() == [[], ["é".encode(), b""]]
    assert repr(column[:1]) == "Ragged([[b'a\\x00']], dtype=bytes)"
    assert Ragged([b"x\0", b"y"], [0, 1, 2]).to_list() == [[b"x\0"], [b"y"]]


def test_rows_of_rows_are_a_ragged_of_a_ragged() -> None:
    inner = Ragged(np.arange(5), [0, 2, 2, 5])
    column = Ragged(inner, [0, 1, 3])
    assert column.to_list() == [[[0, 1]], [[], [2, 3, 4]]]
    assert column.shape == (2, None, None)
    assert column[1].to_list() == [[], [2, 3, 4]]
    assert column[1:].to_list() == [[[], [2, 3, 4]]]
    assert column.take(np.array([1, 0])).to_list() == [[[], [2, 3, 4]], [[0, 1]]]
    assert column.flat_values.tolist() == [0, 1, 2, 3, 4]
    assert column.to_tensor().tolist() == [[[0, 1, 0], [0, 0, 0]], [[0, 0, 0], [2, 3, 4]]]
    assert column.to_tensor(shape=(None, 1, 2)).tolist() == [[[0, 1]], [[0, 0]]]
    assert Ragged.from_rows([column[0], column[1]]).to_list() == column.to_list()
    assert Ragged.concatenate([column, column]).to_list() == column.to_list() * 2


def test_values_may_have_inner_axes() -> None:
    column = Ragged(np.arange(6).reshape(3, 2), [0, 1, 3])
    assert column.shape == (2, None, 2)
    assert column[1].tolist() == [[2, 3], [4, 5]]
    assert column.to_tensor().shape == (2, 2, 2)
    with pytest.raises(ArgumentError, match="does not fit"):
        column.to_tensor(shape=(None, None, 3))
    with pytest.raises(ArgumentError, match="does not fit"):
        column.to_tensor(shape=(None,))


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ([1, 3], "begin with 0"),
        ([0, 2], "end with the number"),
        ([], "begin with 0"),
        ([[0, 3]], "begin with 0"),
        ([0, 2, 1, 3], r"splits\[2\]"),
        ([0.0, 3.0], "whole numbers"),
    ],
)
def test_splits_that_break_their_rule_are_refused(splits: list[object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Ragged(np.arange(3), np.array(splits) if splits else np.empty(0, np.int64))


def test_values_that_are_no_column_are_refused() -> None:
    with pytest.raises(ArgumentError, match="at least one axis"):
        Ragged(np.array(3), [0, 1])
    with pytest.raises(DataError, match="null"):
        Ragged(pa.array([b"a", None]), [0, 2])
    with pytest.raises(DataError, match=r"Ragged\.values\[1\]"):
        Ragged([b"a", 3], [0, 2])
    with pytest.raises(IndexError, match="row 2 of 2"):
        Ragged(np.arange(3), [0, 1, 3])[2]
    with pytest.raises(IndexError):
        Ragged(np.arange(3), [0, 1, 3]).take(np.array([2]))
    with pytest.raises(ArgumentError, match="nothing to concatenate"):
        Ragged.concatenate([])


def test_a_large_column_is_shown_short_and_splits_keep_their_type() -> None:
    column = Ragged(np.zeros(1000, np.float32), np.array([0, 1000], np.int32))
    assert repr(column) == "Ragged(<1 rows, 1,000 values>, dtype=float32)"
    assert column.splits.dtype == np.int32
    assert column.take(np.array([0, 0])).splits.dtype == np.int32
    assert column.nbytes == 4008
    assert Ragged(np.arange(2), np.array([0, 2], np.uint8)).splits.dtype == np.int64


def test_wide_and_narrow_arrays_of_strings_are_joined() -> None:
    wide = Ragged(pa.array([b"a"], pa.large_binary()), [0, 1])
    narrow = Ragged(pa.array([b"x", b"b", b"c"]).slice(1), [0, 2])
    assert Ragged.concatenate([narrow, wide]).to_list() == [[b"b", b"c"], [b"a"]]


def test_no_rows_are_a_column_too() -> None:
    column = Ragged.from_rows([], np.int64)
    assert (column.to_list(), column.dtype, column.to_tensor().shape) == ([], np.int64, (0, 0))
