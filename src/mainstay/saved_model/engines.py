"""Engines: what can run a program. XLA is one; others register, and the fastest that proves itself is kept.

An engine is chosen for a signature by asking each of them the golden requests. One whose answers differ by more than
the tolerance is out, whatever its speed. The choice is kept in a small file beside compiled programs, never in the
artifact: it holds for one machine.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mainstay.core import ArgumentError, MainstayError, digest_json, write_json
from mainstay.saved_model.feeds import Feeds
from mainstay.saved_model.program import Program

logger = logging.getLogger("mainstay")

Array = np.ndarray[Any, Any]

XLA = "xla"
_MEASUREMENTS = 5


class Runnable(Protocol):
    """The compiled forms of one program; several threads may run it at once."""

    feeds: Feeds
    output_names: tuple[str, ...]

    def compile(self, bucket: int) -> Any:
        """Get ready for batches of `bucket` rows."""

    def run(self, values: Mapping[str, Array], start: int, rows: int, bucket: int) -> list[Array]:
        """Return the outputs for `rows` rows of `values` from `start` on, each `[rows, ...]`, in order."""

    def run_exactly(self, values: Mapping[str, Array]) -> list[Array]:
        """Return the outputs for just these values, in order."""


@runtime_checkable
class Engine(Protocol):
    """Something that runs programs."""

    @property
    def name(self) -> str:
        """Its name, by which a caller asks for it."""

    @property
    def version(self) -> str:
        """What its speed depends on: the version of the library behind it."""

    def can_run(self, program: Program) -> bool:
        """Return whether the engine runs a program, on this machine."""

    def executables(self, program: Program, weights: Sequence[Any]) -> Runnable:
        """Return the program ready to run.

        Args:
            program: The program.
            weights: Its weights, arrays of JAX, in the order in which it takes them. On a CPU they are views of the
                mapped file.
        """


class XlaEngine:
    """XLA, through JAX."""

    name = XLA

    @property
    def version(self) -> str:
        """The version of XLA's package."""
        from importlib import metadata

        return metadata.version("jaxlib")

    def can_run(self, program: Program) -> bool:
        """Return True: a program that XLA cannot run is refused with a reason when it is read."""
        del program
        return True

    def executables(self, program: Program, weights: Sequence[Any]) -> Runnable:
        """Return the program with its weights on the device."""
        from mainstay.saved_model.executables import Executables

        return Executables(program, list(weights))


_engines: dict[str, Engine] = {XLA: XlaEngine()}


def register_engine(engine: Engine) -> None:
    """Let `load` measure another engine beside XLA.

    Args:
        engine: The engine; one of the same name gives way.

    Raises:
        ArgumentError: It is no engine.
    """
    if not isinstance(engine, Engine) or not engine.name.isidentifier():
        raise ArgumentError("this is no engine", expected="an object with name, version, can_run and executables")
    _engines[engine.name] = engine


def engines(name: str | None = None) -> list[Engine]:
    """Return the engine of a name, or all of them, XLA first.

    Raises:
        ArgumentError: There is none of that name.
    """
    if name is None:
        return list(_engines.values())
    if name not in _engines:
        raise ArgumentError("there is no such engine", expected=", ".join(_engines), received=name)
    return [_engines[name]]


class Choices:
    """Which engine was the fastest for a program on this machine, in a small file each.

    Args:
        folder: Where the files lie; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, key: Mapping[str, Any]) -> str | None:
        """Return the name of the engine that was chosen under the same circumstances, or None."""
        if self._folder is None:
            return None
        try:
            value = json.loads(self._path(key).read_bytes())
        except (OSError, ValueError):
            return None
        known = isinstance(value, dict) and value.get("key") == dict(key)
        return str(value["engine"]) if known and isinstance(value.get("engine"), str) else None

    def put(self, key: Mapping[str, Any], engine: str, seconds: Mapping[str, float]) -> None:
        """Remember a choice; a file system that refuses is lived with."""
        if self._folder is not None:
            with contextlib.suppress(MainstayError):
                write_json(self._path(key), {"key": dict(key), "engine": engine, "seconds": dict(seconds)})

    def _path(self, key: Mapping[str, Any]) -> Path:
        return Path(self._folder or "") / f"{digest_json(dict(key))}.json"


def circumstances(candidates: Sequence[Engine], program: Program, digest: str) -> dict[str, Any]:
    """Return what a choice depends on: the program, the engines with their versions, and the machine."""
    return {
        "program": digest,
        "platforms": list(program.platforms),
        "engines": {engine.name: engine.version for engine in candidates},
        "cpus": os.cpu_count() or 1,
    }


def fastest(
    names: Sequence[str], ask: Callable[[str], None], clock: Callable[[], float] = time.perf_counter
) -> tuple[str, dict[str, float]]:
    """Return the engine that answers in the least time, and the time of each that answers rightly.

    Args:
        names: The engines, the first of which must answer rightly.
        ask: Asks an engine the golden requests; raises a `MainstayError` where its answers are wrong.
        clock: Gives seconds.

    Raises:
        MainstayError: The first engine does not answer rightly.
    """
    seconds: dict[str, float] = {}
    for index, name in enumerate(names):
        try:
            ask(name)
        except MainstayError as error:
            if index == 0:
                raise
            logger.warning("the engine %s is left out: %s", name, error)
            continue
        times = []
        for _ in range(_MEASUREMENTS):
            started = clock()
            ask(name)
            times.append(clock() - started)
        seconds[name] = min(times)
    return min(seconds, key=lambda name: seconds[name]), seconds
