"""What can be wrong with the values of a feature: strings nobody has seen, numbers out of range, no booleans."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tensorflow_metadata.proto.v0 import schema_pb2

from mainstay.validation.inference import is_integer
from mainstay.validation.reasons import Reason, figure, percentage
from mainstay.validation.schemas import shared_domain
from mainstay.validation.text import plain
from mainstay.validation.views import FeatureView

_MAX_NAMED = 10
_DOMAIN_TYPES = {
    "domain": {schema_pb2.BYTES},
    "string_domain": {schema_pb2.BYTES},
    "bool_domain": {schema_pb2.INT, schema_pb2.BYTES, schema_pb2.FLOAT},
    "int_domain": {schema_pb2.INT, schema_pb2.BYTES},
    "float_domain": {schema_pb2.FLOAT, schema_pb2.BYTES},
    "time_domain": {schema_pb2.INT, schema_pb2.BYTES},
}


def check_domain(schema: Any, feature: Any, view: FeatureView) -> list[Reason]:
    """Return what is wrong with the values of a feature whose type is right."""
    kind = feature.WhichOneof("domain_info")
    if feature.HasField("distribution_constraints") and kind not in ("domain", "string_domain"):
        text = "The schema contradicts itself: distribution constraints require a string domain."
        return [Reason("INVALID_SCHEMA_SPECIFICATION", "Invalid schema", text)]
    if kind in _DOMAIN_TYPES and feature.type not in _DOMAIN_TYPES[kind]:
        name = schema_pb2.FeatureType.Name(feature.type)
        text = f'The domain "{kind}" does not match the type: {name}'
        return [Reason("DOMAIN_INVALID_FOR_TYPE", "The domain does not match the type", text)]
    if kind == "domain":
        return _check_shared_domain(schema, feature, view)
    if kind == "string_domain":
        return _check_strings(feature, feature.string_domain, view)
    if kind == "bool_domain":
        return _check_bool(feature.bool_domain, view)
    if kind == "int_domain":
        return _check_int(feature.int_domain, view)
    return _check_float(feature.float_domain, view) if kind == "float_domain" else []


def _check_shared_domain(schema: Any, feature: Any, view: FeatureView) -> list[Reason]:
    if all(domain.name != feature.domain for domain in schema.string_domain):
        text = f"The schema contradicts itself: missing domain: {plain(feature.domain)}"
        return [Reason("INVALID_SCHEMA_SPECIFICATION", "Invalid schema", text)]
    return _check_strings(feature, shared_domain(schema, feature.domain), view)


def _check_strings(feature: Any, domain: Any, view: FeatureView) -> list[Reason]:
    if view.invalid_utf8:
        text = f"Found {view.invalid_utf8:,} strings that were not valid UTF8 strings."
        return [Reason("ENUM_TYPE_INVALID_UTF8", "Invalid UTF8 strings", text)]
    allowed = frozenset(domain.value)
    unseen = {value: count for value, count in view.value_counts.items() if value not in allowed}
    total, mass = view.num_present, sum(unseen.values())
    constraints = feature.distribution_constraints
    least = constraints.min_domain_mass if constraints.HasField("min_domain_mass") else 1.0
    if not unseen or mass / total <= 1.0 - least + 1e-12:
        return []
    named = sorted(unseen.items(), key=lambda item: (-item[1], item[0]))[:_MAX_NAMED]
    listed = ", ".join(f"{plain(value, 60)} ({percentage(count, total)})" for value, count in named)
    others = f" and {len(unseen) - len(named):,} more" if len(unseen) > len(named) else ""
    at_least = "" if view.lists_every_value else "at least "
    text = (
        f"Examples contain values missing from the schema: {listed}{others}. Together they make up {at_least}"
        f"{figure(mass)} of {total:,} values ({100 * mass / total:.3g}%), where {100 * (1.0 - least):.3g}% is allowed."
    )
    return [Reason("ENUM_TYPE_UNEXPECTED_STRING_VALUES", "Unexpected string values", text)]


def _check_bool(domain: Any, view: FeatureView) -> list[Reason]:
    if view.is_string:
        allowed = {getattr(domain, field) for field in ("true_value", "false_value") if domain.HasField(field)}
        wrong = [value for value in view.value_counts if value not in allowed]
        if not wrong:
            return []
        expected = ", ".join(f'"{plain(value)}"' for value in sorted(allowed))
        text = f'Saw unexpected value "{plain(wrong[0], 60)}" instead of {{{expected}}}.'
        return [Reason("BOOL_TYPE_UNEXPECTED_STRING", "Non-boolean values", text)]
    if not view.has_numbers:
        return []
    low, high = view.numeric.min, view.numeric.max
    whole = view.type == schema_pb2.INT
    reasons = []
    if low < 0:
        name = "BOOL_TYPE_SMALL_INT" if whole else "BOOL_TYPE_UNEXPECTED_FLOAT"
        reasons.append(Reason(name, "Non-boolean values", f"Numbers (such as {figure(low)}) not in {{0, 1}}."))
    if high > 1:
        name = "BOOL_TYPE_BIG_INT" if whole else "BOOL_TYPE_UNEXPECTED_FLOAT"
        reasons.append(Reason(name, "Non-boolean values", f"Numbers (such as {figure(high)}) not in {{0, 1}}."))
    return reasons


def _check_int(domain: Any, view: FeatureView) -> list[Reason]:
    if view.is_string:
        wrong = [value for value in view.value_counts if not is_integer(value)]
        if wrong:
            text = f'String values that were not ints were found, such as "{plain(wrong[0], 60)}".'
            return [Reason("INT_TYPE_NOT_INT_STRING", "Invalid values", text)]
        numbers = [int(value) for value in view.value_counts]
        low, high = (float(min(numbers)), float(max(numbers))) if numbers else (0.0, 0.0)
    elif view.has_numbers:
        low, high = view.numeric.min, view.numeric.max
    else:
        return []
    reasons = []
    if domain.HasField("min") and low < domain.min:
        text = f"Unexpectedly small value: {figure(low)}, below the minimum {domain.min:,}."
        reasons.append(Reason("INT_TYPE_SMALL_INT", "Out-of-range values", text))
    if domain.HasField("max") and high > domain.max:
        text = f"Unexpectedly large value: {figure(high)}, above the maximum {domain.max:,}."
        reasons.append(Reason("INT_TYPE_BIG_INT", "Out-of-range values", text))
    return reasons


def _check_float(domain: Any, view: FeatureView) -> list[Reason]:
    """Compare in float32, the precision in which a `FloatDomain` keeps its bounds."""
    reasons = []
    if domain.disallow_nan and view.num_nan:
        text = f"Found {view.num_nan:,} NaN values."
        reasons.append(Reason("FLOAT_TYPE_HAS_NAN", "Invalid values", text))
    if view.is_string:
        wrong = [value for value in view.value_counts if not _is_number(value)]
        if wrong:
            text = f'String values that were not floats were found, such as "{plain(wrong[0], 60)}".'
            return [*reasons, Reason("FLOAT_TYPE_STRING_NOT_FLOAT", "Invalid values", text)]
        numbers = [float(value) for value in view.value_counts]
    else:
        numbers = [view.numeric.min, view.numeric.max] if view.has_numbers else []
    if not numbers:
        return reasons
    low, high = min(numbers), max(numbers)
    if domain.disallow_inf and (math.isinf(low) or math.isinf(high)):
        reasons.append(Reason("FLOAT_TYPE_HAS_INF", "Invalid values", "Found values of infinity."))
    with np.errstate(over="ignore"):
        rounded_low, rounded_high = np.float32(low), np.float32(high)
    if domain.HasField("min") and rounded_low < domain.min:
        text = f"Unexpectedly low values: {low:.6g} < {domain.min:.6g} (up to six significant digits)."
        reasons.append(Reason("FLOAT_TYPE_SMALL_FLOAT", "Out-of-range values", text))
    if domain.HasField("max") and rounded_high > domain.max:
        text = f"Unexpectedly high values: {high:.6g} > {domain.max:.6g} (up to six significant digits)."
        reasons.append(Reason("FLOAT_TYPE_BIG_FLOAT", "Out-of-range values", text))
    return reasons


def _is_number(text: str) -> bool:
    try:
        return "_" not in text and not math.isnan(float(text))
    except ValueError:
        return False
