"""Limits: how many requests a caller and a model may have per second, and how large they may be."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from mainstay.core import ArgumentError, OverloadError, RequestError
from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.operations.access import HEALTH_METHODS


@dataclass(frozen=True, slots=True)
class Rate:
    """How many requests may come.

    Args:
        per_second: How many in the long run.
        burst: How many at once after a quiet time; None for those of one second.

    Raises:
        ArgumentError: A number is out of range.
    """

    per_second: float
    burst: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.per_second < math.inf:
            raise ArgumentError("a rate is a positive number", where="per_second", received=self.per_second)
        if self.burst is not None and not 1 <= self.burst < math.inf:
            raise ArgumentError("a burst is at least 1", where="burst", received=self.burst)

    @property
    def capacity(self) -> float:
        """How many requests may come at once."""
        return max(self.per_second, 1.0) if self.burst is None else self.burst


@dataclass(frozen=True, slots=True, kw_only=True)
class RateOptions:
    """The limits of callers and models.

    Args:
        per_caller: For each identity and, where nobody is known, each address.
        callers: For identities by name, instead of `per_caller`; None lifts the limit.
        per_model: For each model.
        models: For models by name, instead of `per_model`; None lifts the limit.
        max_request_bytes: The largest request body by model, within the limit of the listener.
        most_callers: How many callers are remembered; the one that has been quiet longest is forgotten first.

    Raises:
        ArgumentError: A number is out of range.
    """

    per_caller: Rate | None = None
    callers: Mapping[str, Rate | None] = field(default_factory=dict)
    per_model: Rate | None = None
    models: Mapping[str, Rate | None] = field(default_factory=dict)
    max_request_bytes: Mapping[str, int] = field(default_factory=dict)
    most_callers: int = 65536

    def __post_init__(self) -> None:
        if self.most_callers < 1:
            raise ArgumentError("at least one caller has to be remembered", received=self.most_callers)
        for model, most in self.max_request_bytes.items():
            if isinstance(most, bool) or not isinstance(most, int) or most < 1:
                raise ArgumentError("a size is a positive number of bytes", where=model, received=most)


class _Bucket:
    """The requests that may still come, refilled with time."""

    __slots__ = ("rate", "seen", "tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self.rate = rate
        self.tokens = rate.capacity
        self.seen = now

    def wait(self, now: float) -> float:
        """Return how long until a request may come, in seconds; 0 for now."""
        rate = self.rate
        elapsed = now - self.seen
        if elapsed > 0:
            self.tokens = min(rate.capacity, self.tokens + elapsed * rate.per_second)
            self.seen = now
        return 0.0 if self.tokens >= 1.0 else (1.0 - self.tokens) / rate.per_second


class RateGate:
    """Refuses what comes too often or is too large; a gate of the engine, behind the one that tells who calls.

    Health is never limited. A request that is refused uses nothing up, so a client that keeps trying gets its share.

    Args:
        options: The limits.
        engine: Whose calls these are; it has the clock and knows the models.
    """

    def __init__(self, options: RateOptions, engine: Engine) -> None:
        self._options = options
        self._engine = engine
        self._callers: OrderedDict[str, _Bucket] = OrderedDict()
        self._models: dict[str, _Bucket] = {}
        self.refused = 0

    def check(self, call: Call) -> None:
        """Let a call pass.

        Raises:
            OverloadError: It comes too early; `retry_after` of the error says by how many seconds.
            RequestError: It is larger than its model takes.
        """
        if call.method in HEALTH_METHODS:
            return
        most = self._options.max_request_bytes.get(call.model)
        if most is not None and call.request_bytes > most:
            raise RequestError(
                f"The request's body exceeds the {most} bytes that model {call.model} takes",
                expected=f"at most {most} bytes",
                received=f"{call.request_bytes} bytes",
                fix="send fewer rows at a time",
            )
        now = self._engine.time()
        caller = self._caller(call, now)
        model = self._model(call.model, now)
        wait, what = 0.0, ""
        if caller is not None:
            wait, what = caller.wait(now), "you"
        if model is not None:
            model_wait = model.wait(now)
            if model_wait > wait:
                wait, what = model_wait, f"model {call.model}"
        if wait > 0.0:
            self.refused += 1
            error = OverloadError(f"Too many requests for {what}; the next one may come in {wait:.3f} seconds")
            error.retry_after = wait
            raise error
        if caller is not None:
            caller.tokens -= 1.0
        if model is not None:
            model.tokens -= 1.0

    def _caller(self, call: Call, now: float) -> _Bucket | None:
        options = self._options
        name = call.identity
        if name:
            rate = options.callers.get(name, options.per_caller)
            key = name
        else:
            # All ports of an address are one caller. The mark keeps an address from passing for a name.
            rate = options.per_caller
            key = "@" + call.peer.rpartition(":")[0]
        if rate is None:
            return None
        bucket = self._callers.get(key)
        if bucket is None:
            bucket = self._callers[key] = _Bucket(rate, now)
            if len(self._callers) > options.most_callers:
                self._callers.popitem(last=False)
        else:
            self._callers.move_to_end(key)
        return bucket

    def _model(self, model: str, now: float) -> _Bucket | None:
        options = self._options
        bucket = self._models.get(model)
        if bucket is not None:
            return bucket
        rate = options.models.get(model, options.per_model)
        if rate is None or model not in self._engine.snapshot.servables:  # a name of a client's making gets no bucket
            return None
        bucket = self._models[model] = _Bucket(rate, now)
        return bucket
