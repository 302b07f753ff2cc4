"""Chunks hold many elements and know where each came from."""

import numpy as np
import pytest

from mainstay.core import DataError
from mainstay.data.chunks import Chunk, Origin, join


def chunk(start: int, stop: int) -> Chunk:
    rows = range(start, stop)
    return Chunk.of({"x": np.array(rows), "y": np.array(rows) * 2}, origin=Origin("row {}".format, rows))


def test_elements_keep_their_address_through_cuts_picks_and_joins() -> None:
    picked = join([chunk(0, 4).cut(2, 4), chunk(10, 13).take(np.array([2, 0]))])
    assert [row["x"] for row in picked.rows()] == [2, 3, 12, 10]


def test_an_origin_is_joined_where_one_source_tells_it() -> None:
    describe = "row {}".format
    one, two = (Chunk.of(np.arange(2), origin=Origin(describe, rows)) for rows in (range(2), range(7, 9)))
    assert join([one, two]).address(3) == "row 8"
    assert join([one, Chunk.of(np.arange(2))]).address(1) == "row 1 of the chunk"


def test_rows_become_a_chunk_of_one_structure() -> None:
    made = Chunk.of_rows([{"a": 1, "b": b"x"}, {"b": b"y", "a": 2}])
    assert list(made.rows()) == [{"a": 1, "b": b"x"}, {"a": 2, "b": b"y"}]
    with pytest.raises(DataError, match="element 1 of 2"):
        Chunk.of_rows([{"a": 1}, {"b": 1}])


def test_joining_other_structures_is_refused() -> None:
    with pytest.raises(DataError, match="structure"):
        join([Chunk.of((np.arange(2), np.arange(2))), Chunk.of(np.arange(2))])


def test_filtering_keeps_what_the_mask_says() -> None:
    whole = chunk(0, 4)
    assert whole.filter(np.ones(4, bool)) is whole
    assert [row["y"] for row in whole.filter(np.array([True, False, False, True])).rows()] == [0, 6]


def test_frozen_arrays_cannot_be_changed() -> None:
    frozen = chunk(0, 3).frozen()
    with pytest.raises(ValueError, match="read-only"):
        frozen.columns[0][0] = 5


def test_a_chunk_without_columns_has_a_length() -> None:
    assert list(Chunk.of((), length=3).rows()) == [(), (), ()]
