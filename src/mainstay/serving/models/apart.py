"""Verifying and compiling a version in a process of its own at low priority, so that requests here do not wait.

A compiler needs every core that it gets, and lowering a program keeps Python to itself. The child process loads the
version, replays its golden requests and compiles every batch size; what it compiled is in the compilation cache when
this process loads the same files. It hands over no code and no objects: its report is a JSON document.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mainstay.core import FormatError, MainstayError, UnavailableError
from mainstay.serving.batching.options import BatchingOptions
from mainstay.serving.models.workers import give_way
from mainstay.serving.status import logger

_PARENT_DEATH_SIGNAL = 1
_KEPT_STDERR = 2000
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
        command = [sys.executable, "-m", "mainstay.serving.models.apart"]
        with self._lock:
            if self._closed:
                raise UnavailableError("the server is stopping")
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
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


def job_for(path: Path, *, batching: BatchingOptions, tags: tuple[str, ...]) -> dict[str, Any]:
    """Return the job of verifying and compiling a version.

    Args:
        path: Its folder.
        batching: Which batch sizes are compiled.
        tags: Which graph of a SavedModel of TensorFlow; empty for the usual one.
    """
    import jax

    return {
        "path": str(path),
        "max_batch_size": batching.execution_rows,
        "allowed_batch_sizes": list(batching.allowed_batch_sizes),
        "tags": list(tags),
        "cache": jax.config.values["jax_compilation_cache_dir"],
        "own_thread": bool(jax.config.values["jax_cpu_enable_async_dispatch"]),
        "x64": bool(jax.config.values["jax_enable_x64"]),
    }


def prepare(job: Mapping[str, Any]) -> dict[str, Any]:
    """Verify and compile a version, in this process.

    Returns:
        The report: how long it took, in seconds.
    """
    started = time.monotonic()
    import jax

    from mainstay.core import set_compilation_cache, start_compilation_cache
    from mainstay.saved_model import load
    from mainstay.serving.models.endpoints import batch_sizes

    settings: Any = jax.config
    settings.update("jax_cpu_enable_async_dispatch", job["own_thread"])
    settings.update("jax_enable_x64", job["x64"])
    start_compilation_cache()
    if settings.jax_compilation_cache_dir != job["cache"]:
        set_compilation_cache(Path(job["cache"]).parent)
    batching = BatchingOptions(
        max_batch_size=job["max_batch_size"], allowed_batch_sizes=tuple(job["allowed_batch_sizes"])
    )
    model = load(job["path"], tags=job["tags"] or None)
    for signature in model.signatures.values():
        if getattr(signature, "rows", True):
            signature.warm_up(batch_sizes(signature, batching))
    return {"seconds": time.monotonic() - started}


def main() -> int:
    """Do the job that standard input describes, and write the report to standard output."""
    give_way()
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
