"""The function of a chunk, and how a failure in it says which element it was."""

from __future__ import annotations

import abc

from mainstay.data.chunks import Chunk


class Function(abc.ABC):
    """Something that turns a chunk into another one; called on any thread, several at a time."""

    name: str
    """What it is called in reports and messages."""
    one_to_one: bool = True
    """Whether each element gives exactly one: then shuffling may happen before it."""
    adds_none: bool = False
    """Whether each element gives one or none: then, too, all of them may be shuffled before it."""
    is_row_bound: bool = False
    """Whether it calls Python once per element: then chunks are small, and processes may help."""

    def prepare(self, chunk: Chunk) -> None:  # noqa: B027
        """See the first chunk that arrives, before any is worked on; called on the thread that reads them."""

    @property
    def is_ready(self) -> bool:
        """Whether it needs no `prepare` any more."""
        return True

    @abc.abstractmethod
    def __call__(self, chunk: Chunk) -> Chunk:
        """Return what becomes of a chunk."""


class RowFailure:
    """Notes on an exception which element it came from.

    Use as a context manager around the work on one element at a time; `index` is that of the element in its chunk.
    """

    def __init__(self, name: str, chunk: Chunk) -> None:
        self.index = 0
        self._name, self._chunk = name, chunk

    def __enter__(self) -> RowFailure:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None:
            error.add_note(f"in {self._name}, at {self._chunk.address(self.index)}")
