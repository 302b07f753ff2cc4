"""Charts as inline SVG: no scripts, no network, the colours of the page, a text for those who cannot see."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from mainstay.core import format_number


def histogram(counts: Sequence[float], *, low: float, high: float) -> Markup:
    """Return the columns of a histogram of equally wide bins.

    Args:
        counts: Rows in each bin.
        low: The lower end of the first bin.
        high: The upper end of the last one.
    """
    width, height = 240.0, 64.0
    top = max(counts, default=0.0) or 1.0
    step = width / max(len(counts), 1)
    label = f"Histogram from {format_number(low)} to {format_number(high)}"
    bars = [
        Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>').format(
            place * step + 0.5,
            height - max(height * count / top, 1.0 if count else 0.0),
            max(step - 1.0, 0.5),
            max(height * count / top, 1.0 if count else 0.0),
            f"{format_number(low + (high - low) * place / len(counts))} to "
            f"{format_number(low + (high - low) * (place + 1) / len(counts))}: {count:,.0f} rows",
        )
        for place, count in enumerate(counts)
    ]
    return Markup('<svg class="histogram" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, label, Markup("").join(bars)
    )


def bar(share: float, *, kind: str = "") -> Markup:
    """Return a horizontal bar that fills `share` of its cell.

    Args:
        share: From 0 to 1; more is cut.
        kind: A class of the style sheet, such as ``quiet``.
    """
    filled = 100 * min(max(share, 0.0), 1.0)
    return Markup('<span class="bar {}"><span style="width:{:.1f}%"></span></span>').format(kind, filled)


def lines(series: dict[str, Sequence[float]], *, x_label: str, y_label: str) -> Markup:
    """Return a line chart of one or more series over 1, 2, 3, …

    Args:
        series: The values of each line by its name; the lowest point of the last line is marked.
        x_label: What is counted along the bottom.
        y_label: What is drawn.
    """
    width, height, left, bottom, top = 640.0, 240.0, 64.0, 34.0, 12.0
    values = [value for line in series.values() for value in line if math.isfinite(value)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    pad = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    low, high = low - pad, high + pad
    count = max((len(line) for line in series.values()), default=1)

    def x(place: int) -> float:
        return left + (width - left - 12) * (place / max(count - 1, 1))

    def y(value: float) -> float:
        return top + (height - top - bottom) * (1 - (value - low) / (high - low))

    parts = [_grid(value, y(value), left, width) for value in (low + (high - low) * tick / 4 for tick in range(5))]
    every = max(1, math.ceil(count / 12))
    parts += [
        Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(x(i), height - 16, i + 1)
        for i in range(0, count, every)
    ]
    for index, (name, line) in enumerate(series.items()):
        points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(line) if math.isfinite(v))
        parts.append(
            Markup('<polyline class="line{}" points="{}"><title>{}</title></polyline>').format(index, points, name)
        )
        if len(line) == 1:
            parts.append(
                Markup('<circle class="line{}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(index, x(0), y(line[0]))
            )
    if series:
        last = list(series.values())[-1]
        best = min(range(len(last)), key=lambda i: last[i])
        parts.append(
            Markup('<circle class="best" cx="{:.1f}" cy="{:.1f}" r="5"><title>{}</title></circle>').format(
                x(best), y(last[best]), f"best: {x_label} {best + 1}, {format_number(last[best])}"
            )
        )
    parts.append(
        Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
            (left + width) / 2, height - 2, x_label
        )
    )
    legend = Markup("").join(
        Markup('<span class="key key{}">{}</span>').format(index, name) for index, name in enumerate(series)
    )
    return Markup(
        '<figure><svg class="lines" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
        "<figcaption>{}</figcaption></figure>"
    ).format(width, height, f"{y_label} by {x_label}", Markup("").join(parts), legend)


def _grid(value: float, height: float, left: float, width: float) -> Markup:
    return Markup(
        '<line class="grid" x1="{0:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{2:.1f}"/>'
        '<text x="{3:.1f}" y="{4:.1f}" text-anchor="end">{5}</text>'
    ).format(left, width, height, left - 8, height + 4, escape(format_number(value, digits=3)))
