"""Shadowing: requests that have been answered are sent to another version too, and the two answers are compared.

The shadow starts when the client has its answer, waits behind every other request, and is bounded in number, so that
it can neither delay nor fail the request that it follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from mainstay.core import UnavailableError
from mainstay.serving.batching.chunks import Chunk, DensePart
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.calls import Call
from mainstay.serving.models.snapshot import Endpoint, Servable, Snapshot
from mainstay.serving.plans import InputPlan
from mainstay.serving.status import logger
from mainstay.serving.traffic.comparison import Difference, compare
from mainstay.serving.traffic.config import Shadow
from mainstay.serving.traffic.split import resolve
from mainstay.serving.traffic.statistics import ShadowStatistics, examples_of, plain

LOWEST_PRIORITY = 3
"""The priority of shadows: where a queue is full, they are the first to go."""

_MOST_INLINE_VALUES = 1 << 14


class ShadowRunner:
    """Sends requests of one model to one shadow. All methods are called on the event loop.

    Args:
        shadow: Where to, how many, and what counts as equal.
        statistics: Where the differences are recorded.
        loop: The event loop.

    Attributes:
        in_flight: How many requests wait or run there now.
        on_compared: Called with the statistics after each comparison, for metrics.
    """

    def __init__(self, shadow: Shadow, statistics: ShadowStatistics, loop: asyncio.AbstractEventLoop) -> None:
        self.shadow = shadow
        self.statistics = statistics
        self.in_flight = 0
        self.on_compared: Callable[[ShadowStatistics], None] | None = None
        self._loop = loop
        self._failed = False

    def send(self, call: Call, snapshot: Snapshot) -> None:
        """Send the rows of a call that has been answered; does nothing where its own version is the shadow."""
        chunk, outputs, answered = call.chunk, call.outputs, call.servable
        if chunk is None or outputs is None or answered is None:
            return
        statistics = self.statistics
        servable = resolve(self.shadow.to, call.model, snapshot)
        if servable is answered:
            return
        endpoint = None if servable is None else servable.endpoints.get(call.signature)
        if servable is None or endpoint is None or endpoint.plans != answered.endpoints[call.signature].plans:
            statistics.unavailable += 1
        elif self.in_flight >= self.shadow.most_in_flight:
            statistics.left_out += 1
        else:
            self._submit(_Answered(call, chunk, outputs, answered.version), servable, endpoint)

    def _submit(self, answered: _Answered, servable: Servable, endpoint: Endpoint) -> None:
        def done(result: Outputs | Exception) -> None:
            servable.release()
            self._take(answered, result, servable.version, endpoint.plans)

        servable.users += 1
        self.in_flight += 1
        try:
            endpoint.batcher.submit(answered.chunk, done, priority=LOWEST_PRIORITY)
        except Exception as error:  # such as a full queue
            done(error)

    def _take(
        self, answered: _Answered, result: Outputs | Exception, version: int, plans: tuple[InputPlan, ...]
    ) -> None:
        if isinstance(result, Exception):
            self.in_flight -= 1
            self._fail(result)
            return
        context = {**answered.context, "shadow_version": version}

        def record(found: dict[str, Difference]) -> None:
            inputs = _inputs_of(answered.chunk, plans, found) if self.statistics.most_examples else {}
            self._record(found, examples_of(answered.outputs, result, found, {**context, "inputs": inputs}))

        def end(found: Callable[[], dict[str, Difference]]) -> None:
            self.in_flight -= 1
            try:
                record(found())
            except Exception as error:  # what cannot be compared makes room for the next one all the same
                self._fail(error)

        compared = partial(compare, answered.outputs.arrays, result.arrays, self.shadow.tolerance)
        if sum(array.size for array in answered.outputs.arrays.values()) <= _MOST_INLINE_VALUES:
            end(compared)
            return
        # Large outputs are compared beside the event loop, which has requests to answer meanwhile.
        work = self._loop.run_in_executor(None, compared)
        work.add_done_callback(lambda future: None if future.cancelled() else end(future.result))

    def _fail(self, error: Exception) -> None:
        if isinstance(error, UnavailableError):  # requests that somebody waits for came first
            self.statistics.left_out += 1
            return
        self.statistics.failed += 1
        self.statistics.last_failure = f"{type(error).__name__}: {error}"[:1000]

    def _record(self, found: dict[str, Difference], examples: list[dict[str, Any]]) -> None:
        differed = self.statistics.differing
        self.statistics.add(found, examples)
        if self.statistics.differing > differed and not self._failed:
            self._failed = True  # once is enough for a log; the report counts
            logger.warning("shadow %s answers differently: %s", self.shadow.to, ", ".join(sorted(found)))
        if self.on_compared is not None:
            self.on_compared(self.statistics)


class _Answered:
    """What is kept of a call for as long as its shadow runs."""

    __slots__ = ("chunk", "context", "outputs")

    def __init__(self, call: Call, chunk: Chunk, outputs: Outputs, version: int) -> None:
        self.chunk = chunk
        self.outputs = outputs
        self.context = {"signature": call.signature, "version": version}


def _inputs_of(chunk: Chunk, plans: tuple[InputPlan, ...], found: dict[str, Difference]) -> dict[str, Any]:
    """Return the inputs of the row that differs most."""
    worst = next((item.worst for item in found.values() if item.worst is not None), None)
    if worst is None or worst >= chunk.rows:
        return {}
    return {plan.name: plain(_value(part, worst)) for plan, part in zip(plans, chunk.parts, strict=True)}


def _value(part: Any, row: int) -> Any:
    if isinstance(part, DensePart):
        return None if part.missing[row] else part.values[row]
    try:
        return part[row]
    except (IndexError, TypeError):  # a whole tensor has fewer axes than rows would have
        return part
