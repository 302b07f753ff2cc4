"""What is measured and logged: the telemetry group of the server's options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mainstay.core import ArgumentError
from mainstay.serving.operations.monitoring_config import is_page_path
from mainstay.serving.operations.request_log import RequestLogOptions
from mainstay.serving.operations.trace_options import TraceOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryOptions:
    """What the server measures and logs.

    Args:
        metrics_path: Where Mainstay's metrics are served; None for nowhere.
        tensorflow_metrics_path: Where TF Serving's are served; None for nowhere.
        access_log: The file of the access log, or ``stderr``; None for none.
        access_log_sample: The share of successful requests that it has, 0 to 1; failed ones are always there.
        traces: Where traces go; None for none.
        request_log: How the files of the request log grow.

    Raises:
        ArgumentError: An option is wrong.
    """

    metrics_path: str | None = "/metrics"
    tensorflow_metrics_path: str | None = None
    access_log: str | Path | None = None
    access_log_sample: float = 1.0
    traces: TraceOptions | None = None
    request_log: RequestLogOptions = field(default_factory=RequestLogOptions)

    def __post_init__(self) -> None:
        for name in ("metrics_path", "tensorflow_metrics_path"):
            path = getattr(self, name)
            if path is not None and not is_page_path(path):
                raise ArgumentError("metrics cannot be served there", where=name, expected="/metrics", received=path)
        if self.metrics_path is not None and self.metrics_path == self.tensorflow_metrics_path:
            raise ArgumentError("one path cannot serve both kinds of metrics", received=self.metrics_path)
        if not 0 <= self.access_log_sample <= 1:
            raise ArgumentError(
                "the share of requests is out of range",
                where="access_log_sample",
                expected="0 to 1",
                received=self.access_log_sample,
            )
        if self.access_log is not None and not str(self.access_log):
            raise ArgumentError("the access log needs a file", expected="a path, or stderr")
