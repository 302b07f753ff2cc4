"""The router: a version for each request, by the weights of its model, and copies for the shadows.

A version or label in a request always wins. What asks for nothing goes to one of the weighted versions that are
AVAILABLE; the share of those that are not is spread over the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Protocol

from mainstay.core import NotFoundError
from mainstay.serving.calls import Call
from mainstay.serving.models.snapshot import Servable, Snapshot
from mainstay.serving.status import Code
from mainstay.serving.traffic.config import CLIENT, ModelTraffic, Shadow, Target, TrafficConfig
from mainstay.serving.traffic.shadowing import ShadowRunner
from mainstay.serving.traffic.split import Split, resolve
from mainstay.serving.traffic.statistics import ModelStatistics, ShadowStatistics

QUESTIONS = frozenset(("GetModelMetadata", "GetModelStatus", "ModelMetadata", "ModelReady"))
"""Calls about a model rather than for it: always answered from the highest version, like TF Serving does."""

_FAULTS = frozenset((Code.UNKNOWN, Code.INTERNAL, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.DATA_LOSS))


class Guard(Protocol):
    """Something that watches the traffic of models and may take weights back, such as an automatic rollback."""

    def weights(self, model: str, traffic: ModelTraffic, statistics: ModelStatistics) -> Mapping[Target, float] | None:
        """Return the weights that a model shall have from now on, or None to leave them as they are.

        Called on the event loop about once a second, for each model with traffic rules.
        """


class TrafficRouter:
    """Chooses the version of each call and feeds the shadows: a `Router` and an `Observer` of the engine.

    All methods are called on the event loop.

    Args:
        config: The rules.
        loop: The event loop.
        random: The source of choice for requests without a client's key, and of samples for the shadows.

    Attributes:
        statistics: By model, what has been seen.
        guards: What may change weights.
        on_compared: Called with the model, the shadow and its statistics after each comparison, for metrics.
    """

    def __init__(self, config: TrafficConfig, *, loop: asyncio.AbstractEventLoop, random: Random | None = None) -> None:
        self.statistics: dict[str, ModelStatistics] = {}
        self.guards: tuple[Guard, ...] = ()
        self.on_compared: Callable[[str, Shadow, ShadowStatistics], None] | None = None
        self._loop = loop
        self._random = (random or Random()).random
        self._snapshot: Snapshot | None = None
        self._routes: dict[str, _Route] = {}
        self._config = TrafficConfig()
        self.configure(config)

    @property
    def config(self) -> TrafficConfig:
        """The rules in force; a guard's weights are in them."""
        return self._config

    def configure(self, config: TrafficConfig) -> None:
        """Put other rules in force; what has been counted stays."""
        self._config = config
        self._routes = {name: self._route(name, traffic) for name, traffic in config.models.items()}
        self._snapshot = None

    def set_weights(self, model: str, weights: Mapping[Target, float]) -> None:
        """Change the weights of one model.

        Raises:
            ArgumentError: A weight is out of range.
        """
        known = self._config.models.get(model, ModelTraffic())
        changed = ModelTraffic(weights=weights, sticky=known.sticky, shadows=known.shadows)
        self.configure(TrafficConfig({**self._config.models, model: changed}))

    def _route(self, model: str, traffic: ModelTraffic) -> _Route:
        statistics = self.statistics.setdefault(model, ModelStatistics())
        runners = []
        for shadow in traffic.shadows:
            runner = ShadowRunner(shadow, statistics.shadow(shadow), self._loop)
            runner.on_compared = lambda counts, shadow=shadow: self._compared(model, shadow, counts)
            runners.append(runner)
        return _Route(traffic, statistics, tuple(runners))

    def _compared(self, model: str, shadow: Shadow, counts: ShadowStatistics) -> None:
        if self.on_compared is not None:
            self.on_compared(model, shadow, counts)

    def find(self, call: Call, snapshot: Snapshot) -> Servable:
        """Return the version that answers a call.

        Raises:
            NotFoundError: There is none, or none that may answer requests that do not ask for it.
            RequestError: There is no such label.
        """
        route = self._routes.get(call.model)
        if route is None or call.method in QUESTIONS:
            return snapshot.find(call.model, call.version, call.label)
        if snapshot is not self._snapshot:
            self._resolve(snapshot)
        if route.runners:
            call.draw = self._random()
            if call.draw < route.most:
                call.keep = True  # the rows and the answer, until `ended` has passed them on
        if call.version is not None or call.label is not None or not route.traffic.weights:
            return snapshot.find(call.model, call.version, call.label)
        if route.split is not None:
            return route.split.choose(route.client_of(call))
        return _without_weights(call.model, route.traffic.weights, snapshot)

    def _resolve(self, snapshot: Snapshot) -> None:
        """Look the weighted versions of every model up in a new snapshot."""
        self._snapshot = snapshot
        for model, route in self._routes.items():
            route.split = Split.of(model, route.traffic.weights, snapshot, self._random)

    def begun(self, call: Call) -> None:
        """See a call begin; nothing is known of it yet."""

    def ended(self, call: Call) -> None:
        """Count a call that has been answered, and send it to the shadows."""
        route, servable = self._routes.get(call.model), call.servable
        if route is None or servable is None or call.method in QUESTIONS:
            return
        counts = route.statistics.version(servable.version)
        counts.requests += 1
        counts.seconds += call.ended - call.received
        if call.code in _FAULTS:
            counts.failures += 1
        elif call.chunk is not None and len(call.tickets) == 1 and call.code is Code.OK:
            self._shadow(call, route)

    def _shadow(self, call: Call, route: _Route) -> None:
        snapshot = self._snapshot
        if snapshot is None:
            return
        for runner in route.runners:
            if call.draw < runner.shadow.fraction:
                runner.send(call, snapshot)

    def tick(self) -> None:
        """Ask the guards; called about once a second."""
        for guard in self.guards:
            for model, traffic in self._config.models.items():
                weights = guard.weights(model, traffic, self.statistics[model])
                if weights is not None and dict(weights) != dict(traffic.weights):
                    self.set_weights(model, weights)

    def report(self, snapshot: Snapshot) -> dict[str, Any]:
        """Return rules and counts as plain values that JSON can hold."""
        models = {}
        for name, route in self._routes.items():
            targets = {
                str(target): {"weight": weight, "version": _version(resolve(target, name, snapshot))}
                for target, weight in route.traffic.weights.items()
            }
            models[name] = {"weights": targets, "sticky": list(route.traffic.sticky), **route.statistics.report()}
        return {"models": models}


