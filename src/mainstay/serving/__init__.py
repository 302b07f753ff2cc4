"""The model server, TF Serving's REST and gRPC interfaces on one event loop; a client of it, and load for it."""

from mainstay.serving.batching.options import BatchingOptions
from mainstay.serving.batching.parameters import options_with_flags as batching_of_flags
from mainstay.serving.client.client import Client
from mainstay.serving.client.retries import Retries
from mainstay.serving.contract import ServedModel, ServedSignature
from mainstay.serving.http2.options import GrpcOptions
from mainstay.serving.load.benchmark import LoadRequest, bench_server
from mainstay.serving.load.plot import plot_svg
from mainstay.serving.load.results import StepResult
from mainstay.serving.load.schedule import LoadStep
from mainstay.serving.models.options import VersionOptions
from mainstay.serving.operations.access import AccessOptions
from mainstay.serving.operations.monitoring_config import read_monitoring_config
from mainstay.serving.operations.options import TelemetryOptions
from mainstay.serving.operations.rates import Rate, RateOptions
from mainstay.serving.operations.request_log import RequestLogOptions
from mainstay.serving.operations.server_log import JsonFormatter
from mainstay.serving.operations.tls import TlsOptions
from mainstay.serving.operations.tokens import new_token
from mainstay.serving.operations.trace_options import TraceOptions, traces_from_environment
from mainstay.serving.options import ServerOptions
from mainstay.serving.processes.cpus import parse_cpus
from mainstay.serving.processes.launch import serve_workers
from mainstay.serving.processes.seat import WorkerSeat, settle_on, take_seat
from mainstay.serving.processes.supervisor import SupervisorOptions
from mainstay.serving.rest.options import RestOptions
from mainstay.serving.running import serve
from mainstay.serving.server import ModelServer
from mainstay.serving.traffic.config import ModelTraffic, Shadow, Tolerance, TrafficConfig, read_traffic
from mainstay.serving.traffic.router import TrafficRouter

__all__ = [
    "AccessOptions",
    "BatchingOptions",
    "Client",
    "GrpcOptions",
    "JsonFormatter",
    "LoadRequest",
    "LoadStep",
    "ModelServer",
    "ModelTraffic",
    "Rate",
    "RateOptions",
    "RequestLogOptions",
    "RestOptions",
    "Retries",
    "ServedModel",
    "ServedSignature",
    "ServerOptions",
    "Shadow",
    "StepResult",
    "SupervisorOptions",
    "TelemetryOptions",
    "TlsOptions",
    "Tolerance",
    "TraceOptions",
    "TrafficConfig",
    "TrafficRouter",
    "VersionOptions",
    "WorkerSeat",
    "batching_of_flags",
    "bench_server",
    "new_token",
    "parse_cpus",
    "plot_svg",
    "read_monitoring_config",
    "read_traffic",
    "serve",
    "serve_workers",
    "settle_on",
    "take_seat",
    "traces_from_environment",
]
