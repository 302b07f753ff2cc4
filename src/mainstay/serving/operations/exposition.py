"""Metrics as text: Prometheus' format 0.0.4 and OpenMetrics 1.0.0, as their specifications have them."""

from __future__ import annotations

import math

from mainstay.serving.operations.families import Family, Labels, Metrics, Points

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def wants_openmetrics(accept: str) -> bool:
    """Whether the `Accept` header of a scraper prefers OpenMetrics to the older text format."""
    qualities = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for item in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        if kind not in qualities:
            continue
        texts = [part[2:] for part in parameters if part.startswith("q=")]
        try:
            quality = float(texts[0]) if texts else 1.0
        except ValueError:
            continue
        qualities[kind] = max(qualities[kind], quality)
    return qualities["application/openmetrics-text"] > 0 and (
        qualities["application/openmetrics-text"] >= qualities["text/plain"]
    )


def render(metrics: Metrics, *, openmetrics: bool = False) -> bytes:
    """Return metrics as text.

    Args:
        metrics: The metrics; families come in their order, points sorted by their labels.
        openmetrics: Whether OpenMetrics is wanted instead of the older text format.

    >>> metrics = Metrics()
    >>> metrics.add(Family("cars_total", "counter", "Cars that passed.", ("lane",)), ("left",), 2)
    >>> print(render(metrics).decode(), end="")
    # HELP cars_total Cars that passed.
    # TYPE cars_total counter
    cars_total{lane="left"} 2
    """
    lines: list[str] = []
    for points in metrics.families.values():
        _render_family(points, lines, openmetrics)
    if openmetrics:
        lines.append("# EOF")
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _render_family(points: Points, lines: list[str], openmetrics: bool) -> None:
    family = points.family
    name, kind = family.name, family.kind
    if openmetrics and kind == "counter":
        # OpenMetrics knows a counter by its suffix; one without it, as TF Serving's are, has to be of no known type.
        name, kind = (name.removesuffix("_total"), kind) if name.endswith("_total") else (name, "unknown")
    lines.append(f"# HELP {name} {_escape(family.help, quoted=openmetrics)}")
    lines.append(f"# TYPE {name} {kind}")
    for labels in sorted(points.values):
        value = points.values[labels]
        if isinstance(value, tuple):
            _render_histogram(family, labels, value, lines)
        else:
            lines.append(f"{family.name}{_braces(family, labels)} {_number(value)}")


def _render_histogram(family: Family, labels: Labels, value: tuple[tuple[int, ...], float], lines: list[str]) -> None:
    counts, total = value
    seen = 0
    for bound, count in zip((*family.bounds, math.inf), counts, strict=True):
        seen += count
        lines.append(f"{family.name}_bucket{_braces(family, labels, f'{_bound(bound)}')} {seen}")
    lines.append(f"{family.name}_sum{_braces(family, labels)} {_number(total)}")
    lines.append(f"{family.name}_count{_braces(family, labels)} {seen}")


def _braces(family: Family, labels: Labels, bound: str = "") -> str:
    pairs = [f'{name}="{_escape(value, quoted=True)}"' for name, value in zip(family.labels, labels, strict=True)]
    if bound:
        pairs.append(f'le="{bound}"')
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escape(text: str, *, quoted: bool) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quoted else text


def _bound(value: float) -> str:
    """Return a bucket's bound with six digits, as TF Serving writes it."""
    return "+Inf" if value == math.inf else f"{value:g}"


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
