"""Metrics of several processes as one: asked of all of them, and kept of those that are gone."""

from __future__ import annotations

import asyncio
from typing import Any

from mainstay.core import FormatError
from mainstay.serving.operations.families import Metrics
from mainstay.serving.operations.pages import Gather
from mainstay.serving.processes.control import Control
from mainstay.serving.status import logger

METRICS, TENSORFLOW_METRICS = "metrics", "tensorflow_metrics"
"""The names under which processes are asked for Mainstay's and TF Serving's metrics."""


def gather_metrics(control: Control, name: str, loop: asyncio.AbstractEventLoop) -> Gather:
    """Return what collects the metrics of all processes.

    Args:
        control: Asks them.
        name: Which metrics.
        loop: The event loop.
    """
    tasks: set[Any] = set()

    def gather(done: Any) -> None:
        task = loop.create_task(_gather(control, name, done))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return gather


async def _gather(control: Control, name: str, done: Any) -> None:
    metrics = Metrics()
    try:
        parts = await control.gather(name)
    except Exception as error:  # whoever asked has to be answered, if with what is known here
        logger.warning("only this worker is measured, the others cannot be asked: %s", error)
        parts = [control.collectors[name]()]
    for part in parts:
        try:
            metrics.merge(Metrics.from_bytes(part))
        except FormatError as error:  # a worker of another release, while they are replaced
            logger.warning("the metrics of a worker are left out: %s", error.one_line())
    done(metrics)


def retire(known: bytes, counts: bytes) -> bytes:
    """Return the counts of a worker that has gone, added to those of the ones before it.

    What a process is (its memory, its connections) goes with it; what it has done stays, so that no counter ever
    runs backwards.

    Args:
        known: The sum so far; empty for none.
        counts: The last metrics of the worker.

    Raises:
        FormatError: They are no metrics.
    """
    total = Metrics.from_bytes(known) if known else Metrics()
    for points in Metrics.from_bytes(counts).families.values():
        if points.family.kind == "gauge" or points.family.merge != "sum":
            continue
        mine = total.declare(points.family)
        for labels, value in points.values.items():
            mine.add(labels, value)
    return total.to_bytes()
