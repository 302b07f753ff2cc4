"""Mergeable metric states with one row per slice: every slice is measured in the same single pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.core import ArgumentError

Array = np.ndarray[Any, Any]

THRESHOLDS = 10_000
"""Buckets of the score histogram behind AUC and average precision, as TensorFlow Model Analysis uses them."""


def _fit(state: Array, num_slices: int) -> Array:
    """Return `state` with room for that many slices on its first axis, at least doubled where it must grow."""
    if num_slices <= len(state):
        return state
    grown = np.zeros((max(num_slices, 2 * len(state)), *state.shape[1:]))
    grown[: len(state)] = state
    return grown


class RegressionState:
    """Sums of errors and labels per slice in float64; slices are numbered from 0 and may grow in number.

    Args:
        pivot: A number near the labels, such as their mean; sums of squares are taken from there, so that labels far
            from zero lose no digits. States that are merged have the same one.
    """

    def __init__(self, pivot: float = 0.0) -> None:
        self._pivot = pivot
        self._sums = np.zeros((1, 6))

    def update(self, labels: Array, predictions: Array, slices: Array) -> None:
        """Add rows.

        Args:
            labels: The true values, `[rows]`.
            predictions: The predicted values, `[rows]`.
            slices: The slice of each row, `[rows]` int; call again with other slices for overlapping ones.
        """
        truth, guess = labels.astype(np.float64), predictions.astype(np.float64)
        error = guess - truth
        self._sums = _fit(self._sums, int(slices.max(initial=0)) + 1)
        offset = truth - self._pivot
        parts = (np.ones_like(error), np.abs(error), error * error, offset, offset * offset, error)
        for column, part in enumerate(parts):
            self._sums[:, column] += np.bincount(slices, part, minlength=len(self._sums))

    def merge(self, other: RegressionState) -> None:
        """Add the rows of another state of the same slices."""
        self._sums = _fit(self._sums, len(other._sums))
        self._sums[: len(other._sums)] += other._sums

    def result(self, index: int) -> dict[str, float]:
        """Return the metrics of one slice: count, MAE, RMSE, R², bias and the mean label; empty without rows."""
        count, absolute, squared, total, total_squared, signed = (float(value) for value in self._sums[index])
        if count == 0:
            return {}
        spread = total_squared - total * total / count
        metrics = {
            "mean_absolute_error": absolute / count,
            "root_mean_squared_error": float(np.sqrt(squared / count)),
            "mean_error": signed / count,
            "mean_label": self._pivot + total / count,
        }
        if spread > 0:
            metrics["r_squared"] = 1.0 - squared / spread
        return metrics

    def count(self, index: int) -> int:
        """Return the number of rows of one slice."""
        return int(self._sums[index, 0])


class ClassificationState:
    """Confusions, log loss and, for two classes, the score histogram per slice.

    Args:
        num_classes: How many classes there are, 2 or more.

    Raises:
        ArgumentError: There are fewer than two classes.
    """

    def __init__(self, num_classes: int) -> None:
        if num_classes < 2:
            raise ArgumentError("a classifier needs two classes or more", received=num_classes)
        self._num_classes = num_classes
        self._sums = np.zeros((1, 3))
        self._confusion = np.zeros((num_classes, num_classes))
        self._histogram = np.zeros((1, 2, THRESHOLDS + 1)) if num_classes == 2 else None

    def update(self, labels: Array, probabilities: Array, slices: Array) -> None:
        """Add rows.

        Args:
            labels: The true classes, `[rows]` int.
            probabilities: The predicted probabilities, `[rows, num_classes]`.
            slices: The slice of each row, `[rows]` int; rows of slice 0 fill the confusion matrix.
        """
        self._sums = _fit(self._sums, int(slices.max(initial=0)) + 1)
        guess = probabilities.argmax(axis=1)
        chosen = np.clip(probabilities[np.arange(len(labels)), labels].astype(np.float64), 1e-7, 1.0)
        for column, part in enumerate((np.ones_like(chosen), guess == labels, -np.log(chosen))):
            self._sums[:, column] += np.bincount(slices, part, minlength=len(self._sums))
        whole = slices == 0
        cells = labels[whole] * self._num_classes + guess[whole]
        self._confusion += np.bincount(cells, minlength=self._confusion.size).reshape(self._confusion.shape)
        if self._histogram is not None:
            bucket = np.rint(probabilities[:, 1].astype(np.float64) * THRESHOLDS).astype(np.int64)
            self._histogram = _fit(self._histogram, len(self._sums))
            np.add.at(self._histogram, (slices, labels, bucket), 1.0)

    def merge(self, other: ClassificationState) -> None:
        """Add the rows of another state of the same slices and classes."""
        self._sums = _fit(self._sums, len(other._sums))
        self._sums[: len(other._sums)] += other._sums
        self._confusion += other._confusion
        if self._histogram is not None and other._histogram is not None:
            self._histogram = _fit(self._histogram, len(self._sums))
            self._histogram[: len(other._histogram)] += other._histogram

    def result(self, index: int) -> dict[str, float]:
        """Return the metrics of one slice: accuracy, log loss and, for two classes with both present, AUC and AP."""
        count, correct, log_loss = (float(value) for value in self._sums[index])
        if count == 0:
            return {}
        metrics = {"accuracy": correct / count, "log_loss": log_loss / count}
        if self._histogram is not None:
            metrics |= _ranking(self._histogram[index])
        return metrics

    def count(self, index: int) -> int:
        """Return the number of rows of one slice."""
        return int(self._sums[index, 0])

    def confusion(self) -> list[list[int]]:
        """Return the confusion matrix of slice 0: rows are true classes, columns predicted ones."""
        return [[int(cell) for cell in row] for row in self._confusion]


def _ranking(histogram: Array) -> dict[str, float]:
    """Return AUC and average precision from counts `[2, buckets]` of negatives and positives by rising score."""
    negatives, positives = histogram[:, ::-1]
    total_negative, total_positive = negatives.sum(), positives.sum()
    if total_negative == 0 or total_positive == 0:
        return {}
    true_positive, false_positive = positives.cumsum(), negatives.cumsum()
    above = np.concatenate([[0.0], true_positive[:-1]])
    area = float(((above + positives / 2) * negatives).sum() / (total_negative * total_positive))
    seen = true_positive + false_positive
    precision = np.divide(true_positive, seen, out=np.zeros_like(seen), where=seen > 0)
    return {"auc": area, "average_precision": float((precision * positives).sum() / total_positive)}
