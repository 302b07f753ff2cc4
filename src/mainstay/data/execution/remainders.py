"""Remainders: the state of a stream whose chunks come in whatever order they are done.

Such a state says where to go on, and what was under way, each piece by the states around it:
``{"unordered": [state, [[before, after], ...]]}``. Resuming does the pieces first, in the order of the list, so that
nothing is lost and nothing comes twice.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mainstay.core import ArgumentError
from mainstay.data.feeds import BlockFeed, Feed, RowFeed
from mainstay.data.streams import Epoch, State, close_iterator

_KEY = "unordered"


@dataclass(frozen=True)
class Piece:
    """An address with the states before and after it."""

    address: Any
    before: State
    after: State


class Remainder(dict[str, Any]):
    """The state of a stream without an order; it is written on as long as somebody holds it.

    A stage further on may refer to an element inside of a chunk that came later, by this state and a number of
    elements. What came after the state, in which order, therefore has to be what a resumed stream gives too: as long as
    the state is referred to, every delivery moves to the front of its list. What remains to come is the same at all
    times, and every change is one assignment: another thread may write the state down meanwhile.

    Args:
        owner: The stream.
        start: Where to go on.
        pending: The states around each piece that is under way.
    """

    def __init__(self, owner: Remainders, start: State, pending: list[list[State]]) -> None:
        super().__init__({_KEY: [start, pending]})
        self.owner = owner
        self._told = 0

    def tell(self, piece: list[State], pending: list[list[State]], start: State) -> None:
        """Note what was delivered, what is under way now, and where to go on after that."""
        delivered = self[_KEY][1][: self._told]
        self[_KEY] = [start, [*delivered, piece, *pending]]
        self._told += 1

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class Remainders:
    """The states of one stream without an order that somebody still refers to."""

    def __init__(self) -> None:
        self._alive: list[weakref.ref[Remainder]] = []
        self._is_settled = False

    def delivered(self, piece: list[State], pending: list[list[State]], start: State) -> Remainder:
        """Note what was delivered in the states so far, and return the state after it.

        Args:
            piece: The states around what was delivered.
            pending: Those around each piece that is under way.
            start: The state to go on from after them.
        """
        alive = []
        for reference in self._alive:
            remainder = reference()
            if remainder is not None:
                remainder.tell(piece, pending, start)
                alive.append(reference)
        remainder = Remainder(self, start, pending)
        self._alive = [*alive, weakref.ref(remainder)]
        return remainder

    def is_settled(self, states: Iterable[State]) -> bool:
        """Return whether the states that an iterator would write down refer to one of this stream.

        Until they do, they refer to its beginning, which cannot be written on: the stream has to keep its order.
        """
        self._is_settled = self._is_settled or any(map(self._is_in, states))
        return self._is_settled

    def _is_in(self, state: State) -> bool:
        if isinstance(state, Remainder) and state.owner is self:
            return True
        if isinstance(state, dict):
            return any(map(self._is_in, state.values()))
        return isinstance(state, (list, tuple)) and any(map(self._is_in, state))


def parted(state: State) -> tuple[State, list[list[State]]]:
    """Return where a state goes on, and what was under way: nothing, unless it is a remainder."""
    if isinstance(state, dict) and state.keys() == {_KEY}:
        start, pending = state[_KEY]
        return start, list(pending)
    return state, []


def remainder_of(start: State, pending: list[list[State]]) -> State:
    """Return the state of a stream in order that has yet to do what was under way."""
    return {_KEY: [start, pending]} if pending else start


def pieces(feed: Feed, state: State, epoch: Epoch) -> Iterator[Piece]:
    """Yield the addresses of a feed from a state on, each with the state before it."""
    before = state
    addresses = feed.run(state, epoch)
    try:
        for address, after in addresses:
            yield Piece(address, before, after)
            before = after
    finally:
        close_iterator(addresses)


def pending_pieces(feed: Feed, pending: list[list[State]], epoch: Epoch) -> Iterator[Piece]:
    """Yield the addresses that a remainder lists.

    Raises:
        ArgumentError: The feed cuts its rows differently now.
    """
    following: Iterator[Piece] = iter(())
    last: Any = pending
    is_addressed = isinstance(feed, (RowFeed, BlockFeed))
    try:
        for before, after in pending:
            if before != last:
                close_iterator(following)
                following = pieces(feed, before, epoch)
            piece = next(following, None)
            if piece is None or (is_addressed and piece.after != after):
                raise ArgumentError(
                    "the state lists pieces of another size than the dataset reads now",
                    where=feed.name,
                    expected=f"a piece from {before} to {after}",
                    received="nothing" if piece is None else f"one to {piece.after}",
                    fix="resume with the same functions and the same batch size, or take states of ordered datasets",
                )
            last = after
            yield Piece(piece.address, before, after)
    finally:
        close_iterator(following)
