"""What is known of the traffic of each model: requests by version, and how shadows differ. Reports add up."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.traffic.comparison import Array, Difference
from mainstay.serving.traffic.config import Shadow, Target

_MOST_VALUES = 16
_MOST_TEXT = 200
_SHARED = ("sticky", "version", "weight")  # what all processes have in common


@dataclass(slots=True)
class VersionTraffic:
    """The requests that one version answered.

    Args:
        requests: How many have ended.
        failures: How many of them ended in a fault of the server or the model, not of the request.
        seconds: How long they took, together, from their last byte to the answer.
    """

    requests: int = 0
    failures: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class OutputDifferences:
    """How one output of a shadow differs, over all requests compared.

    Args:
        rows: How many rows were compared.
        differing: How many of them differ by more than the tolerance.
        other_argmax: How many of them have their largest number at another place.
        largest_absolute: The largest difference, in units of the output.
        largest_relative: The largest difference as a part of the answer's size.
        reason: Why rows could not be compared, the last time that was so.
    """

    rows: int = 0
    differing: int = 0
    other_argmax: int = 0
    largest_absolute: float = 0.0
    largest_relative: float = 0.0
    reason: str = ""

    def add(self, found: Difference) -> None:
        """Take one more comparison in."""
        self.rows += found.rows
        self.differing += found.differing
        self.other_argmax += found.other_argmax
        self.largest_absolute = max(self.largest_absolute, found.largest_absolute)
        self.largest_relative = max(self.largest_relative, found.largest_relative)
        self.reason = found.reason or self.reason


@dataclass(slots=True)
class ShadowStatistics:
    """What came of sending requests to a shadow.

    Args:
        most_examples: How many examples are kept.
        compared: How many requests were answered by both and compared.
        differing: How many of them have an output that differs by more than the tolerance.
        failed: How many the shadow failed to answer.
        left_out: How many were not run, as too many were in flight or the queue was full.
        unavailable: How many were not sent, as the version was not there or has no such signature.
        outputs: The differences by output.
        examples: The newest differing rows, oldest first.
        last_failure: What the shadow said the last time it failed.
    """

    most_examples: int
    compared: int = 0
    differing: int = 0
    failed: int = 0
    left_out: int = 0
    unavailable: int = 0
    outputs: dict[str, OutputDifferences] = field(default_factory=dict)
    examples: deque[dict[str, Any]] = field(init=False)
    last_failure: str = ""

    def __post_init__(self) -> None:
        self.examples = deque(maxlen=self.most_examples)

    def add(self, found: Mapping[str, Difference], examples: Iterable[dict[str, Any]]) -> None:
        """Take the comparison of one request in."""
        self.compared += 1
        self.differing += any(item.differing for item in found.values())
        for name, item in found.items():
            self.outputs.setdefault(name, OutputDifferences()).add(item)
        self.examples.extend(examples)


@dataclass(slots=True)
class ModelStatistics:
    """The traffic of one model.

    Args:
        versions: Its versions by number.
        shadows: Its shadows by what they were configured as.
    """

    versions: dict[int, VersionTraffic] = field(default_factory=dict)
    shadows: dict[Target, ShadowStatistics] = field(default_factory=dict)

    def version(self, number: int) -> VersionTraffic:
        """Return the counts of a version, which begin with zeros."""
        found = self.versions.get(number)
        if found is None:
            found = self.versions[number] = VersionTraffic()
        return found

    def shadow(self, shadow: Shadow) -> ShadowStatistics:
        """Return the counts of a shadow, which begin with zeros."""
        found = self.shadows.get(shadow.to)
        if found is None or found.most_examples != shadow.examples:
            fresh = ShadowStatistics(shadow.examples)
            if found is not None:
                fresh.examples.extend(found.examples)
                fresh.outputs = found.outputs
                for name in ("compared", "differing", "failed", "left_out", "unavailable", "last_failure"):
                    setattr(fresh, name, getattr(found, name))
            found = self.shadows[shadow.to] = fresh
        return found

    def report(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        return {
            "versions": {str(number): asdict(item) for number, item in sorted(self.versions.items())},
            "shadows": {str(target): _shadow_report(item) for target, item in self.shadows.items()},
        }


def _shadow_report(item: ShadowStatistics) -> dict[str, Any]:
    return {
        **{name: getattr(item, name) for name in ("compared", "differing", "failed", "left_out", "unavailable")},
        "last_failure": item.last_failure,
        "outputs": {name: asdict(output) for name, output in item.outputs.items()},
        "examples": list(item.examples),
    }


def merge_reports(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the reports of several processes as one: counts add up, the largest stays, examples are put together.

    >>> merge_reports([{"requests": 1, "largest_absolute": 0.5}, {"requests": 2, "largest_absolute": 0.25}])
    {'requests': 3, 'largest_absolute': 0.5}
    """
    merged: dict[str, Any] = {}
    for report in reports:
        for key, value in report.items():
            merged[key] = _merge(key, merged[key], value) if key in merged else value
    return merged


def _merge(key: str, one: Any, two: Any) -> Any:
    if key in _SHARED:
        return two
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return merge_reports([one, two])
    if isinstance(one, list) and isinstance(two, list):
        return one + two
    if isinstance(one, int | float) and isinstance(two, int | float):
        return max(one, two) if key.startswith("largest") else one + two
    return two or one


def examples_of(
    answer: Outputs, other: Outputs, found: Mapping[str, Difference], context: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return, for each output that differs, the row that differs most, as plain values."""
    examples = []
    for name, item in found.items():
        if item.worst is None:
            continue
        row = {"answer": _row(answer.arrays.get(name), item.worst), "shadow": _row(other.arrays.get(name), item.worst)}
        examples.append({**context, "output": name, "row": item.worst, **row})
    return examples


def _row(array: Array | None, row: int) -> Any:
    if array is None or (array.ndim and row >= len(array)):
        return None
    return plain(array[row] if array.ndim else array)


def plain(value: Any) -> Any:
    """Return a value of a tensor as JSON can hold it, cut where it is long; NaN and infinities become texts.

    >>> plain(np.array([1.5, float("nan")])), plain(b"abc")
    ([1.5, 'nan'], 'abc')
    """
    if isinstance(value, np.ndarray | np.generic):
        flat = value.ravel()[:_MOST_VALUES].tolist()
        return plain(flat[0]) if value.ndim == 0 else [plain(item) for item in flat]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value[:_MOST_TEXT]
    if isinstance(value, float) and value - value == 0:
        return value
    return value if isinstance(value, bool | int) or value is None else str(value)[:_MOST_TEXT]
