"""Model analysis: metrics beside a baseline, over all rows and per slice, from plain predictions."""

from mainstay.analysis.accumulators import ClassificationState, RegressionState
from mainstay.analysis.evaluation import Evaluation, EvaluationBatch, SliceColumn, SliceMetrics, evaluate

__all__ = [
    "ClassificationState",
    "Evaluation",
    "EvaluationBatch",
    "RegressionState",
    "SliceColumn",
    "SliceMetrics",
    "evaluate",
]
