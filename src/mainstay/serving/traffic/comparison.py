"""Comparison of two answers to the same rows: how many differ, by how much, and which one shows it best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from mainstay.serving.traffic.config import Tolerance

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """How one output differs.

    Args:
        rows: How many rows were compared.
        differing: How many of them differ by more than the tolerance; all of them where the shapes differ.
        largest_absolute: The largest difference of two finite numbers, in units of the output.
        largest_relative: The largest difference of two finite numbers as a part of the answer's size.
        other_argmax: How many rows have their largest number at another place; 0 for outputs without a last axis.
        worst: The row that differs most; None where none does.
        reason: Why nothing could be compared, such as another shape; empty where it could.
    """

    rows: int
    differing: int = 0
    largest_absolute: float = 0.0
    largest_relative: float = 0.0
    other_argmax: int = 0
    worst: int | None = None
    reason: str = ""


def compare(answer: Mapping[str, Array], other: Mapping[str, Array], tolerance: Tolerance) -> dict[str, Difference]:
    """Return how each output of another version differs from the answer that was given.

    NaN equals NaN, and infinities equal their like.

    >>> import numpy as np
    >>> found = compare({"y": np.array([1.0, 2.0])}, {"y": np.array([1.0, 2.5])}, Tolerance())
    >>> found["y"].differing, found["y"].largest_absolute, found["y"].worst
    (1, 0.5, 1)

    Args:
        answer: The outputs by name, `[rows, ...]`.
        other: Those of the other version.
        tolerance: How far numbers may be apart.
    """
    found = {name: _compare(array, other.get(name), tolerance) for name, array in answer.items()}
    for name in other:
        if name not in answer:
            found[name] = _incomparable(other[name], "the answer does not have this output")
    return found


def _compare(answer: Array, other: Array | None, tolerance: Tolerance) -> Difference:
    if other is None:
        return _incomparable(answer, "the other version does not have this output")
    if answer.shape != other.shape:
        return _incomparable(answer, f"shape {list(other.shape)} instead of {list(answer.shape)}")
    if _is_text(answer) != _is_text(other):
        return _incomparable(answer, f"{other.dtype} instead of {answer.dtype}")
    if answer.ndim == 0:
        answer, other = answer.reshape(1), other.reshape(1)
    if answer.size == 0:
        return Difference(len(answer))
    return _compare_texts(answer, other) if _is_text(answer) else _compare_numbers(answer, other, tolerance)


def _is_text(array: Array) -> bool:
    return array.dtype.kind in "OSU"


def _incomparable(array: Array, reason: str) -> Difference:
    rows = len(array) if array.ndim else 1
    return Difference(rows, differing=rows, worst=0 if rows else None, reason=reason)


def _compare_texts(answer: Array, other: Array) -> Difference:
    pairs = zip(answer.ravel().tolist(), other.ravel().tolist(), strict=True)
    same = np.fromiter((_bytes(one) == _bytes(two) for one, two in pairs), bool, answer.size)
    rows = (~same).reshape(len(answer), -1).any(axis=1)
    differing = int(rows.sum())
    return Difference(len(answer), differing, worst=int(rows.argmax()) if differing else None)


def _bytes(text: Any) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)


def _compare_numbers(answer: Array, other: Array, tolerance: Tolerance) -> Difference:
    one, two = _wide(answer), _wide(other)
    with np.errstate(all="ignore"):
        apart = np.abs(one - two)
        finite = np.isfinite(apart)
        size = np.abs(one)
        same = (one == two) | (np.isnan(one) & np.isnan(two))
        same |= finite & (apart <= tolerance.absolute + tolerance.relative * size)
        relative = np.where(finite & (apart > 0), apart / size, 0.0)
    relative = relative[np.isfinite(relative)]
    by_row = (~same).reshape(len(one), -1)
    rows = by_row.any(axis=1)
    differing = int(rows.sum())
    worst = None
    if differing:
        distance = np.where(same, -1.0, np.where(finite, apart, np.inf)).reshape(len(one), -1)
        worst = int(distance.max(axis=1).argmax())
    ranked = answer.ndim > 1 and answer.shape[-1] > 1 and answer.dtype.kind != "b"
    moved = (one.argmax(axis=-1) != two.argmax(axis=-1)).reshape(len(one), -1).any(axis=1) if ranked else np.zeros(0)
    return Difference(
        len(one),
        differing,
        largest_absolute=float(apart[finite].max(initial=0.0)),
        largest_relative=float(relative.max(initial=0.0)),
        other_argmax=int(moved.sum()),
        worst=worst,
    )


def _wide(array: Array) -> Array:
    """Return numbers in which differences are exact enough: 64-bit integers beyond 2**53 lose their last bits."""
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
