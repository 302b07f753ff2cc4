"""Model analysis: metrics beside a baseline, over all rows and per slice, from plain predictions."""

from mainstay.analysis.accumulators import ClassificationState, RegressionState
from mainstay.analysis.comparison import METRICS, MetricComparison, MetricKind, compare
from mainstay.analysis.evaluation import Evaluation, EvaluationBatch, SliceColumn, SliceMetrics, evaluate

__all__ = [
    "METRICS",
    "ClassificationState",
    "Evaluation",
    "EvaluationBatch",
    "MetricComparison",
    "MetricKind",
    "RegressionState",
    "SliceColumn",
    "SliceMetrics",
    "compare",
    "evaluate",
]
