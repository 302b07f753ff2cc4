"""What can be wrong with one feature besides its domain: presence, type, number of values, environment, shape."""

from __future__ import annotations

import math
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2

from mainstay.validation.domains import check_domain
from mainstay.validation.reasons import Reason, figure
from mainstay.validation.views import FeatureView

_IGNORED_STAGES = frozenset(
    {
        schema_pb2.PLANNED,
        schema_pb2.ALPHA,
        schema_pb2.DEPRECATED,
        schema_pb2.DEBUG_ONLY,
        schema_pb2.DISABLED,
    }
)


def is_deprecated(feature: Any) -> bool:
    """Return whether a feature of a schema is not to be looked at."""
    return bool(feature.deprecated) or feature.lifecycle_stage in _IGNORED_STAGES


def is_in_environment(schema: Any, feature: Any, environment: str | None) -> bool:
    """Return whether a feature is expected in an environment; without one, every feature is."""
    if environment is None or environment in feature.in_environment:
        return True
    return environment not in feature.not_in_environment and environment in schema.default_environment


def is_required(schema: Any, feature: Any, environment: str | None) -> bool:
    """Return whether a feature must occur in an environment."""
    if is_deprecated(feature) or (feature.presence.min_count <= 0 and feature.presence.min_fraction <= 0.0):
        return False
    return is_in_environment(schema, feature, environment)


def check_feature(schema: Any, feature: Any, view: FeatureView, environment: str | None) -> list[Reason]:
    """Return what is wrong with a feature that the schema knows and the statistics have."""
    reasons = _check_definition(feature)
    if reasons:
        return reasons
    if view.num_present == 0:
        if not is_required(schema, feature, environment):
            return []
        where = f"The feature was not present in any of {view.num_examples:,} examples."
        return [Reason("FEATURE_TYPE_NOT_PRESENT", "Column dropped", where)]
    if not is_in_environment(schema, feature, environment):
        reasons.append(
            Reason(
                "SCHEMA_NEW_COLUMN",
                "Column missing in environment",
                f"New column {view.name} found in data but not in the environment {environment} in the schema.",
            )
        )
    reasons += _check_num_values(feature, view)
    reasons += _check_presence(feature, view)
    wrong_type = _check_type(feature, view)
    reasons += wrong_type
    if not wrong_type:
        reasons += check_domain(schema, feature, view)
    reasons += _check_unique(feature, view)
    return reasons


def _check_definition(feature: Any) -> list[Reason]:
    """Return what is wrong with the schema's own words about a feature."""
    if feature.type == schema_pb2.TYPE_UNKNOWN:
        text = f"The schema does not say which type the feature {feature.name} has."
        return [Reason("FEATURE_MISSING_TYPE", "Unspecified type", text)]
    least, most = feature.value_count.min, feature.value_count.max
    fraction = feature.presence.min_fraction
    faults = []
    if not (math.isfinite(fraction) and 0.0 <= fraction <= 1.0):
        faults.append(f"presence.min_fraction is {figure(fraction)}, not between 0 and 1")
    if least < 0 or (feature.value_count.HasField("max") and most < least):
        faults.append(f"value_count goes from {least} to {most}")
    return [
        Reason("INVALID_SCHEMA_SPECIFICATION", "Invalid schema", f"The schema contradicts itself: {fault}.")
        for fault in faults
    ]


