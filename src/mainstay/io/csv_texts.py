"""What readers of CSV files by blocks share with tables: the texts of missing values, and conversion by dtype."""

from __future__ import annotations

from typing import Any

from mainstay.io.csv_values import MISSING_TEXTS, asked_for, convert


def missing_texts() -> tuple[str, ...]:
    """Return what says, in any case, that a value of a column of numbers, booleans or timestamps is missing."""
    return MISSING_TEXTS


def convert_text(text: Any, dtype: str) -> Any:
    """Return the values that texts stand for, or None where one of them is not of the dtype.

    Args:
        text: An Arrow array of strings, null where a field is empty.
        dtype: ``int64``, ``float64``, ``bool`` or ``timestamp``.
    """
    for kind in asked_for(dtype):
        values = convert(text, kind)
        if values is not None:
            return values
    return None
