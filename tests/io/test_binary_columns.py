"""Columns of strings: pieces of a buffer become one, wherever they lie."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import DataError
from mainstay.io import binary_columns as module
from mainstay.io.binary_columns import binary_column, binary_parts, copy_pieces, with_gaps

DATA = np.arange(200, dtype=np.uint8)
SPANS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 60)).filter(lambda span: sum(span) <= 200), max_size=20)


def parts(spans: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array(spans, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def expected(spans: list[tuple[int, int]]) -> list[bytes]:
    return [DATA[start : start + size].tobytes() for start, size in spans]


def in_order(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those of the spans that lie one behind the other."""
    kept, end = [], 0
    for start, size in sorted(spans):
        if start >= end:
            kept.append((start, size))
            end = start + size
    return kept


@settings(max_examples=80, deadline=None)
@given(SPANS, st.integers(0, 160))
def test_pieces_are_copied_in_any_order(spans: list[tuple[int, int]], behind: int) -> None:
    for some in (spans, in_order(spans)):
        column = copy_pieces(DATA, *parts(some), behind=behind)
        column.validate(full=True)
        assert column.type == pa.binary()
        assert column.to_pylist() == expected(some)


@settings(max_examples=60, deadline=None)
@given(SPANS.map(in_order))
def test_every_second_string_is_a_piece(spans: list[tuple[int, int]]) -> None:
    column = with_gaps(DATA, *parts(spans))
    if spans:
        assert column.to_pylist()[::2] == expected(spans)
        assert b"".join(column.to_pylist()) == DATA[spans[0][0] : sum(spans[-1])].tobytes()
    else:
        assert column is None


def test_pieces_that_overlap_have_nothing_between_them() -> None:
    assert with_gaps(DATA, *parts([(0, 5), (4, 5)])) is None
    assert with_gaps(DATA, *parts([(9, 5), (2, 5)])) is None


@pytest.mark.parametrize("spans", [[(0, 3), (10, 4)], [(10, 4), (0, 3)], [(0, 50), (60, 7)]])
def test_there_is_something_behind_the_last_piece(spans: list[tuple[int, int]]) -> None:
    data, bounds = binary_parts(copy_pieces(DATA, *parts(spans), behind=160))
    assert len(data) >= bounds[-1] + 160


def test_pieces_of_more_than_two_gibibytes_have_long_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BINARY_LIMIT", 6)
    for spans in ([(0, 4), (7, 4)], [(7, 4), (0, 4)]):
        column = copy_pieces(DATA, *parts(spans))
        assert column.type == pa.large_binary()
        assert column.to_pylist() == expected(spans)
    column = copy_pieces(DATA, *parts([(0, 3), (90, 3)]))
    assert column.type == pa.binary()
    assert column.to_pylist() == expected([(0, 3), (90, 3)])


def test_what_is_no_string_is_named_by_its_place() -> None:
    with pytest.raises(DataError, match="not a string"):
        binary_column([b"a", 3])
    with pytest.raises(DataError, match="null"):
        binary_column(pa.array([b"a", None]))