def _check_num_values(feature: Any, view: FeatureView) -> list[Reason]:
    reasons = []
    fewest, most = int(view.common.min_num_values), int(view.common.max_num_values)
    if feature.HasField("value_count"):
        expected = feature.value_count
        if expected.HasField("min") and fewest < expected.min:
            text = f"Some examples have fewer values than expected: {fewest}, not {expected.min} or more."
            reasons.append(Reason("FEATURE_TYPE_LOW_NUMBER_VALUES", "Missing values", text))
        if expected.HasField("max") and most > expected.max:
            text = f"Some examples have more values than expected: {most}, not {expected.max} or fewer."
            reasons.append(Reason("FEATURE_TYPE_HIGH_NUMBER_VALUES", "Superfluous values", text))
    if feature.HasField("shape"):
        size = math.prod(dim.size for dim in feature.shape.dim)
        if view.num_missing or not fewest == most == size:
            text = (
                f"The feature has a shape of {size} values, but is missing in {view.num_missing:,} examples"
                f" and has from {fewest} to {most} values in the others."
            )
            reasons.append(Reason("INVALID_FEATURE_SHAPE", "Invalid feature shape", text))
    return reasons


def _check_presence(feature: Any, view: FeatureView) -> list[Reason]:
    reasons = []
    presence, present, examples = feature.presence, view.num_present, view.num_examples
    if present < presence.min_count:
        text = (
            "The feature was present in fewer examples than expected: minimum count"
            f" = {presence.min_count:,}, actual = {present:,}."
        )
        reasons.append(Reason("FEATURE_TYPE_LOW_NUMBER_PRESENT", "Column dropped", text))
    fraction = present / examples if examples else 0.0
    if presence.min_fraction == 1.0 and view.num_missing:
        text = (
            f"The feature was expected everywhere, but was missing in {view.num_missing:,} of {examples:,} examples:"
            f" minimum fraction = 1, actual = {fraction:.6g}."
        )
        reasons.append(Reason("FEATURE_TYPE_LOW_FRACTION_PRESENT", "Column dropped", text))
    elif fraction < presence.min_fraction:
        text = (
            "The feature was present in fewer examples than expected: minimum fraction"
            f" = {presence.min_fraction:.6g}, actual = {fraction:.6g} ({present:,} of {examples:,})."
        )
        reasons.append(Reason("FEATURE_TYPE_LOW_FRACTION_PRESENT", "Column dropped", text))
    return reasons


def _check_type(feature: Any, view: FeatureView) -> list[Reason]:
    """Return the reason why the values have the wrong type.

    Integers are accepted for FLOAT: a file in which all floats happen to be whole says nothing wrong. Whether
    integers are timestamps is told by the column's kind, where the statistics have it.
    """
    expected, actual = schema_pb2.FeatureType.Name(feature.type), view.type_name
    if view.type != feature.type and not (feature.type == schema_pb2.FLOAT and view.type == schema_pb2.INT):
        text = f"Expected data of type: {expected} but got {actual}"
        return [Reason("UNEXPECTED_DATA_TYPE", "Unexpected data type", text)]
    is_time = feature.time_domain.integer_format == schema_pb2.TimeDomain.UNIX_MICROSECONDS
    if view.type == schema_pb2.INT and view.kind is not None and is_time != (view.kind == "timestamp"):
        expected = f"{expected} (timestamps)" if is_time else expected
        text = f"Expected data of type: {expected} but got {actual} ({view.kind})"
        return [Reason("UNEXPECTED_DATA_TYPE", "Unexpected data type", text)]
    return []


def _check_unique(feature: Any, view: FeatureView) -> list[Reason]:
    if not feature.HasField("unique_constraints"):
        return []
    least, most, actual = feature.unique_constraints.min, feature.unique_constraints.max, view.distinct
    if actual is None:
        text = "The schema limits the number of unique values, but the statistics do not count them."
        return [Reason("FEATURE_TYPE_NO_UNIQUE", "No unique values", text)]
    if actual < least:
        text = f"Expected at least {least:,} unique values but found only {actual:,}."
        return [Reason("FEATURE_TYPE_LOW_UNIQUE", "Low number of unique values", text)]
    if feature.unique_constraints.HasField("max") and actual > most:
        text = f"Expected no more than {most:,} unique values but found {actual:,}."
        return [Reason("FEATURE_TYPE_HIGH_UNIQUE", "High number of unique values", text)]
    return []
