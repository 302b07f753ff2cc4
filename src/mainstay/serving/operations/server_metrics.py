"""Metrics of the server: connections, queues, and where the versions of each model stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mainstay.serving.engine import Engine
from mainstay.serving.models.snapshot import State
from mainstay.serving.operations.families import Family, Metrics

_VERSION = ("model", "version")
CONNECTIONS = Family("mainstay_connections", "gauge", "Connections that are open.", ("protocol",))
QUEUED_ROWS = Family("mainstay_queued_rows", "gauge", "Rows that wait for their execution.", (*_VERSION, "signature"))
IN_USE = Family("mainstay_version_requests_in_flight", "gauge", "Requests that a version answers just now.", _VERSION)
STATE = Family(
    "mainstay_version_state", "gauge", "1 for the state in which a version is.", (*_VERSION, "state"), merge="max"
)
READY = Family("mainstay_ready", "gauge", "Whether requests should be sent here.", merge="min")
DRAINING = Family("mainstay_draining", "gauge", "Whether the server is on its way out.", merge="max")
DROPPED = Family(
    "mainstay_dropped_total", "counter", "Entries of logs and spans that were lost, as they never wait.", ("kind",)
)


class ServerMetrics:
    """Looks at the server whenever somebody asks.

    Args:
        engine: Its engine.
        connections: By protocol, what counts the open connections.
        dropped: Gives by kind of log how many entries were lost.
    """

    def __init__(
        self,
        engine: Engine,
        connections: Mapping[str, Callable[[], int]],
        dropped: Callable[[], Mapping[str, int]],
    ) -> None:
        self._engine = engine
        self._connections = connections
        self._dropped = dropped

    def collect(self, metrics: Metrics) -> None:
        """Put the measurements into `metrics`."""
        engine = self._engine
        snapshot = engine.snapshot
        metrics.add(READY, (), int(engine.ready))
        metrics.add(DRAINING, (), int(engine.draining))
        for protocol, count in self._connections.items():
            metrics.add(CONNECTIONS, (protocol,), count())
        metrics.declare(DROPPED)
        for kind, lost in self._dropped().items():
            metrics.add(DROPPED, (kind,), lost)
        metrics.declare(QUEUED_ROWS)
        metrics.declare(IN_USE)
        metrics.declare(STATE)
        for model, versions in snapshot.servables.items():
            for number, servable in versions.items():
                metrics.add(IN_USE, (model, str(number)), servable.users)
                for name, endpoint in servable.endpoints.items():
                    metrics.add(QUEUED_ROWS, (model, str(number), name), endpoint.batcher.waiting_rows)
        for model in {**snapshot.servables, **snapshot.statuses}:
            for number, status in snapshot.versions(model).items():
                for state in State:
                    metrics.add(STATE, (model, str(number), state.name), int(status.state is state))