def _version(servable: Servable | None) -> int | None:
    return None if servable is None else servable.version


def _without_weights(model: str, weights: Mapping[Target, float], snapshot: Snapshot) -> Servable:
    """Return the highest version that nobody has given the weight 0; every version with a weight is gone."""
    banned = {resolve(target, model, snapshot) for target, weight in weights.items() if weight == 0}
    versions = snapshot.servables.get(model, {})
    allowed = [version for version in versions if versions[version] not in banned]
    if not allowed:
        raise NotFoundError(f"Servable not found for request: Latest({model})")
    return versions[max(allowed)]


class _Route:
    """The rules of one model, ready to be used."""

    __slots__ = ("most", "runners", "split", "statistics", "sticky", "traffic", "use_peer")

    def __init__(self, traffic: ModelTraffic, statistics: ModelStatistics, runners: tuple[ShadowRunner, ...]) -> None:
        self.traffic = traffic
        self.statistics = statistics
        self.runners = runners
        self.most = max((runner.shadow.fraction for runner in runners), default=0.0)
        self.split: Split | None = None
        self.sticky = tuple(name.encode() for name in traffic.sticky if name != CLIENT)
        self.use_peer = CLIENT in traffic.sticky

    def client_of(self, call: Call) -> bytes | None:
        """Return what tells one client from another, if the call has it."""
        for name in self.sticky:
            found = call.headers.get(name)
            if found:
                return found
        if not self.use_peer:
            return None
        # Clients of a UNIX socket have no address.
        return (call.identity or call.peer.rpartition(":")[0]).encode() or None
