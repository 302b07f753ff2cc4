"""What the metrics say of shadows: how many requests were compared, and how many answers differed."""

from __future__ import annotations

from collections.abc import Mapping

from mainstay.serving.operations.families import Family, Metrics
from mainstay.serving.traffic.statistics import ModelStatistics

_LABELS = ("model", "shadow")
_OUTCOMES = Family(
    "mainstay_shadow_requests_total",
    "counter",
    "Requests that a shadow was meant to answer as well, by what became of it.",
    (*_LABELS, "outcome"),
)
_ROWS = Family(
    "mainstay_shadow_rows_total",
    "counter",
    "Rows of each output that were compared with a shadow's, by whether they differ by more than the tolerance.",
    (*_LABELS, "output", "outcome"),
)
_LARGEST = Family(
    "mainstay_shadow_largest_difference",
    "gauge",
    "The largest difference of an output from a shadow's, in units of the output.",
    (*_LABELS, "output"),
    merge="max",
)


def measure(statistics: Mapping[str, ModelStatistics], metrics: Metrics) -> None:
    """Put what is known of the shadows of all models into the metrics of a process."""
    for model, known in statistics.items():
        for target, counts in known.shadows.items():
            labels = (model, str(target))
            outcomes = {
                "same": counts.compared - counts.differing,
                "different": counts.differing,
                "failed": counts.failed,
                "left_out": counts.left_out,
                "unavailable": counts.unavailable,
            }
            for outcome, number in outcomes.items():
                metrics.add(_OUTCOMES, (*labels, outcome), number)
            for name, output in counts.outputs.items():
                metrics.add(_ROWS, (*labels, name, "same"), output.rows - output.differing)
                metrics.add(_ROWS, (*labels, name, "different"), output.differing)
                metrics.add(_LARGEST, (*labels, name), output.largest_absolute)
