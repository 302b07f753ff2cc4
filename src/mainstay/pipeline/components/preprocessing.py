"""The default `preprocessing_fn`: derived from the schema and the training statistics, column by column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mainstay import transform as tft
from mainstay.core import TransformError

MISSING_TOKEN = "__missing__"
MAX_VOCABULARY = 10_000


@dataclass(frozen=True)
class ColumnPlan:
    """How the default preprocessing treats one column.

    Args:
        name: The column.
        treatment: ``number``, ``skewed number``, ``category``, ``flag``, ``time`` or ``left out``.
        reason: Why, in words for the report.
        has_domain: Whether the schema lists the values of a category.
    """

    name: str
    treatment: str
    reason: str
    has_domain: bool = False


def plan_columns(schema: Any, statistics: Any, types: pa.Schema, *, label: str) -> tuple[ColumnPlan, ...]:
    """Decide for every column but the label how it becomes features.

    Args:
        schema: The `schema_pb2.Schema` of the data.
        statistics: The `DatasetFeatureStatistics` of the training split.
        types: The Arrow types of the columns.
        label: The label's column.

    Raises:
        TransformError: No column is left to learn from.
    """
    described = {feature.name: feature for feature in schema.feature}
    measured = {feature.path.step[0]: feature for feature in statistics.features}
    plans = tuple(
        _plan(field.name, field.type, described.get(field.name), measured.get(field.name), statistics.num_examples)
        for field in types
        if field.name != label
    )
    if all(plan.treatment == "left out" for plan in plans):
        raise TransformError(
            "no column is left to learn from",
            expected="a column besides the label whose values differ",
            received="; ".join(f"{plan.name}: {plan.reason}" for plan in plans) or "only the label",
            fix="add columns, or give a preprocessing function of your own with --preprocessing",
        )
    return plans


def _plan(name: str, kind: pa.DataType, described: Any, measured: Any, rows: int) -> ColumnPlan:
    if measured is None or described is None or pa.types.is_null(kind):
        return ColumnPlan(name, "left out", "every value is missing")
    if pa.types.is_string(kind):
        unique, present = measured.string_stats.unique, measured.string_stats.common_stats.num_non_missing
        if present == 0:
            return ColumnPlan(name, "left out", "every value is missing in the training split")
        if unique > 100 and unique > 0.5 * present:
            return ColumnPlan(name, "left out", f"it looks like an identifier: {unique:,} values in {present:,} rows")
        listed = bool(described.domain) or described.HasField("string_domain")
        return ColumnPlan(name, "category", f"text with {unique:,} values", listed)
    numbers = measured.num_stats
    if numbers.common_stats.num_non_missing == 0:
        return ColumnPlan(name, "left out", "every value is missing in the training split")
    if numbers.min == numbers.max and numbers.common_stats.num_non_missing == rows:
        return ColumnPlan(name, "left out", f"it is {numbers.min:g} in every row")
    if pa.types.is_boolean(kind):
        return ColumnPlan(name, "flag", "true or false")
    if pa.types.is_timestamp(kind):
        return ColumnPlan(name, "time", "a point in time: its hour, its weekday and how late it is")
    if described.HasField("int_domain") and described.int_domain.is_categorical:
        return ColumnPlan(name, "category", "whole numbers with few different values", True)
    if numbers.min >= 0 and numbers.std_dev > numbers.mean:
        return ColumnPlan(name, "skewed number", "a quantity with a long tail: its logarithm helps too")
    return ColumnPlan(name, "number", "a quantity")


def default_preprocessing_fn(plans: tuple[ColumnPlan, ...]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return the `preprocessing_fn` that carries out a plan.

    A number becomes its z-score, 0 where it is missing or not a number, beside a flag that says so; a category
    becomes its place in a vocabulary with buckets for values never seen, missing being a value of its own.

    Args:
        plans: What `plan_columns` decided.
    """

    def preprocessing_fn(inputs: Mapping[str, Any]) -> dict[str, Any]:
        taken = {plan.name for plan in plans}
        features: dict[str, Any] = {}
        for plan in plans:
            if plan.treatment != "left out":
                for name, node in _TREATMENTS[plan.treatment](plan, inputs[plan.name]).items():
                    features[name if name == plan.name and "/" not in name else _free(name, taken)] = node
        return features

    return preprocessing_fn


def _free(name: str, taken: set[str]) -> str:
    """Return `name` without slashes, or a longer one where a column or another feature has it, and take it."""
    name = name.replace("/", "_") or "_"
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _number(plan: ColumnPlan, column: Any) -> dict[str, Any]:
    return _scaled(plan.name, column)


def _skewed_number(plan: ColumnPlan, column: Any) -> dict[str, Any]:
    name = f"{plan.name}_log"
    logarithm = tft.log1p(tft.maximum(tft.cast(column, "float64"), 0.0))
    return _scaled(plan.name, column) | {name: _scaled(name, logarithm)[name]}


def _scaled(name: str, column: Any) -> dict[str, Any]:
    scaled = tft.fill_missing(tft.scale_to_z_score(column), 0.0)
    features = {name: scaled}
    if column.dtype.startswith("float"):
        unknown = tft.is_missing(column) | tft.is_nan(tft.fill_missing(column, 0.0))
        features[name] = tft.where(unknown, 0.0, scaled)
    else:
        unknown = tft.is_missing(column)
    if column.optional:
        features[f"{name}_missing"] = tft.cast(unknown, "float32")
    return features


def _category(plan: ColumnPlan, column: Any) -> dict[str, Any]:
    tokens = column if column.dtype == "string" else tft.as_string(column)
    return {
        plan.name: tft.compute_and_apply_vocabulary(
            tft.fill_missing(tokens, MISSING_TOKEN),
            top_k=MAX_VOCABULARY,
            frequency_threshold=None if plan.has_domain else 2,
            num_oov_buckets=1 if plan.has_domain else 8,
        )
    }


def _flag(plan: ColumnPlan, column: Any) -> dict[str, Any]:
    features = {plan.name: tft.fill_missing(tft.cast(column, "float32"), 0.0)}
    if column.optional:
        features[f"{plan.name}_missing"] = tft.cast(tft.is_missing(column), "float32")
    return features


def _time(plan: ColumnPlan, column: Any) -> dict[str, Any]:
    features = _scaled(plan.name, column)
    for part, function in (("hour", tft.hour_of_day), ("weekday", tft.day_of_week)):
        tokens = tft.fill_missing(tft.as_string(function(column)), MISSING_TOKEN)
        features[f"{plan.name}_{part}"] = tft.compute_and_apply_vocabulary(tokens, num_oov_buckets=1)
    return features


_TREATMENTS: dict[str, Callable[[ColumnPlan, Any], dict[str, Any]]] = {
    "number": _number,
    "skewed number": _skewed_number,
    "category": _category,
    "flag": _flag,
    "time": _time,
}
