"""A schema from statistics: what the data looks like today, written down so that tomorrow's can be held against it."""

from __future__ import annotations

import re
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2

from mainstay.core import ArgumentError
from mainstay.validation.views import FeatureView, feature_views, only_dataset

TRUE_VALUES = frozenset({"TRUE", "true", "SET", "set", "1", ""})
"""Strings that stand for true, as in TensorFlow Data Validation."""

FALSE_VALUES = frozenset({"FALSE", "false", "CLEAR", "clear", "0"})
"""Strings that stand for false, as in TensorFlow Data Validation."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_MAX_FLOAT32 = (2 - 2**-23) * 2.0**127
_MAX_CATEGORIES = 32
_MIN_ROWS_PER_CATEGORY = 10


def infer_schema(
    statistics: Any,
    *,
    infer_feature_shape: bool = False,
    max_string_domain_size: int = 100,
    infer_ranges: bool = False,
) -> schema_pb2.Schema:
    """Return the schema that describes a dataset.

    A feature that occurs is expected to occur; one that is nowhere missing is expected everywhere. Strings with few
    distinct values get a domain. Integers with at most 32 distinct values, each standing for ten rows or more, are
    categories: they get their range as domain and are marked as categorical. Timestamps get a `time_domain`.

    Args:
        statistics: A `DatasetFeatureStatisticsList`.
        infer_feature_shape: Whether a feature without missing values gets a shape instead of a value count.
        max_string_domain_size: The most values a string domain may have.
        infer_ranges: Whether other numbers get their range as domain, so that a value outside becomes an anomaly.

    Raises:
        ArgumentError: `statistics` are not what they should be.
    """
    if max_string_domain_size < 0:
        raise ArgumentError(
            "max_string_domain_size is a number of values", expected="0 or more", received=max_string_domain_size
        )
    schema = schema_pb2.Schema()
    for view in feature_views(only_dataset(statistics)):
        if len(view.steps) > 1:
            raise ArgumentError(
                "schemas of features inside of features are not inferred",
                where=view.name,
                expected="a path of one step",
            )
        feature = schema.feature.add(name=view.steps[0], type=view.type)
        _infer_presence(feature, view, infer_feature_shape)
        if view.num_present:
            if view.is_string:
                _infer_string_domain(schema, feature, view, max_string_domain_size)
            else:
                _infer_numeric_domain(feature, view, infer_ranges)
    return schema


def _infer_presence(feature: Any, view: FeatureView, infer_feature_shape: bool) -> None:
    feature.presence.min_count = 1 if view.num_present else 0
    if not view.num_present:
        return
    if view.num_missing == 0:
        feature.presence.min_fraction = 1.0
    fewest, most = int(view.common.min_num_values), int(view.common.max_num_values)
    if fewest == 0:
        return
    if infer_feature_shape and view.num_missing == 0 and fewest == most:
        feature.shape.dim.add(size=most)
    elif fewest == most:
        feature.value_count.min, feature.value_count.max = fewest, most
    else:
        feature.value_count.min = 1


def _infer_numeric_domain(feature: Any, view: FeatureView, infer_ranges: bool) -> None:
    if view.kind == "timestamp":
        feature.time_domain.integer_format = schema_pb2.TimeDomain.UNIX_MICROSECONDS
        return
    if view.kind == "bool":
        feature.bool_domain.SetInParent()
        return
    if not view.has_numbers:
        return
    low, high = view.numeric.min, view.numeric.max
    if view.type == schema_pb2.INT:
        distinct = view.distinct
        few = distinct is not None and distinct <= min(_MAX_CATEGORIES, view.num_present // _MIN_ROWS_PER_CATEGORY)
        if low >= 0 and high == 1:
            feature.bool_domain.SetInParent()
        elif few or infer_ranges:
            feature.int_domain.min, feature.int_domain.max = _int64(low), _int64(high)
            if few:
                feature.int_domain.is_categorical = True
    elif infer_ranges:
        if abs(low) <= _MAX_FLOAT32:
            feature.float_domain.min = low
        if abs(high) <= _MAX_FLOAT32:
            feature.float_domain.max = high


def _infer_string_domain(schema: Any, feature: Any, view: FeatureView, max_size: int) -> None:
    values = sorted(view.value_counts, key=str.encode)
    if view.invalid_utf8 or not values or not view.lists_every_value:
        return
    true, false = TRUE_VALUES.intersection(values), FALSE_VALUES.intersection(values)
    if len(true) <= 1 and len(false) <= 1 and len(true) + len(false) == len(values):
        feature.bool_domain.SetInParent()
        for value in true:
            feature.bool_domain.true_value = value
        for value in false:
            feature.bool_domain.false_value = value
    elif all(is_integer(value) for value in values):
        feature.int_domain.SetInParent()
    elif len(values) <= max_size:
        schema.string_domain.add(name=feature.name, value=values)
        feature.domain = feature.name


def is_integer(text: str) -> bool:
    """Return whether a string writes an integer of 64 bits."""
    return _INTEGER.fullmatch(text) is not None and -(2**63) <= int(text) < 2**63


def _int64(value: float) -> int:
    return max(-(2**63), min(2**63 - 1, int(value)))
