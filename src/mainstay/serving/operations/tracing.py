"""Traces of calls: a span for the request and, within it, one for its wait in the queue and one for its execution."""

from __future__ import annotations

import random
from typing import NamedTuple

from mainstay.serving.calls import Call
from mainstay.serving.operations.access import HEALTH_METHODS
from mainstay.serving.operations.otlp import SpanExporter
from mainstay.serving.operations.sampling import Sampler
from mainstay.serving.operations.trace_context import Parent, parent_of
from mainstay.serving.operations.trace_options import TraceOptions


class Trace(NamedTuple):
    """The place of a call in a trace, as `Call.trace` holds it.

    Args:
        trace: The trace's id, 32 hexadecimal digits.
        span: The id of the call's own span, 16 hexadecimal digits.
        parent: The client's span, or None where the trace begins here.
        sampled: Whether the trace is kept.
    """

    trace: str
    span: str
    parent: Parent | None
    sampled: bool


class Tracing:
    """Gives calls their place in a trace and exports those that are kept; an observer of the engine.

    Args:
        options: Where spans go and which are kept.
        source: Where the ids come from.
    """

    def __init__(self, options: TraceOptions, source: random.Random | None = None) -> None:
        self._sampler = Sampler(options.sampler, options.ratio)
        self._bits = random.getrandbits if source is None else source.getrandbits
        self.exporter = SpanExporter(options)

    def begun(self, call: Call) -> None:
        """Decide whether a call is traced."""
        if call.method in HEALTH_METHODS:
            return
        headers = call.headers
        parent = parent_of(headers) if b"traceparent" in headers else None
        if parent is not None:
            trace = parent.trace
            kept = parent.sampled if self._sampler.follows_parent else self._sampler.keeps(int(trace, 16), parent)
            call.trace = Trace(trace, f"{self._id(64):016x}", parent, kept)
            return
        number = self._id(128)
        if self._sampler.keeps(number, None):
            call.trace = Trace(f"{number:032x}", f"{self._id(64):016x}", None, True)

    def _id(self, bits: int) -> int:
        return self._bits(bits) or 1  # an id of nothing but zeros is none

    def ended(self, call: Call) -> None:
        """Export a call's spans if it is traced."""
        trace = call.trace
        if trace is not None and trace.sampled:
            self.exporter.put(call, trace)

    def close(self, seconds: float) -> None:
        """Send what waits, or give up after `seconds`."""
        self.exporter.close(seconds)
