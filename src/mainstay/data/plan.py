"""Plans: what a dataset does, as a tree of operations, and how it is lowered to stages that run.

Lowering is where a dataset gets fast: consecutive functions become one task, and shuffling, sharding, taking and
skipping move through functions of one element into arithmetic on the addresses of the source.
"""

from __future__ import annotations

import abc
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from mainstay.data.addressing import Step, View
from mainstay.data.execution.dispatch import Dispatch
from mainstay.data.execution.engine import Engine
from mainstay.data.execution.task import Task
from mainstay.data.feeds import BlockFeed, Feed, NodeFeed, RowFeed, StreamFeed
from mainstay.data.functions.function import Function
from mainstay.data.preparing import PreparingFeed
from mainstay.data.streams import Epoch, Node, State
from mainstay.data.structures import Structure

if TYPE_CHECKING:
    from mainstay.data.chunks import Chunk

_CHUNK_BYTES = 1 << 20
_MOST_ROWS = 16384
_ROW_BOUND_ROWS = 32


class Operation(abc.ABC):
    """A step of a plan: a source, or what is done to the elements of its inputs. Never changed once it is made."""

    name: str
    """What it is called in plans and reports."""
    inputs: tuple[Operation, ...] = ()
    seed: int | None = None
    """What its random choices depend on; part of a state, so that a run goes on with the same choices elsewhere."""
    label: str = ""
    """What the user calls it, for reports."""
    changes_nothing: bool = False
    """Whether elements and states are those of its input: then it is no part of what tells plans apart."""
    is_light: bool = False
    """Whether it costs so little per element that in a small dataset it is not worth a thread."""

    def labelled(self, label: str | None) -> Operation:
        """Return the operation, just made, with the name that its user gave it."""
        self.label = label or ""
        return self

    @property
    @abc.abstractmethod
    def spec(self) -> Structure:
        """The specs of its elements in their structure."""

    @property
    @abc.abstractmethod
    def cardinality(self) -> int:
        """How many elements it gives, or `UNKNOWN_CARDINALITY`, or `INFINITE_CARDINALITY`."""

    def parameters(self) -> Any:
        """Return what distinguishes it from others of its name, as JSON values; seeds and functions' code do not."""
        return None

    @abc.abstractmethod
    def lower(self, planner: Planner) -> Lowered:
        """Return the stage that does it."""


@dataclass(frozen=True)
class Pipe:
    """Work that is still being put together: addresses, and functions on what lies at them.

    Args:
        feed: Where the addresses come from.
        functions: What is done to the elements, in order.
        calls: How many tasks may run at a time; None lets the engine decide.
        in_order: Whether the order is kept.
    """

    feed: Feed
    functions: tuple[Function, ...] = ()
    calls: int | None = None
    in_order: bool = True

    def then(self, function: Function, **settings: Any) -> Pipe:
        """Return the pipe with a further function."""
        return replace(self, functions=(*self.functions, function), **settings)

    @property
    def is_addressable(self) -> bool:
        """Whether each element that comes out has one address, so that their order is arithmetic."""
        return isinstance(self.feed, RowFeed) and all(function.one_to_one for function in self.functions)

    def __len__(self) -> int:
        return len(self.feed.view) if isinstance(self.feed, RowFeed) else 0

    def addressed(self, limit: int | None = None) -> Pipe:
        """Return the pipe with addresses in place of a stream, where its source can give them.

        Args:
            limit: How many of the first elements are wanted at most.
        """
        feed = self.feed
        if not isinstance(feed, StreamFeed) or not all(function.one_to_one for function in self.functions):
            return self
        rows = feed.source.rows(limit)
        return self if rows is None else replace(self, feed=RowFeed(rows, View(len(rows)), rows=0))

    def in_blocks(self) -> Pipe:
        """Return the pipe with blocks in place of a stream, where its source can give them."""
        blocks = self.feed.source.blocks() if isinstance(self.feed, StreamFeed) else None
        return self if blocks is None else replace(self, feed=BlockFeed(blocks))

    def ordered(self, step: Step) -> Pipe:
        """Return the pipe with its elements in another order; it is addressable."""
        feed = self.feed
        return replace(self, feed=replace(feed, view=feed.view.then(step))) if isinstance(feed, RowFeed) else self


Lowered: TypeAlias = Pipe | Node
Probe: TypeAlias = Callable[[Operation, Node], Node]


