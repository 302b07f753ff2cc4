"""A cursor stands at any element of a stream, and its state goes on from there."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mainstay.data.chunks import Chunk
from mainstay.data.streams import Cursor, Epoch, Node, State


class Pieces(Node):
    """Numbers in chunks of given lengths, some of them empty."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths = lengths
        self.is_closed = False

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        number = state or 0
        ends = np.cumsum([0, *self.lengths])
        try:
            while number < len(self.lengths):
                rows = np.arange(ends[number], ends[number + 1])
                number += 1
                yield Chunk(0, (rows,), len(rows)), number
        finally:
            self.is_closed = True


def numbers(chunk: Chunk | None) -> list[int]:
    return [] if chunk is None else chunk.columns[0].tolist()


@given(st.lists(st.integers(0, 4), max_size=6), st.lists(st.integers(1, 5), max_size=8))
def test_reading_goes_on_from_every_state(lengths: list[int], steps: list[int]) -> None:
    rows = list(range(sum(lengths)))
    cursor, used = Cursor(Pieces(lengths), None, (0,)), 0
    for step in steps:
        again: Any = Cursor(Pieces(lengths), cursor.state, (0,))
        found: list[int] = []
        while (chunk := again.piece()) is not None:
            found += numbers(chunk)
        assert found == rows[used:]
        assert numbers(cursor.read(step)) == rows[used : used + step]
        used = min(len(rows), used + step)


def test_a_piece_ends_with_its_chunk_or_its_limit() -> None:
    cursor = Cursor(Pieces([3, 0, 2]), None, (0,))
    assert [cursor.remaining(), numbers(cursor.piece(2)), numbers(cursor.piece(2))] == [3, [0, 1], [2]]
    assert [cursor.remaining(), numbers(cursor.piece()), cursor.remaining(), cursor.piece()] == [2, [3, 4], 0, None]


def test_closing_closes_the_stream() -> None:
    node = Pieces([3])
    cursor = Cursor(node, None, (0,))
    cursor.piece(1)
    cursor.close()
    assert node.is_closed
