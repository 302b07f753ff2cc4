"""Reasons why data and schema disagree, and the anomalies that they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is wrong with a feature.

    Args:
        type: Name of a type of `AnomalyInfo`, such as ``SCHEMA_NEW_COLUMN``.
        short_description: The kind of fault in two or three words.
        description: The fault in a sentence, with what was measured.
    """

    type: str
    short_description: str
    description: str


def fill_anomaly(info: Any, reasons: Sequence[Reason]) -> None:
    """Write reasons, of which there is one at least, into an `AnomalyInfo`; severity is ERROR."""
    info.severity = anomalies_pb2.AnomalyInfo.ERROR
    for reason in reasons:
        info.reason.add(type=reason.type, short_description=reason.short_description, description=reason.description)
    info.short_description = reasons[0].short_description if len(reasons) == 1 else "Multiple errors"
    info.description = " ".join(reason.description for reason in reasons)


def figure(value: float) -> str:
    """Return a number with up to six significant digits, integers in full."""
    return f"{int(value):,}" if float(value).is_integer() and abs(value) < 2**53 else f"{value:.6g}"


def percentage(part: float, whole: float) -> str:
    """Return a share as TensorFlow Data Validation writes it: ``<1%`` or ``~12%``."""
    percent = 100 * part / whole if whole else 0.0
    return "<1%" if percent < 1 else f"~{int(percent)}%"
