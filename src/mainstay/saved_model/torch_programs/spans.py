"""Spans of windows: strides, paddings, dilations, of which PyTorch lets one number stand for all axes."""

from __future__ import annotations

from collections.abc import Sequence


def each_axis(value: Sequence[int] | int, count: int) -> tuple[int, ...]:
    """Return one number for each of `count` axes."""
    values = (value,) if isinstance(value, int) else tuple(int(item) for item in value)
    return values * count if len(values) == 1 else values
