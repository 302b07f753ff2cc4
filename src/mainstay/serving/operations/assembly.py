"""All of the server's operations, put together from its options and tied to its engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mainstay.serving.engine import Engine, Gate, Observer
from mainstay.serving.models.config import FleetConfig
from mainstay.serving.models.snapshot import State
from mainstay.serving.operations.access import AccessGate
from mainstay.serving.operations.access_log import AccessLog
from mainstay.serving.operations.call_metrics import CallMetrics
from mainstay.serving.operations.families import Metrics
from mainstay.serving.operations.load_metrics import LoadMetrics
from mainstay.serving.operations.pages import Gather, HealthPages, MetricsPage
from mainstay.serving.operations.process_metrics import ProcessMetrics
from mainstay.serving.operations.rates import RateGate
from mainstay.serving.operations.request_log import RequestLog, check_rule
from mainstay.serving.operations.server_metrics import ServerMetrics
from mainstay.serving.operations.tensorflow_metrics import TensorflowMetrics
from mainstay.serving.operations.tls import Tls
from mainstay.serving.operations.tracing import Tracing
from mainstay.serving.rest.interface import PathInterface

if TYPE_CHECKING:
    from mainstay.serving.models.fleet import VersionEvent
    from mainstay.serving.options import ServerOptions


class Operations:
    """What those who run a server need of it.

    Args:
        engine: The server's engine; its gates and observers are set.
        options: The server's options.
        connections: By protocol, what counts the open connections.

    Raises:
        StorageError: A file cannot be read, or a log not be written.
        FormatError: A file is nothing of the kind.
        SetupError: The certificates cannot be used.

    Attributes:
        tls: What listeners encrypt with; None where they do not.
        loads: To be told of reloads and warm-ups.
        gather: Collects Mainstay's metrics; with several processes, replaced by what asks all of them.
        gather_as_tensorflow: The same of TF Serving's.
    """

    def __init__(self, engine: Engine, options: ServerOptions, connections: Mapping[str, Callable[[], int]]) -> None:
        telemetry = options.telemetry
        self._engine = engine
        self._options = options
        self.tls = None if options.tls is None else Tls(options.tls)
        self._access = None if options.access is None else AccessGate(options.access)
        self._rates = None if options.rates is None else RateGate(options.rates, engine)
        self._tracing = None if telemetry.traces is None else Tracing(telemetry.traces)
        self._access_log = (
            None
            if telemetry.access_log is None
            else AccessLog(telemetry.access_log, sample=telemetry.access_log_sample)
        )
        self._calls = CallMetrics(engine) if telemetry.metrics_path is not None else None
        self._tensorflow = TensorflowMetrics(engine) if telemetry.tensorflow_metrics_path is not None else None
        self._request_log: RequestLog | None = None
        self.loads = LoadMetrics()
        self._process = ProcessMetrics()
        self._server = ServerMetrics(engine, connections, self._dropped)
        self.gather: Gather = lambda done: done(self.collect())
        self.gather_as_tensorflow: Gather = lambda done: done(self.collect_as_tensorflow())
        gates: tuple[Gate | None, ...] = (self._access, self._rates)
        engine.gates += tuple(gate for gate in gates if gate is not None)
        observers: tuple[Observer | None, ...] = (self._tracing, self._calls, self._tensorflow, self._access_log)
        engine.observers += tuple(observer for observer in observers if observer is not None)

    @property
    def pages(self) -> tuple[PathInterface, ...]:
        """What answers beside the models."""
        telemetry, engine = self._options.telemetry, self._engine
        pages: list[PathInterface] = [HealthPages(engine)]
        if telemetry.metrics_path is not None:
            pages.append(MetricsPage(engine, telemetry.metrics_path, lambda done: self.gather(done)))
        if telemetry.tensorflow_metrics_path is not None:
            path = telemetry.tensorflow_metrics_path
            pages.append(MetricsPage(engine, path, lambda done: self.gather_as_tensorflow(done), classic=True))
        return tuple(pages)

    @property
    def switched_on(self) -> list[str]:
        """What is on, for people."""
        telemetry, tls = self._options.telemetry, self._options.tls
        named = {
            "TLS": self.tls,
            "verified clients": tls if tls is not None and self.tls is not None and self.tls.verifies else None,
            "access control": self._access,
            "rate limits": self._rates,
            f"metrics at {telemetry.metrics_path}": self._calls,
            f"TF Serving's metrics at {telemetry.tensorflow_metrics_path}": self._tensorflow,
            f"an access log in {telemetry.access_log}": self._access_log,
            f"traces to {telemetry.traces.endpoint if telemetry.traces else ''}": self._tracing,
            "a request log": self._request_log,
        }
        return [name for name, there in named.items() if there is not None]

    def _dropped(self) -> dict[str, int]:
        """Return by kind of log how many entries were lost."""
        counts = {}
        if self._access_log is not None:
            counts["access log"] = self._access_log.dropped
        if self._tracing is not None:
            counts["traces"] = self._tracing.exporter.dropped
        if self._request_log is not None:
            counts["request log"] = self._request_log.dropped
        return counts

    def configure(self, config: FleetConfig) -> None:
        """Follow the models' configuration: which of them are logged.

        Raises:
            ArgumentError: A rule of the request log cannot be followed; nothing has changed then.
            SetupError: The folder of its files cannot be written to.
        """
        rules = {model.name: model.logging for model in config.models if model.logging is not None}
        for model, rule in rules.items():
            check_rule(model, rule)
        if rules and self._request_log is None:
            self._request_log = RequestLog(self._options.telemetry.request_log)
            self._engine.observers += (self._request_log,)
        if self._request_log is not None:
            self._request_log.configure(rules)

    def watch(self, event: VersionEvent) -> None:
        """Take note of a version that has changed its state."""
        if event.state is State.AVAILABLE:
            self.loads.loaded(event.name, event.version, event.seconds)
            self._engine.loop.call_soon(self._note_warm_up, event)  # it is published at once, but not before this
        elif event.state is State.END and event.code.value:
            self.loads.loaded(event.name, event.version, event.seconds, event.code)
        elif event.state is State.END:
            self.loads.unloaded(event.name, event.version)

    def _note_warm_up(self, event: VersionEvent) -> None:
        servable = self._engine.snapshot.servables.get(event.name, {}).get(event.version)
        if servable is not None and servable.warm_up is not None:
            path, seconds, records = servable.warm_up
            self.loads.warmed_up(path, seconds, records=records)

    def tick(self) -> None:
        """Do what is due about once a second: look whether files have changed."""
        if self.tls is not None:
            self.tls.poll()
        if self._access is not None:
            self._access.poll()

    def reopen(self) -> None:
        """Open log files anew, and read certificates and the access file again."""
        if self._access_log is not None:
            self._access_log.reopen()
        if self.tls is not None:
            self.tls.reload()
        if self._access is not None:
            self._access.reload()

    def collect(self) -> Metrics:
        """Return Mainstay's metrics of this process."""
        metrics = Metrics()
        if self._calls is not None:
            self._calls.collect(metrics)
        self._server.collect(metrics)
        self.loads.collect(metrics)
        self._process.collect(metrics)
        return metrics

    def collect_as_tensorflow(self) -> Metrics:
        """Return TF Serving's metrics of this process."""
        metrics = Metrics()
        if self._tensorflow is not None:
            self._tensorflow.collect(metrics)
        self.loads.collect_as_tensorflow(metrics)
        if self._request_log is not None:
            self._request_log.collect_as_tensorflow(metrics)
        return metrics

    def close(self, seconds: float) -> None:
        """Write and send what waits, or give up after about `seconds`; called off the event loop."""
        for part in (self._access_log, self._request_log, self._tracing):
            if part is not None:
                part.close(seconds)
