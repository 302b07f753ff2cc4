"""The label: which task it makes, how its values become numbers, and the constant that any model must beat."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mainstay.core import ArgumentError, DataError

Array = np.ndarray[Any, Any]

TASKS = ("auto", "classification", "regression")
MAX_CLASSES = 1000
MAX_NUMERIC_CLASSES = 20


@dataclass(frozen=True)
class Label:
    """What a model learns to predict.

    Args:
        column: The label's column.
        task: ``classification`` or ``regression``.
        classes: The class values in the order of their indices, as JSON values; empty for regression.
        dtype: The dtype of the classes, ``string`` or ``int64``; ``float32`` for regression.
        mean: The mean of the training labels (regression), or 0.
        std: Their population standard deviation, or 1 where that is 0.
        baseline: What predicting without looking gives: the median and the mean for regression, the share of each
            class, `[num_classes]`, for classification.
    """

    column: str
    task: str
    classes: tuple[Any, ...]
    dtype: str
    mean: float
    std: float
    baseline: tuple[float, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes as text."""
        return tuple(str(value) for value in self.classes)

    def encode(self, column: pa.Array) -> Array:
        """Return the labels of a chunk as numbers: float64 values or int64 class indices, `[rows]`.

        Raises:
            DataError: A value is none of the classes.
        """
        if self.task == "regression":
            return _numbers(column).astype(np.float64)
        plain = _as_class_values(column)
        indices = pc.index_in(plain, value_set=pa.array(list(self.classes), plain.type))
        if indices.null_count:
            raise DataError(
                "a label is none of the classes",
                where=f"column {self.column!r}",
                expected=", ".join(self.class_names[:20]),
                received=plain.filter(indices.is_null())[0].as_py(),
            )
        return np.asarray(indices.to_numpy(zero_copy_only=False), np.int64)

    def standardise(self, values: Array) -> Array:
        """Return `encode`'s quantities with mean 0 and deviation 1, in float64 before anything rounds them."""
        return (values - self.mean) / self.std if self.task == "regression" else values

    def to_json(self) -> dict[str, Any]:
        """Return the label as a JSON object."""
        return {
            "column": self.column,
            "task": self.task,
            "classes": list(self.classes),
            "dtype": self.dtype,
            "mean": self.mean,
            "std": self.std,
            "baseline": list(self.baseline),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Label:
        """Return the label that `to_json` wrote."""
        return cls(**{**value, "classes": tuple(value["classes"]), "baseline": tuple(value["baseline"])})


def require_columns(wanted: Sequence[str], columns: Sequence[str], *, option: str) -> None:
    """Check that columns exist, and suggest the nearest name where one does not.

    Raises:
        ArgumentError: A column is not there.
    """
    for name in wanted:
        if name not in columns:
            folded = {column.casefold(): column for column in columns}
            near = [folded[key] for key in difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)]
            raise ArgumentError(
                f"there is no column named {name!r}",
                where=option,
                expected=f"one of {', '.join(columns)}",
                received=name,
                fix=f"did you mean {near[0]!r}?" if near else "name a column of the data",
            )


