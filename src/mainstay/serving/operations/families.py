"""Metric families and their points: what is measured, in a form that several processes can add up.

A `Family` says what a metric is, a `Points` holds its values at one moment, and a `Metrics` is all of them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from mainstay.core import FormatError

Labels: TypeAlias = tuple[str, ...]
"""The values of a point's labels, in the order of the family's label names."""

Value: TypeAlias = "float | tuple[tuple[int, ...], float]"
"""A number, or, of a histogram, how many observations fell into each bucket and their sum."""

KINDS = ("counter", "gauge", "histogram")
MERGES = ("sum", "max", "min")
_VERSION = 1
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Family:
    """One metric.

    Args:
        name: Its name.
        kind: ``counter``, ``gauge`` or ``histogram``.
        help: What it says, in one sentence.
        labels: The names of its labels.
        bounds: Of a histogram, the upper bounds of its buckets, ascending, without the infinite one.
        merge: How the values of several processes become one: ``sum``, ``max`` or ``min``.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    merge: str = "sum"


class Histogram:
    """Observations, counted by bucket.

    Args:
        bounds: The upper bounds of the buckets, ascending; one more bucket takes what is larger than all.
    """

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def value(self) -> Value:
        """What was observed so far."""
        return tuple(self.counts), self.sum


@dataclass(slots=True)
class Points:
    """The values of a family at one moment, by their labels."""

    family: Family
    values: dict[Labels, Value] = field(default_factory=dict)

    def add(self, labels: Labels, value: Value) -> None:
        """Put a value in; one that is there already is merged with it."""
        known = self.values.get(labels)
        self.values[labels] = value if known is None else _merge_values(self.family, known, value)


class Metrics:
    """The points of all families at one moment.

    >>> family = Family("cars_total", "counter", "Cars that passed.", ("lane",))
    >>> metrics = Metrics()
    >>> metrics.add(family, ("left",), 2)
    >>> metrics.merge(Metrics.from_bytes(metrics.to_bytes()))
    >>> metrics.families["cars_total"].values
    {('left',): 4}
    """

    def __init__(self) -> None:
        self.families: dict[str, Points] = {}

    def add(self, family: Family, labels: Labels, value: Value) -> None:
        """Put a value in; one with the same labels is merged with it."""
        self.declare(family).add(labels, value)

    def declare(self, family: Family) -> Points:
        """Return the points of a family, which is shown even where it has none."""
        points = self.families.get(family.name)
        if points is None:
            points = self.families[family.name] = Points(family)
        elif points.family != family:
            raise FormatError("two metrics of one name differ", where=family.name, expected=points.family)
        return points

    def merge(self, other: Metrics) -> None:
        """Take in what another process measured.

        Raises:
            FormatError: A metric of the same name is another one; nothing has changed then.
        """
        for name, points in other.families.items():
            if name in self.families and self.families[name].family != points.family:
                raise FormatError("two processes disagree about a metric", where=name)
        for points in other.families.values():
            mine = self.declare(points.family)
            for labels, value in points.values.items():
                mine.add(labels, value)

    def to_bytes(self) -> bytes:
        """Return all of it as bytes."""
        families = [
            {
                "name": points.family.name,
                "kind": points.family.kind,
                "help": points.family.help,
                "labels": points.family.labels,
                "bounds": points.family.bounds,
                "merge": points.family.merge,
                "points": [[labels, _packed(value)] for labels, value in points.values.items()],
            }
            for points in self.families.values()
        ]
        return orjson.dumps({"version": _VERSION, "families": families})

    @classmethod
    def from_bytes(cls, data: bytes) -> Metrics:
        """Return what `to_bytes` gave.

        Raises:
            FormatError: It is nothing of the kind.
        """
        if len(data) > _MOST_BYTES:
            raise FormatError("measurements are too long", expected=f"{_MOST_BYTES} bytes", received=len(data))
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise FormatError("measurements are no JSON", received=str(error)) from error
        if not isinstance(document, dict) or document.get("version") != _VERSION:
            raise FormatError("measurements of another version", expected=_VERSION)
        metrics = cls()
        try:
            for item in document["families"]:
                family = _family(item)
                points = metrics.declare(family)
                for labels, value in item["points"]:
                    points.add(_labels(labels, family), _unpacked(value, family))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError("measurements are not as they should be", received=repr(error)) from error
        return metrics


def _packed(value: Value) -> Any:
    if isinstance(value, tuple):
        return [value[0], value[1]]
    return value if math.isfinite(value) else str(value)


def _family(item: Mapping[str, Any]) -> Family:
    labels, bounds = _texts(item["labels"]), tuple(float(bound) for bound in item["bounds"])
    name, kind, text, merge = _texts([item["name"], item["kind"], item["help"], item["merge"]])
    if kind not in KINDS or merge not in MERGES or list(bounds) != sorted(set(bounds)):
        raise ValueError(name)
    return Family(name, kind, text, labels, bounds, merge)


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    texts = tuple(values)
    if not all(type(text) is str for text in texts):
        raise TypeError("expected text")
    return texts


def _labels(labels: Any, family: Family) -> Labels:
    texts = _texts(labels)
    if len(texts) != len(family.labels):
        raise ValueError(family.name)
    return texts


def _unpacked(value: Any, family: Family) -> Value:
    if family.kind != "histogram":
        if isinstance(value, bool):
            raise TypeError("expected a number")
        return float(value) if not isinstance(value, int) else value
    counts, total = value
    if len(counts) != len(family.bounds) + 1 or not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError(family.name)
    return tuple(counts), float(total)


def _merge_values(family: Family, one: Value, other: Value) -> Value:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return tuple(a + b for a, b in zip(one[0], other[0], strict=True)), one[1] + other[1]
    if isinstance(one, tuple) or isinstance(other, tuple):
        raise FormatError("a histogram and a number cannot be added", where=family.name)
    if family.merge == "sum":
        return one + other
    return max(one, other) if family.merge == "max" else min(one, other)
