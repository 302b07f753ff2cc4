"""Which traces are kept: the samplers of OpenTelemetry, by their names there."""

from __future__ import annotations

from mainstay.core import ArgumentError
from mainstay.serving.operations.trace_context import Parent

SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
_LOW_HALF = (1 << 64) - 1


class Sampler:
    """Decides of each trace whether it is kept.

    Args:
        name: One of `SAMPLERS`; those that begin with ``parentbased`` follow the client where it has decided.
        ratio: The share of traces that is kept, 0 to 1, where the name ends in ``ratio``.

    Raises:
        ArgumentError: There is no such sampler, or the ratio is out of range.

    >>> Sampler("parentbased_traceidratio", 0.5).keeps(1 << 63, None)
    False
    """

    def __init__(self, name: str, ratio: float = 1.0) -> None:
        if name not in SAMPLERS:
            raise ArgumentError("there is no such sampler", expected=f"one of {', '.join(SAMPLERS)}", received=name)
        if not 0.0 <= ratio <= 1.0:
            raise ArgumentError("the ratio of traces is out of range", expected="0 to 1", received=ratio)
        self.follows_parent = name.startswith("parentbased_")
        kind = name.removeprefix("parentbased_")
        share = {"always_on": 1.0, "always_off": 0.0}.get(kind, ratio)
        self._bound = round(share * (1 << 64))

    def keeps(self, trace: int, parent: Parent | None) -> bool:
        """Return whether a trace is kept, by its id of 128 bits and the client's decision."""
        if parent is not None and self.follows_parent:
            return parent.sampled
        return trace & _LOW_HALF < self._bound