def _as_class_values(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.cast(pa.string())
    if pa.types.is_boolean(column.type):
        return column.cast(pa.string())
    return column.cast(pa.int64())


def _counts(column: str, chunks: Iterable[pa.Array]) -> dict[Any, int]:
    counts: dict[Any, int] = {}
    for chunk in chunks:
        for item in pc.value_counts(_as_class_values(chunk)):
            value = item["values"].as_py()
            counts[value] = counts.get(value, 0) + item["counts"].as_py()
        if len(counts) > MAX_CLASSES:
            raise DataError(
                "the label has too many different values for classes",
                where=f"column {column!r}",
                expected=f"at most {MAX_CLASSES:,} classes",
                received=f"more than {MAX_CLASSES:,}",
                fix="choose another label, or --task regression if it is a quantity",
            )
    return counts


def choose_task(kind: pa.DataType, values: Array | None) -> str:
    """Return the task of a label: numbers with more than 20 different values or fractions are a quantity.

    Args:
        kind: The label's Arrow type.
        values: Its values where it is numeric, `[rows]`.
    """
    if values is None or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return "classification"
    distinct = np.unique(values[: 1 << 20])
    whole = bool(np.all(distinct == np.floor(distinct)))
    if not whole or len(distinct) > MAX_NUMERIC_CLASSES or len(np.unique(values)) > MAX_NUMERIC_CLASSES:
        return "regression"
    return "classification"


def describe_label(column: str, *, train: Sequence[pa.Array], everything: Sequence[pa.Array], task: str) -> Label:
    """Return the label of a data set whose rows all have one.

    Args:
        column: The label's column.
        train: Its values in the training split, in chunks; they give the baseline and the scale.
        everything: Its values in all splits, in chunks; they give the classes.
        task: One of `TASKS`.

    Raises:
        ArgumentError: The task is unknown or does not fit the label's type.
        DataError: The label is constant, or has more than 1,000 classes.
    """
    if task not in TASKS:
        raise ArgumentError("unknown task", where="--task", expected=" or ".join(TASKS), received=task)
    kind = everything[0].type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    values = np.concatenate([_numbers(chunk) for chunk in everything]) if numeric else None
    if values is not None and not np.isfinite(values).all():
        raise DataError(
            "the label has infinite values",
            where=f"column {column!r}",
            expected="finite numbers",
            received=values[~np.isfinite(values)][0],
        )
    chosen = choose_task(kind, values) if task == "auto" else task
    if chosen == "regression":
        if values is None:
            raise ArgumentError(
                "regression needs a label of numbers",
                where=f"column {column!r}",
                expected="numbers",
                received=str(kind),
                fix="choose --task classification",
            )
        return _quantity(column, values, np.concatenate([_numbers(chunk) for chunk in train]))
    return _classes(column, everything, train, values)


def _numbers(chunk: pa.Array) -> Array:
    """Return a column of numbers, integers as they are: beyond 2^53 a float would merge neighbours."""
    kind = pa.int64() if pa.types.is_integer(chunk.type) else pa.float64()
    return np.asarray(chunk.cast(kind).to_numpy(zero_copy_only=False))


def _constant(column: str, value: object) -> DataError:
    return DataError(
        "the label has the same value in every row, so there is nothing to learn",
        where=f"column {column!r}",
        expected="two different values or more",
        received=f"only {value!r}",
        fix="choose another label, or add rows that differ in it",
    )


def _quantity(column: str, values: Array, train: Array) -> Label:
    if values.min() == values.max():
        raise _constant(column, float(values[0]))
    mean, std = float(train.mean()), float(train.std())
    return Label(column, "regression", (), "float32", mean, std or 1.0, (float(np.median(train)), mean))


def _classes(column: str, everything: Sequence[pa.Array], train: Sequence[pa.Array], values: Array | None) -> Label:
    if values is not None and not np.all(values == np.floor(values)):
        raise ArgumentError(
            "classification needs a label of whole numbers or text",
            where=f"column {column!r}",
            received=f"fractions such as {values[values != np.floor(values)][0]}",
            fix="choose --task regression",
        )
    counts = _counts(column, everything)
    if len(counts) < 2:
        raise _constant(column, next(iter(counts), None))
    classes = tuple(sorted(counts))
    broken = next((name for name in classes if isinstance(name, str) and ("\n" in name or "\r" in name)), None)
    if broken is not None:
        raise DataError(
            "a class has a line break in its name",
            where=f"column {column!r}",
            expected="classes of one line",
            received=repr(broken),
            fix="clean the label",
        )
    seen = _counts(column, train)
    total = sum(seen.values())
    shares = tuple(seen.get(value, 0) / total for value in classes)
    return Label(
        column, "classification", classes, "string" if isinstance(classes[0], str) else "int64", 0.0, 1.0, shares
    )
