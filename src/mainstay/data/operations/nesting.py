"""Datasets inside of datasets: how one that a user's function returns is opened, in the same way on every run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.data.addressing import key
from mainstay.data.chunks import Chunk
from mainstay.data.columns import Nested
from mainstay.data.execution.engine import Engine
from mainstay.data.execution.task import Task
from mainstay.data.functions.binding import meaning
from mainstay.data.functions.function import RowFailure
from mainstay.data.functions.steps import call, in_python, name_of
from mainstay.data.operations.mapping import Filter, Map
from mainstay.data.operations.reading import Read
from mainstay.data.operations.sampling import FirstElements
from mainstay.data.operations.seeds import DrawnSeed, inside_a_dataset
from mainstay.data.plan import Operation, Planner, operations_of, seeded
from mainstay.data.specs import DatasetSpec, Spec
from mainstay.data.streams import Cursor, Epoch, Node, State
from mainstay.data.structures import Structure, map_structure

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset

_FEW = 32
_FEW_LIGHT = 4096
_MOST_KNOWN = 16


@dataclass(frozen=True)
class PlannerInPlace(Planner):
    """Lowers a dataset of so few elements that threads are not worth their start."""

    def stage(self, task: Task, calls: int | None, *, in_order: bool) -> Node:
        """Return the stage that does a task where its results are wanted."""
        return InPlace(task)


@dataclass(frozen=True)
class InPlace(Node):
    """A task at each address of its feed, one after the other."""

    task: Task

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield what the task gives."""
        for address, after in self.task.feed.run(state, epoch):
            yield self.task(address), after


@dataclass(frozen=True)
class Opener:
    """Opens the datasets that a function makes of elements.

    Args:
        function: The function.
        engine: What runs the larger ones.
        seed: What the seeds of a dataset depend on where the user gave none.
        batch_rows: How many of their elements are used at a time; 0 where nothing is known.
        name: What it is called in messages.
        upstream: What gives the elements, if the function takes them as they are: the dataset of the first one decides
            how functions run in all that are built alike, wherever a run begins.
    """

    function: Callable[..., Any]
    engine: Engine
    seed: int
    batch_rows: int
    name: str
    upstream: Operation | None = None
    known: dict[Any, list[Operation]] = field(default_factory=dict, compare=False, repr=False)

    def dataset(self, chunk: Chunk, index: int = 0) -> Dataset:
        """Return the dataset that the function makes of an element."""
        with RowFailure(f"{self.name} {name_of(self.function)}", chunk) as at:
            at.index = index
            return made_by(self.function, call_inside(self.function, chunk, index), self.name)

    def open(self, dataset: Dataset, number: int, state: State, epoch: Epoch) -> Cursor:
        """Return a place in a dataset.

        Args:
            dataset: The dataset.
            number: The number of the element that it was made of.
            state: Where to begin; None for the beginning.
            epoch: Which pass over the data.
        """
        plan = dataset.plan
        seeds = {
            id(operation): key(self.seed, number, place)
            for place, operation in enumerate(seeded(plan))
            if isinstance(operation.seed, DrawnSeed)
        }
        self._recognise(plan)
        planner = PlannerInPlace if is_small(plan) else Planner
        return Cursor(planner(self.engine, seeds, self.batch_rows).node(plan), state, epoch)

    def _recognise(self, plan: Operation) -> None:
        """Let functions run as they did in a dataset that was built alike, with functions that mean the same.

        How a function runs is found out by trying it, which takes longer than a small dataset does.
        """
        operations = operations_of(plan)
        if not any(isinstance(operation, (Map, Filter)) for operation in operations):
            return
        if not self.known and self.upstream is not None:
            with contextlib.suppress(Exception):  # what fails here fails again in its place
                first = FirstElements(self.upstream).sample(1)
                if first is not None and first.length:
                    begun = operations_of(self.dataset(first).plan)
                    self.known[tuple(map(_outline, begun))] = begun
        outline = tuple(map(_outline, operations))
        for operation, known in zip(operations, self.known.setdefault(outline, operations), strict=True):
            if isinstance(operation, (Map, Filter)):
                operation.decide_as(known)
        while len(self.known) > _MOST_KNOWN:
            self.known.pop(next(iter(self.known)))


def _outline(operation: Operation) -> Any:
    """Return what two operations have in common whose functions run alike: what they do, and the specs of sources."""
    if isinstance(operation, Map):
        return operation.name, meaning(operation.function)
    if isinstance(operation, Filter):
        return operation.name, meaning(operation.predicate)
    return operation.name, len(operation.inputs), str(operation.spec) if isinstance(operation, Read) else None


def call_inside(function: Callable[..., Any], chunk: Chunk, index: int) -> Any:
    """Call a user's function that builds datasets while a dataset runs, with an element of a chunk."""
    with inside_a_dataset(), in_python(chunk.columns):
        return call(function, chunk.row(index))


def made_by(function: Callable[..., Any], result: Any, name: str) -> Dataset:
    """Return the dataset that a function returned.

    Raises:
        ArgumentError: It returned something else.
    """
    if not isinstance(result, Nested):
        raise ArgumentError(
            f"the function of {name} returns a dataset",
            where=name_of(function),
            expected="a Dataset",
            received=type(result).__name__,
            fix="use map, or return Dataset.from_tensor_slices(…) or Dataset.from_tensors(…)",
        )
    return result  # type: ignore[return-value]


def is_small(plan: Operation) -> bool:
    """Return whether a dataset has so few elements, or does so little with them, that threads would not pay."""
    count = plan.cardinality
    if not 0 <= count <= _FEW_LIGHT:
        return False
    return count <= _FEW or all(operation.is_light for operation in operations_of(plan))


def spec_of_made(upstream: Operation, function: Callable[..., Any], name: str) -> Structure:
    """Return the spec of the elements of the datasets that a function makes, as its first one tells.

    Raises:
        ArgumentError: The function returns no dataset.
    """
    chunk = FirstElements(upstream).begin()
    if chunk is None or not chunk.length:
        chunk = Chunk.of_rows([map_structure(_stand_in, upstream.spec)])
    return made_by(function, call_inside(function, chunk, 0), name).element_spec


def _stand_in(spec: Spec) -> Any:
    """Return a value for an element that an empty dataset does not have."""
    if isinstance(spec, DatasetSpec):
        from mainstay.data.dataset import Dataset

        return Dataset.from_tensors(map_structure(_stand_in, spec.element_spec))
    if spec.dtype == "string" and not spec.shape:
        return b""
    return np.zeros([length or 0 for length in spec.shape], object if spec.dtype == "string" else spec.dtype)
