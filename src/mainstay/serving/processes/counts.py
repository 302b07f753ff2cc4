"""What workers have counted that are gone: it stays in the sum, so that no counter ever runs backwards."""

from __future__ import annotations

from mainstay.serving.operations.families import Metrics


def retire(known: bytes, counts: bytes) -> bytes:
    """Return the counts of a worker that has gone, added to those of the ones before it.

    What a process is (its memory, its connections) goes with it; what it has done stays.

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
