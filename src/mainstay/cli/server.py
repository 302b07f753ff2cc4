"""`mainstay serve`: models over HTTP and gRPC until somebody says stop, in one process or several."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mainstay import serving
from mainstay.core import ArgumentError

logger = logging.getLogger("mainstay")


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What a command line asks for.

    Args:
        models: An artifact's folder, or a folder of numbered versions, by model name; empty where a configuration
            file names them.
        options: How they are served.
        workers: How many processes serve them.
        cpus: The CPUs that these stay on; empty for all.
        threads: How many threads each computes with; 0 for its share of the CPUs.
        notes: What the log has to say first.
    """

    models: Mapping[str, Path]
    options: serving.ServerOptions
    workers: int = 1
    cpus: tuple[int, ...] = ()
    threads: int = 0
    notes: Sequence[str] = ()


def serve(what: Serving, *, command: Sequence[str] = ()) -> int:
    """Serve models until SIGTERM or Ctrl-C; requests in flight are answered before it returns.

    Args:
        what: The models, and how they are served.
        command: For several workers, what starts one of them: a program that calls this function in turn.

    Returns:
        The exit code: 0, or that of a worker that could not start.

    Raises:
        ArtifactError: A model is refused.
        SetupError: A port is in use.
    """
    seat = serving.take_seat()
    if seat is not None:
        seat.settle()
        serving.serve(what.models, what.options, seat=seat)
        return 0
    for note in what.notes:
        logger.warning("%s", note)
    if what.workers == 1:
        serving.settle_on(what.cpus, what.threads)
        serving.serve(what.models, what.options)
        return 0
    if not command:
        raise ArgumentError("several workers need a command that starts one of them", received=what.workers)
    # Every worker would find what is wrong with the models' configuration; it is said once.
    serving.ModelServer(what.models, what.options)
    workers = serving.SupervisorOptions(
        workers=what.workers,
        cpus=what.cpus,
        threads=what.threads,
        drain_timeout_seconds=what.options.drain_timeout_seconds + what.options.shutdown_delay_seconds,
    )
    return serving.serve_workers(command, what.options, workers)


def worker_command(words: Sequence[str]) -> tuple[str, ...]:
    """Return the command that starts this program again with the same interpreter.

    Args:
        words: The command line after ``mainstay``.
    """
    return (sys.executable, "-P", "-m", "mainstay", *words)