@dataclass(frozen=True)
class Planner:
    """Lowers operations to stages.

    Args:
        engine: What runs them.
        seeds: The seeds that a state asks for, by the operation's place in the plan; see `seeded`.
        batch_rows: How many elements the next batch takes; 0 where there is none. Chunks are multiples of it.
        probe: Puts something that measures around every finished stage; None where nothing is measured.
        keeps_texts: Whether only functions see what is lowered next: strings then may stay where they lie, as
            `columns.Texts` and `Spans`.
    """

    engine: Engine
    seeds: Mapping[int, int] = field(default_factory=dict)
    batch_rows: int = 0
    probe: Probe | None = None
    keeps_texts: bool = False

    def lower(self, operation: Operation, *, keeps_texts: bool = False) -> Lowered:
        """Return the stage of an operation, which may still grow.

        Args:
            operation: The operation.
            keeps_texts: Whether only functions see its elements.
        """
        return operation.lower(self if self.keeps_texts == keeps_texts else replace(self, keeps_texts=keeps_texts))

    def node(self, operation: Operation, *, batch_rows: int | None = None, keeps_texts: bool = False) -> Node:
        """Return the finished stage of an operation.

        Args:
            operation: The operation.
            batch_rows: How many of its elements are used at a time; None where the planner's stands.
            keeps_texts: Whether only functions see its elements.
        """
        planner = self if batch_rows is None else replace(self, batch_rows=batch_rows)
        node = planner.finish(planner.lower(operation, keeps_texts=keeps_texts))
        return node if self.probe is None else self.probe(operation, node)

    def finish(self, lowered: Lowered) -> Node:
        """Return the stage of what is still being put together."""
        if isinstance(lowered, Node):
            return lowered
        feed = self.sized(lowered).feed
        if isinstance(feed, NodeFeed) and not lowered.functions:
            return feed.node
        if not all(function.is_ready for function in lowered.functions):
            feed = PreparingFeed(feed, lowered.functions)
        return self.stage(Task(feed, lowered.functions), lowered.calls, in_order=lowered.in_order)

    def sized(self, pipe: Pipe) -> Pipe:
        """Return a pipe whose feed knows how many elements to give at a time."""
        feed = pipe.feed
        if isinstance(feed, RowFeed) and not feed.rows:
            source = feed.source
            rows = self._chunk_rows(source.row_bytes, pipe.functions, is_slow=source.row_cost_is_high)
            feed = replace(feed, rows=rows)
        elif isinstance(feed, BlockFeed) and not feed.rows:
            feed = replace(feed, rows=self._chunk_rows(feed.source.row_bytes, pipe.functions))
        elif isinstance(feed, StreamFeed) and not feed.rows:
            is_columnar = feed.source.is_columnar and not any(f.is_row_bound for f in pipe.functions)
            rows = _MOST_ROWS if is_columnar else self.batch_rows or _ROW_BOUND_ROWS
            feed = replace(feed, rows=rows, batch=max(1, self.batch_rows))
        return replace(pipe, feed=feed)

    def stage(self, task: Task, calls: int | None, *, in_order: bool) -> Node:
        """Return the stage that does a task at each address of its feed."""
        return Parallel(task, self.engine, calls, in_order)

    def pipe(self, lowered: Lowered) -> Pipe:
        """Return something that takes functions."""
        return lowered if isinstance(lowered, Pipe) else Pipe(NodeFeed(lowered))

    def in_order(self, deterministic: bool | None) -> bool:
        """Return whether an operation keeps the order: as it says, else as the options of the dataset do."""
        return self.engine.settings.deterministic if deterministic is None else deterministic

    def seed(self, operation: Operation) -> int:
        """Return the seed of an operation: that of the state, if one is gone on from."""
        return self.seeds.get(id(operation), operation.seed or 0)

    def _chunk_rows(self, row_bytes: int, functions: tuple[Function, ...], *, is_slow: bool = False) -> int:
        batch = self.batch_rows
        if is_slow or any(function.is_row_bound for function in functions):
            return min(batch or _ROW_BOUND_ROWS, 4 * _ROW_BOUND_ROWS)
        rows = max(1, min(_MOST_ROWS, _CHUNK_BYTES // max(row_bytes, 1)))
        return max(1, rows // batch) * batch if batch else rows


@dataclass(frozen=True)
class Parallel(Node):
    """Tasks on the addresses of a feed, several at a time, delivered in order."""

    task: Task
    engine: Engine
    calls: int | None = None
    in_order: bool = True
    dispatch: Dispatch = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dispatch", self.engine.dispatch(self.task, calls=self.calls))

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield what the tasks give."""
        return self.engine.deliver(self.dispatch, state, epoch, in_order=self.in_order)


def operations_of(plan: Operation) -> list[Operation]:
    """Return the operations of a plan, inputs first, in one order."""
    found = [operation for source in plan.inputs for operation in operations_of(source)]
    return [*found, plan]


def seeded(plan: Operation) -> list[Operation]:
    """Return the operations of a plan that have a seed, in one order."""
    return [operation for operation in operations_of(plan) if operation.seed is not None]


def digest(plan: Operation) -> str:
    """Return what tells a plan from others, whatever its seeds: 16 hexadecimal digits."""
    text = json.dumps(_outline(plan), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _outline(plan: Operation) -> Any:
    if plan.changes_nothing:
        return _outline(plan.inputs[0])
    return [plan.name, plan.parameters(), [_outline(source) for source in plan.inputs]]
