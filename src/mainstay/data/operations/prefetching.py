"""Prefetching: a stage that works in turn is read by a thread of its own, ahead of need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mainstay.data.chunks import Chunk
from mainstay.data.execution.engine import Engine
from mainstay.data.execution.stage import Stage
from mainstay.data.operations.ordering import Reordering
from mainstay.data.plan import Lowered, Operation, Parallel, Pipe, Planner
from mainstay.data.streams import Epoch, Node, State


class Prefetch(Reordering):
    """The same elements, read ahead of need.

    Args:
        upstream: The elements.
        size: How many elements wait at most; 0 reads none ahead, None lets the engine decide.
    """

    name = "prefetch"
    changes_nothing = True

    def __init__(self, upstream: Operation, size: int | None) -> None:
        super().__init__(upstream)
        self.size = size

    def lower(self, planner: Planner) -> Lowered:
        """Return what comes before it: itself where that works ahead anyway, else with a thread that reads it."""
        lowered = planner.lower(self.inputs[0])
        if self.size == 0 or isinstance(lowered, (Pipe, Parallel)):
            return lowered
        if planner.probe is not None:
            lowered = planner.probe(self.inputs[0], lowered)
        return ReadAhead(lowered, planner.engine, self.size, self.label or self.name)


@dataclass(frozen=True)
class ReadAhead(Node):
    """Chunks that a thread reads before they are asked for; its states are those of the stage.

    What is read ahead is counted in whole chunks, as the stage makes them: once at least `size` elements wait, no
    further chunk is begun.
    """

    upstream: Node
    engine: Engine
    size: int | None
    name: str
    stage: Stage = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stage", self.engine.stage(self.name, calls=1))

    def run(self, state: State, epoch: Epoch) -> Iterator[tuple[Chunk, State]]:
        """Yield the chunks."""
        return self.engine.read_ahead(self.upstream.run(state, epoch), stage=self.stage, size=self.size)
