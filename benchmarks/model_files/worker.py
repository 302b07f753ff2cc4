"""One process that saves, loads or runs a model file, and times it, a line of JSON at a time.

    python -m model_files.worker ENGINE MODEL FILE        # in the folder benchmarks/

Engines: mainstay, tensorflow, tensorflow-keras (a .keras file). Commands are `["save"]`, `["load"]`, which loads and
answers one row, and `["run", ROWS, SECONDS]`. Memory is the peak of the process beyond what it had before the command.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from model_files.models import batch, build


def _memory_mb() -> float:
    """Return the memory that the process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _peak_mb() -> float:
    """Return the most memory since the last reset, or since the process began."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Mainstay:
    """Mainstay reads its own folders and those that TensorFlow wrote."""

    def __init__(self) -> None:
        import jax  # noqa: F401

        from mainstay import saved_model

        self.saved_model = saved_model

    def build(self, name: str) -> Any:
        import mainstay.keras as keras

        return build(name, keras)

    def save(self, model: Any, path: str) -> None:
        self.saved_model.save(model, path)

    def load(self, path: str) -> Callable[[Any], Any]:
        model = self.saved_model.load(path)
        self.kept = model
        signature = model.signatures["serving_default"]

        def run(values: Any) -> Any:
            (answer,) = signature(values).values()
            return np.asarray(answer)

        return run


class TensorFlow:
    """TensorFlow reads SavedModels."""

    def __init__(self) -> None:
        import keras
        import tensorflow

        self.keras, self.tensorflow = keras, tensorflow

    def build(self, name: str) -> Any:
        return build(name, self.keras)

    def save(self, model: Any, path: str) -> None:
        model.export(path, verbose=False)

    def load(self, path: str) -> Callable[[Any], Any]:
        self.kept = self.tensorflow.saved_model.load(path)
        signature = self.kept.signatures["serving_default"]
        (name,) = signature.structured_input_signature[1]

        def run(values: Any) -> Any:
            (answer,) = signature(**{name: self.tensorflow.constant(values)}).values()
            return answer.numpy()

        return run


class KerasFile(TensorFlow):
    """Keras reads and writes its own file."""

    def save(self, model: Any, path: str) -> None:
        model.save(path)

    def load(self, path: str) -> Callable[[Any], Any]:
        model = self.keras.models.load_model(path)
        run = self.tensorflow.function(lambda x: model(x, training=False))
        return lambda values: run(self.tensorflow.constant(values)).numpy()


ENGINES = {"mainstay": Mainstay, "tensorflow": TensorFlow, "tensorflow-keras": KerasFile}


def _measured(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    Path("/proc/self/clear_refs").write_text("5")
    before, started, cpu = _memory_mb(), time.perf_counter(), _cpu()
    result = work()
    seconds, used = time.perf_counter() - started, _cpu() - cpu
    return result, {"seconds": seconds, "cpu": used, "memory": _peak_mb() - before}


class Worker:
    """Answers commands."""

    def __init__(self, engine: str, model: str, path: str) -> None:
        self.engine, self.name, self.path = ENGINES[engine](), model, path
        self.run: Callable[[Any], Any] | None = None

    def do(self, verb: str, *arguments: Any) -> dict[str, Any]:
        if verb == "save":
            model = self.engine.build(self.name)
            return _measured(lambda: self.engine.save(model, self.path))[1]
        if verb == "load":
            self.run, figures = _measured(lambda: self.engine.load(self.path))
            answer, first = _measured(lambda: self.run(batch(self.name, 1)))  # type: ignore[misc]
            return {
                **figures,
                "first": first["seconds"],
                "memory": max(figures["memory"], first["memory"]),
                "answer": np.asarray(answer, np.float64).ravel()[:8].tolist(),
            }
        rows, seconds = arguments
        values = batch(self.name, rows)
        for _ in range(3):
            self.run(values)  # type: ignore[misc]
        times, cpu, end = [], _cpu(), time.perf_counter() + seconds
        while len(times) < 5 or time.perf_counter() < end:
            started = time.perf_counter()
            self.run(values)  # type: ignore[misc]
            times.append(time.perf_counter() - started)
        return {"seconds": float(np.median(times)), "least": min(times), "cpu": (_cpu() - cpu) / len(times)}


def main(engine: str, model: str, path: str) -> None:
    """Answer commands until there are no more."""
    try:
        worker = Worker(engine, model, path)
        print(json.dumps({"ready": True}), flush=True)
    except Exception:
        print(json.dumps({"error": traceback.format_exc(limit=-3)}), flush=True)
        return
    for line in sys.stdin:
        try:
            answer = worker.do(*json.loads(line))
        except Exception:
            answer = {"error": traceback.format_exc(limit=-3)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
