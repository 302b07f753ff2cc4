"""The remote task: the part of a task that worker processes do, and what is done here before and after it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mainstay.core import DataError
from mainstay.data.chunks import Chunk, Origin
from mainstay.data.columns import Loose
from mainstay.data.execution.failures import failure_to_raise
from mainstay.data.execution.payload import Payload
from mainstay.data.execution.pickling import method_from_bytes
from mainstay.data.execution.task import Done, Task, apply
from mainstay.data.execution.workers import WorkerGoneError, Workers
from mainstay.data.feeds import Feed, RowFeed
from mainstay.data.functions.function import Function
from mainstay.io import Ragged

_MOST_SOURCE_BYTES = 32 << 20
_ATTEMPTS = 2


@dataclass(frozen=True)
class Route:
    """Which functions of a task are done where.

    Args:
        before: What is done here to a chunk before it is sent; where that is nothing, workers may load it themselves.
        sent: What is done by workers.
        after: What is done here to what comes back.
    """

    before: tuple[Function, ...]
    sent: tuple[Function, ...]
    after: tuple[Function, ...]


def route_of(functions: Sequence[Function]) -> Route | None:
    """Return which functions go to workers: those that hold on to the interpreter, and what is between them.

    A function that JAX has traced stays here: it lets go of the interpreter, and has threads of its own. None where
    there is nothing to send, and where a chain of functions is not decided yet.
    """
    flat: list[tuple[Function, bool]] = []
    for function in functions:
        parts = getattr(function, "functions", None)
        if parts is None:
            flat.append((function, False))
        elif not parts:
            return None
        else:
            flat += [(part, not part.is_row_bound) for part in parts]
    bound = [number for number, (function, _) in enumerate(flat) if function.is_row_bound]
    if not bound:
        return None
    traced = [number for number, (_, is_traced) in enumerate(flat) if is_traced]
    start = 0 if not any(number < bound[0] for number in traced) else bound[0]
    stop = next((number for number in traced if number > bound[0]), len(flat))
    alone = [function for function, _ in flat]
    return Route(tuple(alone[:start]), tuple(alone[start:stop]), tuple(alone[stop:]))


class RemoteTask:
    """A task whose functions that hold on to the interpreter are done by worker processes.

    Args:
        task: The task.
        route: Which functions go to workers.

    Raises:
        Exception: What is to be sent cannot be pickled.
    """

    def __init__(self, task: Task, route: Route) -> None:
        self._task, self._route = task, route
        self._feed: Feed | None = None
        payload = None
        if not route.before and isinstance(task.feed, RowFeed):
            payload = _with_feed(task.feed, route.sent)
            self._feed = None if payload is None else task.feed
        self._payload = (payload or Payload(None, route.sent)).write()

    def timed(self, address: Any, workers: Workers) -> Done:
        """Return the chunk at an address, and how long that took.

        Args:
            address: The address.
            workers: The processes that do the sent part.

        Raises:
            DataError: The workers that tried were killed.
            BaseException: Whatever the task raised.
        """
        start, cpu = time.perf_counter(), time.thread_time()
        if self._feed is not None:
            chunk, elsewhere = self._ask(workers, address, None, address)
        else:
            chunk = apply(self._route.before, self._task.feed.load(address)).plain()
            if chunk.length:
                request = (chunk.skeleton, chunk.length, chunk.origin is not None)
                chunk, elsewhere = self._ask(workers, request, chunk, address)
            else:
                elsewhere = 0.0
        chunk = apply(self._route.after, chunk)
        return Done(chunk, time.perf_counter() - start, time.thread_time() - cpu + elsewhere)

    def _ask(self, workers: Workers, request: Any, sent: Chunk | None, address: Any) -> tuple[Chunk, float]:
        """Return what the workers make of a request, and for how long they used a core."""
        attempts = 0
        while True:
            try:
                given = sent or _NOTHING
                answer, columns = workers.ask(self._payload, request, given.columns, given.address)
                break
            except WorkerGoneError as gone:
                attempts += gone.was_at_it
                if attempts == _ATTEMPTS:
                    raise self._killed(gone, sent, address) from None
        kind, *rest = answer
        if kind == "error":
            raise failure_to_raise(rest[0])
        skeleton, length, origin, _, cpu = rest
        return Chunk(skeleton, columns, length, self._origin(origin, sent)), cpu

    def _origin(self, origin: Any, sent: Chunk | None) -> Origin | None:
        if origin is None:
            return None
        indices, described = origin
        if described is not None:
            return Origin(method_from_bytes(described, getattr(self._feed, "source", None)), indices)
        if sent is None or sent.origin is None:
            return None
        if isinstance(indices, range) and indices == range(sent.length):
            return sent.origin
        return sent.take(indices).origin if len(indices) else None

    def _killed(self, gone: WorkerGoneError, sent: Chunk | None, address: Any) -> DataError:
        try:
            chunk = sent or self._task.feed.load(address)
            where = f"{chunk.address(0)} to {chunk.address(chunk.length - 1)}"
        except Exception:
            where = f"{self._task.feed.name}, {address}"
        return DataError(
            "two worker processes in a row ended while they worked on the same elements",
            where=f"{self._task.name}, {where}",
            received=gone.reason,
            fix="a kill (SIGKILL) is mostly for want of memory: lower options.autotune.cpu_budget, for fewer workers; "
            "a crash comes from native code: try these elements with options.workers = 'threads'",
        )


_NOTHING = Chunk(None, (), 0)


def _with_feed(feed: Feed, functions: tuple[Function, ...]) -> Payload | None:
    """Return a payload with its feed; None where it is too large, or cannot be pickled."""
    try:
        payload = Payload(feed, functions)
    except Exception:
        return None
    return payload if payload.array_bytes <= _MOST_SOURCE_BYTES else None


def is_same(one: Chunk, other: Chunk) -> bool:
    """Return whether two chunks agree bit for bit."""
    if one.length != other.length or one.skeleton != other.skeleton:
        return False
    return all(map(_is_same, one.columns, other.columns))


def _is_same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        return bool(one.tolist() == other.tolist() if one.dtype.hasobject else one.tobytes() == other.tobytes())
    if isinstance(one, Ragged):
        return _is_same(one.splits, other.splits) and _is_same(one.values, other.values)
    if isinstance(one, Loose):
        return len(one) == len(other) and all(map(_is_same, one.rows, other.rows))
    if isinstance(one, pa.Array):
        return bool(one.equals(other))
    return bool(one == other)
