"""Comparison: what each metric is called, which way is better, and whether a model beats its baseline."""

from __future__ import annotations

from dataclasses import dataclass

from mainstay.analysis.evaluation import Evaluation


@dataclass(frozen=True)
class MetricKind:
    """What a metric means.

    Args:
        title: Its name for people.
        lower_is_better: True for errors, False for scores, None where neither end is better.
    """

    title: str
    lower_is_better: bool | None


METRICS = {
    "mean_absolute_error": MetricKind("Mean absolute error", True),
    "root_mean_squared_error": MetricKind("Root mean squared error", True),
    "r_squared": MetricKind("R²", False),
    "mean_error": MetricKind("Mean error (bias)", None),
    "mean_label": MetricKind("Mean label", None),
    "accuracy": MetricKind("Accuracy", False),
    "log_loss": MetricKind("Log loss", True),
    "auc": MetricKind("Area under ROC", False),
    "average_precision": MetricKind("Average precision", False),
}
"""Every metric that an evaluation may hold, by its name, in the order in which people read them."""


@dataclass(frozen=True)
class MetricComparison:
    """A metric of a model beside that of its baseline.

    Args:
        name: The metric.
        title: Its name for people.
        value: The model's.
        baseline: The baseline's, or None where it has none.
        better: Whether the model is better, or None where nobody can say.
    """

    name: str
    title: str
    value: float
    baseline: float | None
    better: bool | None


def compare(evaluation: Evaluation) -> tuple[MetricComparison, ...]:
    """Return the metrics of an evaluation beside those of its baseline, in the order of `METRICS`."""
    return tuple(
        MetricComparison(
            name, kind.title, evaluation.metrics[name], evaluation.baseline.get(name), _better(name, evaluation)
        )
        for name, kind in METRICS.items()
        if name in evaluation.metrics
    )


def _better(name: str, evaluation: Evaluation) -> bool | None:
    lower, value, baseline = METRICS[name].lower_is_better, evaluation.metrics[name], evaluation.baseline.get(name)
    if lower is None or baseline is None or value == baseline:
        return None
    return (value < baseline) == lower
