"""One process that trains and infers in one framework, and times what it is told to, a line of JSON at a time.

    python -m rivals.worker ENGINE SET/CASE [BATCHES]          # in the folder benchmarks/; BATCHES of an epoch

Commands are `["first", TASK]`, which builds the model and compiles, `["prepare", TASK]`, which warms up too,
`["run", TASK, SECONDS]`, which measures about that long, and `["flops"]`. Every command is answered by one line: a
result, or {"error": …}.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rivals.cases import SETS

ENGINES = {
    "mainstay": "rivals.mainstay_engine",
    "jax": "rivals.jax_engine",
    "tensorflow": "rivals.tensorflow_engine",
    "tensorflow-jit": "rivals.tensorflow_engine",
    "torch": "rivals.torch_engine",
    "torch-compile": "rivals.torch_engine",
}
TASKS = ("fit", "step", "predict", "call")


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@dataclass
class Clock:
    """Wall and CPU seconds of every thread between `start` and `stop`."""

    wall: float = 0.0
    cpu: float = 0.0
    _since: tuple[float, float] = field(default=(0.0, 0.0), repr=False)

    def start(self) -> None:
        self._since = (time.perf_counter(), cpu_seconds())

    def stop(self) -> None:
        self.wall, self.cpu = time.perf_counter() - self._since[0], cpu_seconds() - self._since[1]


class Worker:
    """Holds the engine and how many rounds of each task fill a second."""

    def __init__(self, name: str, case: str, *batches: str) -> None:
        kind, _, model = case.rpartition("/")
        self.case = SETS[kind or "cases"][model]
        if batches:
            self.case = replace(self.case, epoch=int(batches[0]))
        engine = importlib.import_module(ENGINES[name]).Engine
        started = time.perf_counter()
        self.engine = engine(self.case, compiled=name.endswith(("jit", "compile")))
        self.built = time.perf_counter() - started
        self.seconds: dict[str, float] = {}

    def steps(self, task: str, rounds: int) -> int:
        return rounds * (self.case.epoch if task in ("fit", "predict") else 1)

    def first(self, task: str) -> dict[str, Any]:
        """Build the model, and compile and run its first step or, of `fit` and `predict`, its first pass."""
        started = time.perf_counter()
        getattr(self.engine, task)(Clock(), 0 if task == "fit" else 1)
        return {"seconds": self.built + time.perf_counter() - started}

    def prepare(self, task: str) -> dict[str, Any]:
        self.first(task)
        run = getattr(self.engine, task)
        for rounds in (1, 2):
            clock = Clock()
            run(clock, rounds)
            self.seconds[task] = clock.wall / rounds
        return {"parameters": self.engine.parameters(task)}

    def run(self, task: str, seconds: float) -> dict[str, Any]:
        clock, rounds = Clock(), max(1, min(5000, round(seconds / self.seconds[task])))
        getattr(self.engine, task)(clock, rounds)
        steps = self.steps(task, rounds)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"wall_ms": clock.wall / steps * 1e3, "cpu_ms": clock.cpu / steps * 1e3, "steps": steps, "peak_mb": peak}

    def flops(self) -> dict[str, Any]:
        """Return the floating-point operations of a training step, if the engine knows them."""
        return {"flops": self.engine.flops()}


def serve(start: Callable[..., Any], arguments: Sequence[str]) -> None:
    """Start a worker with the arguments, and answer commands, which are methods of it, until there are no more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a framework prints must not look like an answer

    def answer(work: Any) -> Any:
        try:
            result = work()
        except Exception as error:
            traceback.print_exc()
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=answers)
            return None
        print(json.dumps(result if isinstance(result, dict) else {}), file=answers)
        return result

    worker = answer(lambda: start(*arguments))
    for line in sys.stdin if worker else ():
        command, *rest = json.loads(line)
        answer(lambda: getattr(worker, command)(*rest))  # noqa: B023


if __name__ == "__main__":
    serve(Worker, sys.argv[1:])
