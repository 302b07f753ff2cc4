"""Evaluation: metrics on held-out rows beside a trivial baseline, over all rows and per slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mainstay.analysis.accumulators import Array, ClassificationState, RegressionState
from mainstay.core import ArgumentError

MAX_SLICE_VALUES = 50
RARE = 0.9
"""The share of the frequent class from which on accuracy says little."""

HEADLINES = {"regression": "mean_absolute_error", "classification": "accuracy"}


@dataclass(frozen=True)
class SliceMetrics:
    """The metrics of the rows that have one value in one column.

    Args:
        column: The slicing column.
        value: The value, as text; None stands for missing.
        num_examples: How many rows there are.
        metrics: Metric values by name.
        baseline: The same metrics of the baseline.
    """

    column: str
    value: str | None
    num_examples: int
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth on held-out rows.

    Args:
        task: ``regression`` or ``classification``.
        num_examples: How many rows were measured.
        metrics: Metric values by name.
        baseline: The same metrics of predicting one constant.
        slices: The metrics of every slice.
        classes: The class names in the order of the confusion matrix; empty for regression.
        confusion: True classes in rows, predicted ones in columns; empty for regression.
    """

    task: str
    num_examples: int
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    slices: tuple[SliceMetrics, ...] = ()
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()

    @property
    def headline(self) -> str:
        """The name of the metric to look at first: the AUC where one of two classes is rare, as accuracy misleads."""
        if "auc" in self.metrics and self.baseline.get("accuracy", 0.0) >= RARE:
            return "auc"
        return HEADLINES[self.task]

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as a JSON object."""
        return {
            "task": self.task,
            "num_examples": self.num_examples,
            "metrics": dict(self.metrics),
            "baseline": dict(self.baseline),
            "slices": [
                {
                    "column": part.column,
                    "value": part.value,
                    "num_examples": part.num_examples,
                    "metrics": dict(part.metrics),
                    "baseline": dict(part.baseline),
                }
                for part in self.slices
            ],
            "classes": list(self.classes),
            "confusion": [list(row) for row in self.confusion],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Evaluation:
        """Return the evaluation that `to_json` wrote."""
        return cls(
            value["task"],
            value["num_examples"],
            value["metrics"],
            value["baseline"],
            tuple(SliceMetrics(**part) for part in value["slices"]),
            tuple(value["classes"]),
            tuple(tuple(row) for row in value["confusion"]),
        )


@dataclass(frozen=True)
class SliceColumn:
    """The values of a slicing column in a chunk, dictionary-encoded.

    Args:
        codes: The place of each row's value in `values`, `[rows]` int.
        values: The different values as text; None stands for missing.
    """

    codes: Array
    values: Sequence[str | None]


@dataclass(frozen=True)
class EvaluationBatch:
    """A chunk of rows to measure.

    Args:
        labels: `[rows]`: numbers for regression, class indices for classification.
        predictions: `[rows]` numbers, or `[rows, num_classes]` probabilities.
        slices: The slicing columns by name.
    """

    labels: Array
    predictions: Array
    slices: Mapping[str, SliceColumn] = field(default_factory=dict)


def evaluate(
    batches: Iterable[EvaluationBatch], *, task: str, baseline: Any, classes: tuple[str, ...] = ()
) -> Evaluation:
    """Measure predictions against labels in one pass.

    Args:
        batches: The rows in chunks.
        task: ``regression`` or ``classification``.
        baseline: The constants to compare with. For regression the median, which no constant beats in absolute
            error, and the mean, which none beats in squared error; for classification the probability of each
            class, `[num_classes]`.
        classes: The class names; their number is that of the probabilities.

    Returns:
        The metrics over all rows and for each value of each slicing column, the largest slices first. A column
        with more than 50 values has its first 50; rows of further values count in the whole only.

    Raises:
        ArgumentError: The task is unknown, or there are no rows.
    """
    if task not in HEADLINES:
        raise ArgumentError("unknown task", expected=" or ".join(HEADLINES), received=task)
    run = _Run(task, np.asarray(baseline, np.float64), len(classes))
    for batch in batches:
        run.update(batch)
    if run.model.count(0) == 0:
        raise ArgumentError("there is nothing to evaluate", expected="one row or more", received="no rows")
    confusion = run.model.confusion() if isinstance(run.model, ClassificationState) else []
    return Evaluation(
        task,
        run.model.count(0),
        run.model.result(0),
        run.baseline(0),
        run.slices(),
        classes,
        tuple(tuple(row) for row in confusion),
    )


class _Run:
    """The states of one evaluation: slice 0 is all rows, slice 1 takes the values past the limit of a column."""

    SPILL = 1

    def __init__(self, task: str, baseline: Array, num_classes: int) -> None:
        self.keys: dict[str, dict[str | None, int]] = {}
        self.num_slices = self.SPILL + 1
        self.constants = tuple(baseline) if task == "regression" else (baseline,)
        self.model, *self.trivials = (
            RegressionState(float(baseline[1])) if task == "regression" else ClassificationState(num_classes)
            for _ in range(1 + len(self.constants))
        )

    def update(self, batch: EvaluationBatch) -> None:
        groups = [np.zeros(len(batch.labels), np.int64)]
        groups += [
            np.array([self._slice(column, value) for value in part.values], np.int64)[part.codes]
            for column, part in batch.slices.items()
        ]
        for ids in groups:
            self.model.update(batch.labels, batch.predictions, ids)
            for state, constant in zip(self.trivials, self.constants, strict=True):
                state.update(batch.labels, np.broadcast_to(constant, batch.predictions.shape), ids)

    def baseline(self, index: int) -> dict[str, float]:
        """Return the metrics of the best constant for each metric."""
        first, *others = (state.result(index) for state in self.trivials)
        for metrics in others:
            first = {**metrics, "mean_absolute_error": first["mean_absolute_error"]} if first else {}
        return first

    def _slice(self, column: str, value: str | None) -> int:
        known = self.keys.setdefault(column, {})
        if value in known:
            return known[value]
        if len(known) >= MAX_SLICE_VALUES:
            return self.SPILL
        known[value] = self.num_slices
        self.num_slices += 1
        return known[value]

    def slices(self) -> tuple[SliceMetrics, ...]:
        found = []
        for column, known in self.keys.items():
            parts = [
                SliceMetrics(column, value, self.model.count(i), self.model.result(i), self.baseline(i))
                for value, i in known.items()
            ]
            found += sorted(parts, key=lambda part: (-part.num_examples, str(part.value)))
        return tuple(found)
