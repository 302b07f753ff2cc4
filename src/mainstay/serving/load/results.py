"""What a step of load gave: rates, percentiles of latencies, and failures by their kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)


@dataclass(frozen=True)
class StepResult:
    """What a step of load gave.

    Args:
        offered: Requests per second that were due; None where there was no schedule.
        seconds: How long it took until the last answer.
        latencies: Of the requests that were answered well, from when they were due, in seconds: ``[answers]`` float64.
        failures: How many failed, by what was said.
    """

    offered: float | None
    seconds: float
    latencies: np.ndarray[Any, Any]
    failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return len(self.latencies) / self.seconds

    @property
    def num_failures(self) -> int:
        """How many requests failed."""
        return sum(self.failures.values())

    def percentiles(self) -> dict[float, float]:
        """Return the latency that so many percent of the good answers did not exceed, in seconds."""
        if not len(self.latencies):
            return dict.fromkeys(PERCENTILES, float("nan"))
        found = np.percentile(self.latencies, PERCENTILES, method="higher")
        return dict(zip(PERCENTILES, found.tolist(), strict=True))

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON has; latencies in milliseconds."""
        return {
            "offered_per_second": self.offered,
            "answered_per_second": self.rate,
            "answers": len(self.latencies),
            "seconds": self.seconds,
            "milliseconds": {f"p{name:g}": value * 1e3 for name, value in self.percentiles().items() if value == value},
            "failures": dict(self.failures),
        }


def gather(offered: float | None, seconds: float, latencies: Sequence[float], failures: Counter[str]) -> StepResult:
    """Return the result of a step."""
    return StepResult(offered, seconds, np.array(latencies, np.float64), dict(failures.most_common()))
