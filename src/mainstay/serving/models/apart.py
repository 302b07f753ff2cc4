"""Verifying and compiling a version in a process of its own at low priority, so that requests here do not wait.

A compiler needs every core that it gets, and lowering a program keeps Python to itself. The child process loads the
version, replays its golden requests and compiles every batch size; what it compiled is in the compilation cache when
this process loads the same files. It hands over no code and no objects: its report is a JSON document.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mainstay.core import FormatError, MainstayError, UnavailableError
from mainstay.serving.batching.options import BatchingOptions
from mainstay.serving.batching.turns import Share, Work
from mainstay.serving.models.loading import make_servable
from mainstay.serving.models.options import VersionOptions
from mainstay.serving.models.sources import Source
from mainstay.serving.options import ServerOptions
from mainstay.serving.status import logger

COMMAND = (sys.executable, "-m", "mainstay.serving.models.apart")
"""What a child process runs."""

_PARENT_DEATH_SIGNAL = 1
_LOWEST_PRIORITY = 19
_KEPT_STDERR = 2000
_WARM_UP = ("warm_up", "warm_up_iterations", "warm_up_every_size")
_PARTS = ("where", "expected", "received", "fix")


class ChildProcesses:
    """The child processes that are at work, so that they can be ended with the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def run(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Run a job in a child process and return its report.

        Raises:
            MainstayError: The job failed, with the error that it failed with.
            UnavailableError: The child process was killed, for example because memory ran out.
        """
        with self._lock:
            if self._closed:
                raise UnavailableError("the server is stopping")
            child = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self._running.add(child)
        try:
            output, errors = child.communicate(json.dumps(job).encode())
        finally:
            with self._lock:
                self._running.discard(child)
        said = errors.decode(errors="replace").strip()
        if said:
            logger.debug("the compiling process said: %s", said[-_KEPT_STDERR:])
        if child.returncode:
            raise UnavailableError(
                "the process that verifies and compiles the version ended early",
                received=f"signal {-child.returncode}" if child.returncode < 0 else said[-_KEPT_STDERR:],
                fix="give the machine more memory, or set compile_apart='never'" if child.returncode < 0 else None,
            )
        return _read_report(output)

    def close(self) -> None:
        """End the child processes, and start none any more."""
        with self._lock:
            self._closed = True
            for child in self._running:
                child.kill()


def _read_report(output: bytes) -> dict[str, Any]:
    """Return the report, the last line of what a child process wrote.

    Raises:
        MainstayError: The report is of an error.
    """
    try:
        report = json.loads(output.rsplit(b"\n", 2)[-2])
    except (ValueError, IndexError) as error:
        raise UnavailableError("the process that compiles a version gave no report", received=output[-200:]) from error
    if "error" in report:
        raise _error(report["error"])
    return dict(report)


def _error(parts: Mapping[str, Any]) -> MainstayError:
    """Return the error that a child process met."""
    pending: list[type[MainstayError]] = [MainstayError]
    while pending:
        kind = pending.pop()
        if kind.code == parts["code"]:
            return kind(parts["summary"], **{name: parts[name] for name in _PARTS})
        pending += kind.__subclasses__()
    return FormatError(parts["summary"], **{name: parts[name] for name in _PARTS})


def _report_error(error: Exception) -> dict[str, Any]:
    if isinstance(error, MainstayError):
        return {
            "code": error.code,
            "summary": error.summary,
            **{name: getattr(error, name) for name in _PARTS},
        }
    return {
        "code": UnavailableError.code,
        "summary": f"{type(error).__name__}: {error}",
        **dict.fromkeys(_PARTS),
    }


def job_for(source: Source, options: ServerOptions) -> dict[str, Any]:
    """Return the job of verifying, compiling and warming up a version as `options` say."""
    import jax

    versions = options.versions
    return {
        "name": source.name,
        "version": source.version,
        "path": str(source.path),
        "batching": asdict(options.batching),
        "versions": {name: getattr(versions, name) for name in (*_WARM_UP, "saved_model_tags")},
        "cache": jax.config.values["jax_compilation_cache_dir"],
        "own_thread": bool(jax.config.values["jax_cpu_enable_async_dispatch"]),
        "x64": bool(jax.config.values["jax_enable_x64"]),
    }


class _NoExecutor:
    """Nothing of a child process is ever queued."""

    threads = 1
    idle = True

    def join(self, take: Callable[[], Work | None], finish: Callable[[Any], None]) -> Share:
        return Share(take, finish)

    def ask(self, share: Share) -> None:
        """Run nothing."""

    def leave(self, share: Share) -> None:
        """Let nothing go."""


def prepare(job: Mapping[str, Any]) -> dict[str, Any]:
    """Verify, compile and warm up a version, in this process.

    Returns:
        The report: how long it took, in seconds.
    """
    started = time.monotonic()
    import jax

    from mainstay.core import set_compilation_cache, start_compilation_cache
    from mainstay.saved_model import load

    settings: Any = jax.config
    settings.update("jax_cpu_enable_async_dispatch", job["own_thread"])
    settings.update("jax_enable_x64", job["x64"])
    start_compilation_cache()
    if settings.jax_compilation_cache_dir != job["cache"]:
        set_compilation_cache(Path(job["cache"]).parent)
    versions = VersionOptions(**{**job["versions"], "saved_model_tags": tuple(job["versions"]["saved_model_tags"])})
    options = ServerOptions(batching=BatchingOptions(**job["batching"]), versions=versions)
    source = Source(job["name"], job["version"], Path(job["path"]))
    model = load(source.path, tags=versions.saved_model_tags or None)
    loop = asyncio.new_event_loop()
    make_servable(source, model, options=options, executor=_NoExecutor(), loop=loop)
    return {"seconds": time.monotonic() - started}


def _give_way() -> None:
    """Give this process the lowest priority; its compiler's threads inherit it."""
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, _LOWEST_PRIORITY)


def main() -> None:
    """Do the job that standard input describes, and write the report to standard output."""
    _give_way()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    # Whatever a library prints goes to standard error: standard output is for the report alone.
    report_to = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        report = prepare(json.load(sys.stdin))
    except Exception as error:
        report = {"error": _report_error(error)}
    report_to.write(json.dumps(report).encode() + b"\n")
    report_to.flush()
    # Compilers and thread pools need not be taken down with care.
    os._exit(0)


if __name__ == "__main__":
    main()
