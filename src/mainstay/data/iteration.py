"""Iteration: a compiled dataset, the iterator over it, and the state that continues an iterator anywhere."""

from __future__ import annotations

import json
import threading
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import length_hint
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, FormatError
from mainstay.data.array import Array, Text
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Loose, is_text, rows
from mainstay.data.execution.engine import Engine
from mainstay.data.execution.metering import Meter, Metered
from mainstay.data.options import options_of, settings_of
from mainstay.data.plan import Operation, Planner, Probe, digest, seeded
from mainstay.data.streams import Cursor, Node
from mainstay.data.structures import Structure
from mainstay.io import Ragged

_VERSION = 1


@dataclass(frozen=True, eq=False)
class Compiled:
    """A plan that is ready to run; every pass uses the same threads and the same traced functions.

    Args:
        node: Its last stage.
        engine: What runs it.
        plan: What tells it from others.
        seeds: The seeds that it uses, in the order of `plan.seeded`.
    """

    node: Node
    engine: Engine
    plan: str
    seeds: tuple[int, ...]


def compile_plan(
    plan: Operation, seeds: tuple[int, ...] | None = None, *, probe: Callable[[Engine], Probe] | None = None
) -> Compiled:
    """Return a plan ready to run.

    Args:
        plan: The plan.
        seeds: The seeds to use in place of the plan's, in the order of `plan.seeded`.
        probe: Gives what measures the stages of an engine; None where nothing is measured.
    """
    operations = seeded(plan)
    used = tuple(operation.seed or 0 for operation in operations) if seeds is None else seeds
    engine = Engine(settings_of(options_of(plan)))
    by_operation = {id(operation): seed for operation, seed in zip(operations, used, strict=True)}
    node = Planner(engine, by_operation, probe=probe and probe(engine)).node(plan, batch_rows=0)
    engine.seal()
    compiled = Compiled(node, engine, digest(plan), used)
    # The iterators hold what was compiled too: they go on when the dataset is gone.
    weakref.finalize(compiled, engine.close).atexit = False
    return compiled


def _check(value: dict[str, Any]) -> str:
    """Return the sum of a state's JSON: stages use their positions as they stand, so an edited one must not pass."""
    return f"{zlib.crc32(json.dumps(value, separators=(',', ':'), sort_keys=True).encode()):08x}"


@dataclass(frozen=True)
class Place:
    """Where an iterator stands.

    Args:
        plan: What tells the dataset from others.
        seeds: The seeds in use.
        epoch: The number of the pass.
        position: The state of the stream.
    """

    plan: str
    seeds: tuple[int, ...]
    epoch: int
    position: Any

    def to_bytes(self) -> bytes:
        """Return the place as JSON."""
        value = {
            "version": _VERSION,
            "plan": self.plan,
            "seeds": list(self.seeds),
            "epoch": self.epoch,
            "position": self.position,
        }
        return json.dumps({**value, "check": _check(value)}, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes | str) -> Place:
        """Return the place that `to_bytes` wrote.

        Raises:
            FormatError: It is of another version, was edited, or is no state at all.
        """
        try:
            value = json.loads(data)
            version, received = value.pop("version"), value.pop("check", None)
            place = cls(**value)
            if version == _VERSION and received != _check({"version": version, **value}):
                raise ValueError("it was edited or truncated")
            place = cls(place.plan, tuple(place.seeds), place.epoch, place.position)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FormatError(
                "this is no state of an iterator",
                expected="what iterator.state() gave",
                received=f"{data!r}: {error}",
            ) from error
        if version != _VERSION:
            raise FormatError("the state is of another version", expected=_VERSION, received=version)
        return place

    def check(self, plan: str, num_seeds: int) -> None:
        """Refuse the state of another dataset.

        Raises:
            ArgumentError: It is one.
        """
        if self.plan != plan or len(self.seeds) != num_seeds:
            raise ArgumentError(
                "the state belongs to another dataset",
                expected=f"a state of the plan {plan}",
                received=f"one of the plan {self.plan}",
                fix="build the dataset as it was when the state was taken: same files, same operations, same sizes",
            )


