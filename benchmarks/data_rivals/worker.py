"""One process that runs one pipeline of one framework and times it.

    python -m data_rivals.worker ENGINE CASE FOLDER          # in the folder benchmarks/

The commands are `["stream", SECONDS]`, which starts the pipeline, waits for its first batch and then counts what comes
in so many seconds, beginning again where the data end; `["memory", ROWS, SECONDS]`; and, of Mainstay alone,
`["fit", SECONDS]`.
"""

from __future__ import annotations

import importlib
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rivals.worker import serve

from data_rivals import usage
from data_rivals.cases import CASES
from data_rivals.inputs import Inputs


def length(batch: Any) -> int:
    """Return the number of rows of a batch of any framework; lists of strings, as PyTorch has them, count as well."""
    if isinstance(batch, dict):
        batch = next(iter(batch.values()))
    elif isinstance(batch, tuple):
        return length(batch[0])
    return len(batch)


class Worker:
    """Holds what makes a pipeline, with the framework imported and arrays in memory: neither is in the figures."""

    def __init__(self, engine: str, case: str, folder: str) -> None:
        framework, _, variant = engine.partition("-")
        self.pipelines = importlib.import_module(f"data_rivals.{framework}_pipelines")
        self.case, self.variant, self.inputs = CASES[case], variant, Inputs(Path(folder))
        self.start = self.pipelines.pipeline(self.case, variant, self.inputs)

    def batches(self) -> Iterator[int]:
        """Yield the lengths of batches without end."""
        for epoch in itertools.count():
            count = 0
            for count, batch in enumerate(self.start(), 1):  # noqa: B007
                yield length(batch)
            if not count:
                raise RuntimeError(f"epoch {epoch} of {self.case.name} is empty")

    def stream(self, seconds: float) -> dict[str, Any]:
        before, began = usage.memory_mb(), time.perf_counter()
        batches = self.batches()
        next(batches)
        first, peak, rows = time.perf_counter() - began, usage.memory_mb(), 0
        cpu, began = usage.cpu_seconds(), time.perf_counter()
        while time.perf_counter() - began < seconds or not rows:
            rows += next(batches)
        wall, cpu = time.perf_counter() - began, usage.cpu_seconds() - cpu
        peak = max(peak, usage.memory_mb())
        figures = {"rows": rows, "wall_us": wall / rows * 1e6, "cpu_us": cpu / rows * 1e6, "first_s": first}
        return figures | {"peak_mb": peak, "growth_mb": peak - before}

    def memory(self, rows: int, seconds: float) -> dict[str, Any]:
        """Return how far the process grows until so many rows have come or the time is up; pages of files are left out.

        The first batch is within the time of the rows here: who shuffles by writing a permutation down does it then.
        """
        before, peak, seen, began = usage.private_mb(), 0.0, 0, time.perf_counter()
        cpu = usage.cpu_seconds()
        for count, taken in enumerate(self.batches()):
            seen, ended = seen + taken, seen + taken >= rows or time.perf_counter() - began > seconds
            if count % 64 == 0 or ended:
                peak = max(peak, usage.private_mb())
            if ended:
                break
        wall, cpu = time.perf_counter() - began, usage.cpu_seconds() - cpu
        figures = {"rows": seen, "wall_us": wall / seen * 1e6, "cpu_us": cpu / seen * 1e6}
        return figures | {"growth_mb": peak - before}

    def fit(self, seconds: float) -> dict[str, Any]:
        return dict(self.pipelines.fit(seconds))


if __name__ == "__main__":
    serve(Worker, sys.argv[1:])
