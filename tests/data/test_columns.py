"""Columns of every kind are cut, taken, joined, stacked, grouped and taken apart alike."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import DataError
from mainstay.data import columns
from mainstay.data.columns import Loose
from mainstay.io import Ragged, Spans

KINDS: dict[str, Any] = {
    "numbers": np.arange(12).reshape(6, 2),
    "strings": pa.array([b"a", b"", b"ccc", b"d", b"ee", b"f"], pa.binary()),
    "lists": Ragged.from_rows([[1], [], [2, 3], [4], [5, 6, 7], []], dtype="int64"),
    "loose": Loose([np.zeros(n) for n in (1, 3, 0, 2, 2, 1)]),
}


def plain(rows: Any) -> list[Any]:
    return [row.tolist() if hasattr(row, "tolist") else row for row in columns.rows(rows)]


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(start=st.integers(0, 6), length=st.integers(0, 6), picked=st.lists(st.integers(0, 5), max_size=8))
def test_parts_of_columns_are_those_of_lists(kind: str, start: int, length: int, picked: list[int]) -> None:
    column, rows = KINDS[kind], plain(KINDS[kind])
    stop = min(6, start + length)
    assert plain(columns.cut(column, start, stop)) == rows[start:stop]
    assert plain(columns.take(column, np.array(picked, np.int64))) == [rows[index] for index in picked]
    joined = columns.join([columns.cut(column, 0, start), columns.cut(column, start, 6)])
    assert plain(joined) == rows
    assert columns.num_bytes(column) >= 0


@pytest.mark.parametrize("kind", ["numbers", "strings"])
def test_what_is_grouped_is_ungrouped(kind: str) -> None:
    grouped = columns.group(KINDS[kind], 3)
    assert len(grouped) == 2
    assert plain(columns.ungroup(grouped)) == plain(KINDS[kind])


def test_batches_without_rows_are_taken_apart() -> None:
    assert columns.ungroup(np.zeros((2, 0, 3))).shape == (0, 3)
    assert columns.ungroup(np.zeros((2, 3, 0))).shape == (6, 0)


def test_stacking_refuses_a_dtype_that_changes_and_says_where() -> None:
    with pytest.raises(DataError, match="element 2 of 3"):
        columns.stack([np.float32(1), np.float32(2), np.float64(3)])
    with pytest.raises(DataError, match="strings with other values"):
        columns.stack([b"a", 5])


def test_stacking_gives_the_kind_that_fits() -> None:
    assert columns.is_text(columns.stack([b"a", "ü"]))
    assert isinstance(columns.stack([np.zeros(2), np.zeros(3)]), Loose)
    assert columns.stack([np.zeros(2), np.ones(2)]).shape == (2, 2)


def test_joining_refuses_other_dtypes_and_kinds() -> None:
    with pytest.raises(DataError, match="dtypes"):
        columns.join([np.zeros(2), np.zeros(2, np.int64)])
    with pytest.raises(DataError, match="kinds"):
        columns.join([np.zeros(2), KINDS["strings"]])


def test_arrays_of_different_shapes_are_joined_loosely() -> None:
    joined = columns.join([np.zeros((1, 2)), np.zeros((1, 3))])
    assert [row.shape for row in columns.rows(joined)] == [(2,), (3,)]


def test_strings_where_they_lie_are_cut_taken_joined_and_read_like_others() -> None:
    words = [b"one", b"", b"three", b"four"]
    data, other = (np.frombuffer(b"..".join(words), np.uint8) for _ in range(2))
    offsets, lengths = np.array([0, 5, 7, 14]), np.array([3, 0, 5, 4])
    spans = Spans(data, offsets, lengths)
    assert columns.rows(spans) == words
    assert columns.row(spans, 2) == b"three"
    assert columns.kind_of(spans) == "strings"
    assert columns.num_bytes(spans) == 12
    assert columns.plain(columns.cut(spans, 1, 3)).to_pylist() == words[1:3]
    assert columns.plain(columns.take(spans, np.array([3, 0]))).to_pylist() == [b"four", b"one"]
    again = columns.join([columns.cut(spans, 0, 1), columns.cut(spans, 3, 4)])
    assert again.data is data
    assert columns.plain(again).to_pylist() == [b"one", b"four"]
    apart = columns.join([spans, Spans(other, offsets, lengths), columns.strings([b"more"])])
    assert apart.to_pylist() == [*words, *words, b"more"]
    assert columns.group(spans, 2).tolist() == [words[:2], words[2:]]
    assert columns.plain(columns.Texts(spans, 2)).tolist() == [words[:2], words[2:]]
