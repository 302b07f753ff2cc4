"""The profile of a dataset: how quick each of its stages is, which one holds the others up, and what would help."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mainstay.core import ArgumentError
from mainstay.data.execution.engine import Engine
from mainstay.data.execution.metering import Meter, Metered
from mainstay.data.execution.stage import Stage
from mainstay.data.iteration import ChunkIterator, compile_plan
from mainstay.data.operations.prefetching import ReadAhead
from mainstay.data.plan import Operation, Parallel, Probe
from mainstay.data.streams import Node

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDTH = 110
_SATURATED = 0.5


@dataclass(frozen=True)
class StageProfile:
    """What one stage did while the dataset was profiled.

    Args:
        name: What it does.
        workers: Where it runs: ``threads``, ``processes``, ``in turn`` on the thread that takes its elements, or
            ``ahead``, on a thread that reads ahead.
        limit: How many threads or processes may work on it at a time.
        elements: How many elements it gave; after `batch`, an element is a batch.
        num_bytes: How many bytes they took.
        busy_seconds: How long it worked, added up over threads and processes.
        cpu_seconds: How long it used a core, as far as that is measured: 0 for what runs in turn.
        wait_seconds: How long its elements were waited for.
        depth: How many chunks it worked ahead at the end.
        occupancy: Which part of what could work on it did so, from 0 to 1.
        is_row_bound: Whether it calls Python once for each element.
        note: Why it runs where it does, where there was a choice.
    """

    name: str
    workers: str
    limit: int
    elements: int
    num_bytes: int
    busy_seconds: float
    cpu_seconds: float
    wait_seconds: float
    depth: int
    occupancy: float
    is_row_bound: bool = False
    note: str = ""

    @property
    def seconds_per_element(self) -> float:
        """How long one element takes, on one thread or process."""
        return self.busy_seconds / max(self.elements, 1)


@dataclass(frozen=True)
class Profile:
    """How quick a dataset is, and why it is no quicker.

    Args:
        seconds: How long it ran.
        first_seconds: How long it took to the first element, with everything that happens once.
        elements: How many elements it gave.
        num_bytes: How many bytes they took.
        peak_bytes: How many bytes waited between stages at most.
        stages: Its stages, sources first.
    """

    seconds: float
    first_seconds: float
    elements: int
    num_bytes: int
    peak_bytes: int
    stages: tuple[StageProfile, ...]

    @property
    def elements_per_second(self) -> float:
        """How many elements it gives per second, to somebody who does nothing else but take them."""
        return self.elements / max(self.seconds, 1e-9)

    @property
    def bottleneck(self) -> StageProfile | None:
        """The stage that holds the others up; None where nothing ran."""
        working = [stage for stage in self.stages if stage.busy_seconds]
        return max(working, key=lambda stage: stage.occupancy, default=None)

    @property
    def advice(self) -> str:
        """What would make it quicker."""
        stage = self.bottleneck
        return "" if stage is None else f"{stage.name} ({_cost(stage)}) {_advice(stage)}"

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table("stage", "runs on", title=self._title())
        for name in ("elements/s", "busy", "waited for", "ahead", "MB/s"):
            table.add_column(name, justify="right")
        for stage in self.stages:
            mark = "bold" if stage is self.bottleneck else ""
            table.add_row(Text(stage.name, mark), *_cells(stage, self.seconds))
        notes = [f"{stage.name}: {stage.note}" for stage in self.stages if stage.note]
        return Group(table, *(Text(line) for line in [f"Bottleneck: {self.advice}", *notes] if self.advice))

    def _title(self) -> str:
        return (
            f"{self.elements_per_second:,.0f} elements/s, {self.elements:,} in {self.seconds:.2f} s, "
            f"the first after {1000 * self.first_seconds:,.0f} ms"
        )

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(file=io.StringIO(), width=_WIDTH, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def _cells(stage: StageProfile, seconds: float) -> Iterator[str]:
    threads = "1 thread" if stage.limit == 1 else f"{stage.limit} threads"
    where = {"threads": threads, "processes": f"{stage.limit} processes", "in turn": "in turn"}
    yield where.get(stage.workers, stage.workers)
    yield f"{stage.elements / max(seconds, 1e-9):,.0f}"
    yield f"{stage.occupancy:.0%}"
    yield f"{stage.wait_seconds:.2f} s"
    yield f"{stage.depth}" if stage.depth else ""
    yield f"{stage.num_bytes / 1e6 / max(seconds, 1e-9):,.1f}"


def _cost(stage: StageProfile) -> str:
    each = stage.seconds_per_element
    time_each = f"{each * 1e6:,.1f} µs" if each < 1e-3 else f"{each * 1e3:,.1f} ms"
    return f"{'a row function, ' if stage.is_row_bound else ''}{time_each} per element"


def _advice(stage: StageProfile) -> str:
    if stage.workers == "in turn":
        return "works when the next element is asked for: put .prefetch() behind it, so that it works ahead"
    if stage.occupancy < _SATURATED:
        return "takes the longest, but nothing is working to capacity: the dataset is as quick as taking its elements"
    if stage.cpu_seconds < stage.busy_seconds / 8 and not stage.is_row_bound:
        return "waits for a disk or a network: more num_parallel_calls, files nearby, or .cache() behind it"
    if stage.workers == "processes":
        return f"keeps {stage.limit} processes busy: a cheaper function, more cores, or .cache() behind it"
    if stage.is_row_bound:
        return (
            "keeps the Python interpreter busy: write it with jax.numpy or keras.ops, so that it runs on many elements "
            "at once, or set options.workers = 'processes'"
        )
    return f"keeps {stage.limit} threads busy: cheaper work, more cores, or .cache() behind it"


@dataclass
class _Probes:
    """Puts a meter around every stage of a plan, in its order."""

    engine: Engine
    found: list[tuple[Operation, Node, Meter, int]] = field(default_factory=list)

    def __call__(self, operation: Operation, node: Node) -> Node:
        if isinstance(node, Metered):
            return node
        while operation.changes_nothing and not isinstance(node, ReadAhead):
            operation = operation.inputs[0]
        meter = Meter()
        self.found.append((operation, node, meter, len(self.engine.stages)))
        return Metered(node, meter)

    def profiles(self, seconds: float) -> tuple[StageProfile, ...]:
        """Return what was measured, sources first."""
        left, profiles = list(self.engine.stages), []
        for operation, node, meter, count in self.found:
            done = len(self.engine.stages) - len(left)
            for stage in left[: max(0, count - done)]:
                profiles.append(self._of_stage(stage, seconds))
            left = left[max(0, count - done) :]
            if not isinstance(node, (Parallel, ReadAhead)):
                profiles.append(_of_meter(operation, meter, seconds))
        return (*profiles, *(self._of_stage(stage, seconds) for stage in left))

    def _of_stage(self, stage: Stage, seconds: float) -> StageProfile:
        figures, task = stage.figures(), self.engine.task_of(stage)
        settings = self.engine.settings
        # Each process has a second task waiting, so that it need not wait for one.
        able = 2 * settings.processes if figures.workers == "processes" else min(stage.limit, settings.threads)
        limit = settings.processes if figures.workers == "processes" else stage.limit
        able = 1 if stage.is_cheap else able
        occupancy = min(1.0, figures.busy_seconds / max(able * seconds, 1e-9))
        return StageProfile(
            name=stage.name,
            workers="ahead" if task is None else figures.workers,
            limit=limit,
            elements=figures.elements,
            num_bytes=figures.num_bytes,
            busy_seconds=figures.busy_seconds,
            cpu_seconds=figures.cpu_seconds,
            wait_seconds=figures.wait_seconds,
            depth=figures.depth,
            occupancy=occupancy,
            is_row_bound=task is not None and task.is_row_bound,
            note=stage.note,
        )


def _of_meter(operation: Operation, meter: Meter, seconds: float) -> StageProfile:
    return StageProfile(
        name=operation.label or operation.name,
        workers="in turn",
        limit=1,
        elements=meter.elements,
        num_bytes=meter.num_bytes,
        busy_seconds=meter.own_seconds,
        cpu_seconds=0.0,
        wait_seconds=meter.wait_seconds,
        depth=0,
        occupancy=min(1.0, meter.own_seconds / max(seconds, 1e-9)),
    )


def profile_plan(plan: Operation, *, seconds: float, elements: int | None) -> Profile:
    """Return the profile of one pass over a plan.

    Args:
        plan: The plan.
        seconds: How long it runs at most.
        elements: How many elements are taken at most; None for any number.

    Raises:
        ArgumentError: A limit is not positive.
    """
    for name, limit in (("seconds", seconds), ("elements", elements)):
        if limit is not None and not limit > 0:
            raise ArgumentError("a profile takes some time and some elements", where=name, received=repr(limit))
    made = time.perf_counter()
    probes: list[_Probes] = []

    def probe(engine: Engine) -> Probe:
        probes.append(_Probes(engine))
        return probes[0]

    chunks = ChunkIterator(compile_plan(plan, probe=probe), epoch=0)
    start = time.perf_counter()
    first = start - made + _take(chunks, start, seconds, elements)
    spent = time.perf_counter() - start
    profile = Profile(
        seconds=spent,
        first_seconds=first,
        elements=chunks.meter.elements,
        num_bytes=chunks.meter.num_bytes,
        peak_bytes=chunks.compiled.engine.budget.peak,
        stages=probes[0].profiles(spent),
    )
    chunks.close()
    return profile


def _take(chunks: ChunkIterator, start: float, seconds: float, elements: int | None) -> float:
    """Take chunks until a limit is reached; return how long it took to the first one."""
    first: Any = None
    while chunks.piece() is not None:
        spent = time.perf_counter() - start
        first = spent if first is None else first
        if spent >= seconds or (elements is not None and chunks.meter.elements >= elements):
            break
    return time.perf_counter() - start if first is None else float(first)
