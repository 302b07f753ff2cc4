"""The payload: a task in memory that all worker processes of a stage are given."""

from __future__ import annotations

import itertools
import os
import weakref

from mainstay.data.execution.memory import write_memory
from mainstay.data.execution.packing import Parcel
from mainstay.data.execution.pickling import with_buffers
from mainstay.data.feeds import Feed
from mainstay.data.functions.function import Function

_numbers = itertools.count()


class Payload:
    """Functions, and perhaps a feed, written to memory once; however many processes read it.

    Args:
        feed: Where the workers load from; None where chunks are sent to them.
        functions: What they do.

    Raises:
        Exception: Something cannot be pickled.
    """

    def __init__(self, feed: Feed | None, functions: tuple[Function, ...]) -> None:
        data, buffers = with_buffers((feed, functions))
        self.number = next(_numbers)
        """What requests call it."""
        self.array_bytes = sum(buffer.nbytes for buffer in buffers)
        self._parcel = Parcel()
        self.places = [(self._parcel.add(part, len(part)), len(part)) for part in [data, *buffers]]
        """Where the task and each of its arrays lie, and how many bytes they take."""
        self.size = self._parcel.size
        self.descriptor = -1

    def write(self) -> Payload:
        """Write it to memory, and return it.

        Raises:
            OSError: There is not enough memory.
        """
        self.descriptor = write_memory(self.size, self._parcel.parts)
        self._parcel = Parcel()
        weakref.finalize(self, os.close, self.descriptor).atexit = False
        return self
