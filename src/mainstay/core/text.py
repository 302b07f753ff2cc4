"""Numbers as people read them, the same on the terminal and in reports."""

from __future__ import annotations

import math


def format_number(value: float | None, *, digits: int = 4) -> str:
    """Return a number as people write it: ``12,345``, ``0.0312``, ``1.2e+09``; a dash for None and NaN."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e15:
        whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
        return f"{value:,.{max(digits - whole, 0 if whole >= digits else 1)}f}"
    return f"{value:.{digits - 1}g}"


def format_percent(share: float, *, digits: int = 1) -> str:
    """Return a share as a percentage; a share that is small but not zero never reads 0 %."""
    if 0 < share < 10 ** -(digits + 2):
        return f"< {10**-digits:.{digits}f} %"
    return f"{100 * share:.{digits}f} %"
