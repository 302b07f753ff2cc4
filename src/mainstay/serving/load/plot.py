"""A plot of latencies over rates, as SVG: one line for each percentile, times on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from mainstay.serving.load.results import PERCENTILES, StepResult

_WIDTH, _HEIGHT = 720, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 90, 48, 56
_COLOURS = ("#1b6ca8", "#2a9d8f", "#e9a23b", "#d1495b", "#8d5a97")


def plot_svg(results: Sequence[StepResult], title: str) -> str:
    """Return an SVG picture of the percentiles of each step.

    Args:
        results: The steps; at least one was answered.
        title: What stands above it.
    """
    steps = sorted((result for result in results if len(result.latencies)), key=lambda result: result.rate)
    rates = [result.rate for result in steps]
    times = [value * 1e3 for result in steps for value in result.percentiles().values()]
    lowest, highest = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)) + 1e-9)
    highest = max(highest, lowest + 1)
    most = _round_up(max(rates))
    x = {rate: _LEFT + (_WIDTH - _LEFT - _RIGHT) * rate / most for rate in rates}

    def y(milliseconds: float) -> float:
        """Return how far down a latency is."""
        share = (math.log10(milliseconds) - lowest) / (highest - lowest)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="15" font-weight="600">{escape(title)}</text>',
        *_grid(most, lowest, highest, y),
    ]
    for name, colour in zip(PERCENTILES, _COLOURS, strict=True):
        points = [(x[step.rate], y(step.percentiles()[name] * 1e3)) for step in steps]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
    parts += _names(steps[-1], x[steps[-1].rate], y)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _names(last: StepResult, x: float, y: Callable[[float], float]) -> list[str]:
    """Return the names of the lines beside their ends, moved apart where they would touch."""
    places = sorted(((y(value * 1e3), name) for name, value in last.percentiles().items()), reverse=True)
    parts, floor = [], math.inf
    for place, name in places:
        floor = min(place, floor - 14)
        colour = _COLOURS[PERCENTILES.index(name)]
        label = "slowest" if name == 100 else f"p{name:g}"
        parts.append(f'<text x="{x + 8:.1f}" y="{floor + 4:.1f}" fill="{colour}">{label}</text>')
    return parts


def _grid(most: float, lowest: int, highest: int, y: Callable[[float], float]) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for power in range(lowest, highest + 1):
        place = y(10.0**power)
        parts.append(f'<line x1="{_LEFT}" x2="{right}" y1="{place:.1f}" y2="{place:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{place + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for share in range(5):
        rate = most * share / 4
        place = _LEFT + (right - _LEFT) * share / 4
        parts.append(f'<line x1="{place:.1f}" x2="{place:.1f}" y1="{_TOP}" y2="{bottom}" stroke="#eee"/>')
        parts.append(f'<text x="{place:.1f}" y="{bottom + 18}" text-anchor="middle">{rate:,.0f}</text>')
    middle = (_LEFT + right) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 14}" text-anchor="middle">good answers per second</text>')
    parts.append(f'<text x="{_LEFT - 56}" y="{_TOP - 8}">milliseconds</text>')
    return parts


def _round_up(value: float) -> float:
    """Return the next number that is 1, 2, 4, 5 or 8 with zeros behind it."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= value * 0.999)