class ChunkIterator:
    """The chunks of one pass, each handed over whole, for consumers that take many elements at a time.

    Args:
        compiled: What runs.
        epoch: The number of the pass.
        position: Where to begin; None for the beginning.
    """

    def __init__(self, compiled: Compiled, epoch: int, position: Any = None) -> None:
        self.compiled, self.epoch = compiled, epoch
        self.meter = Meter()
        """How many elements and bytes were taken, and for how many seconds the taker waited for them."""
        self._begin(position)

    def _begin(self, position: Any) -> None:
        self._cursor = Cursor(Metered(self.compiled.node, self.meter), position, (self.epoch,))
        self.compiled.engine.follow(self._cursor)

    def remaining(self) -> int:
        """Return how many elements lie together from here on; 0 at the end."""
        with self._trying_again():
            return self._cursor.remaining()

    def piece(self, limit: int | None = None) -> Chunk | None:
        """Return the next elements that lie together, at most `limit`; None at the end.

        After an error, or an interruption, it stands where it stood: who asks again does not take it for the end.
        """
        with self._trying_again():
            return self._cursor.piece(limit)

    @contextmanager
    def _trying_again(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._begin(self._cursor.state)
            raise

    def place(self) -> Place:
        """Return where the next chunk begins."""
        return self._place(self._cursor.state)

    def place_in(self, chunk: Chunk, index: int) -> Place:
        """Return where an element of the last chunk is."""
        before, offset = self._cursor.state_of_chunk()
        return self._place([before, offset - chunk.length + index])

    def _place(self, position: Any) -> Place:
        return Place(self.compiled.plan, self.compiled.seeds, self.epoch, position)

    def close(self) -> None:
        """Give back what the stream holds; threads of the dataset go on for other iterators."""
        self._cursor.close()


class DatasetIterator(Iterator[Any]):
    """The elements of a dataset, one after the other, with a state at every one of them.

    Several threads may take elements of one iterator. After an error it stands where it stood: `next` tries again.

    Args:
        chunks: What to iterate.
        plain: Whether elements are plain NumPy arrays, scalars and bytes; else they answer to `numpy()`.
    """

    def __init__(self, chunks: ChunkIterator, *, plain: bool = False) -> None:
        self._chunks, self._plain = chunks, plain
        self._chunk: Chunk | None = None
        self._rows: Iterator[Structure] = iter([])
        """What is left of the chunk: a list's iterator, which threads may share, and which tells how much that is."""
        self._lock = threading.Lock()

    def __iter__(self) -> DatasetIterator:
        return self

    def __next__(self) -> Any:
        for element in self._rows:
            return element
        with self._lock:
            while True:
                for element in self._rows:
                    return element
                self._chunk = self._chunks.piece()
                if self._chunk is None:
                    raise StopIteration
                self._rows = iter(list((self._chunk if self._plain else dressed(self._chunk)).rows()))

    def state(self) -> bytes:
        """Return the place after the element that came last, as a few bytes of JSON.

        `Dataset.iter` continues from there, in this process or in another one.
        """
        return self.place().to_bytes()

    def place(self) -> Place:
        """Return the place after the element that came last; it costs less than its bytes."""
        with self._lock:
            chunk = self._chunk
            if chunk is None:
                return self._chunks.place()
            return self._chunks.place_in(chunk, chunk.length - length_hint(self._rows))

    def get_next(self) -> Any:
        """Return the next element, as TensorFlow's iterators have it."""
        return next(self)

    def close(self) -> None:
        """Give back what the iterator holds; it ends."""
        self._rows, self._chunk = iter([]), None
        self._chunks.close()


def dressed(chunk: Chunk) -> Chunk:
    """Return a chunk whose rows answer to `numpy()`."""
    columns = tuple(map(_dress, chunk.columns))
    return Chunk(chunk.skeleton, columns, chunk.length)


def _dress(column: Any) -> Any:
    if isinstance(column, np.ndarray):
        dressed = column.view(Array)
        return dressed if column.ndim > 1 else Loose([dressed[index, ...] for index in range(len(column))])
    if is_text(column):
        return Loose([Text(item) for item in column.to_pylist()])
    if isinstance(column, (Loose, Ragged)):
        return Loose([item.view(Array) if isinstance(item, np.ndarray) else item for item in rows(column)])
    return column
