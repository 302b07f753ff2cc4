"""The options of `mainstay serve`: those of TensorFlow Serving under their own names, and Mainstay's, in groups.

Every option can be written with hyphens or with underscores. What TensorFlow Serving knows and Mainstay has no use for
is taken and said to be ignored, so that a command line can be carried over as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mainstay import __version__

_TRUE, _FALSE = ("true", "1", "t", "yes", "y"), ("false", "0", "f", "no", "n")

IGNORED: dict[str, str] = {
    "rest_api_num_threads": "one event loop answers all connections",
    "grpc_max_threads": "one event loop answers all connections",
    "tensorflow_inter_op_parallelism": "a model is one program, which has nothing to run side by side",
    "tensorflow_session_config_file": "there is no TensorFlow session",
    "per_process_gpu_memory_fraction": "JAX reserves GPU memory; set XLA_PYTHON_CLIENT_MEM_FRACTION",
    "flush_filesystem_caches": "files of models are mapped, and the operating system takes them back by itself",
    "remove_unused_fields_from_bundle_metagraph": "nothing of a graph is kept that is not used",
    "enable_profiler": "there is no profiler service",
    "use_alts_credentials": "ALTS is for Google's own network; use --tls-certificate",
    "platform_config_file": "a version's files say themselves what loads them",
    "prefer_tflite_model": "TensorFlow Lite models are not served",
    "num_tflite_pools": "TensorFlow Lite models are not served",
    "num_tflite_interpreters_per_pool": "TensorFlow Lite models are not served",
    "xla_cpu_compilation_enabled": "every model is compiled by XLA",
    "xla_gpu_compilation_enabled": "every model is compiled by XLA",
    "thread_pool_factory_config_file": "use --threads and --cpus",
    "mixed_precision": "a model computes in the precision that it was saved with",
    "skip_initialize_tpu": "JAX initialises the devices that there are",
}
"""The options of TensorFlow Serving that change nothing here, and why."""


class GroupedHelp(argparse.HelpFormatter):
    """Shows each option under one spelling, and leaves a line between its groups as they are."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=110)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return super()._format_action_invocation(action)
        names = [name for name in action.option_strings if "_" not in name]
        value = self._format_args(action, action.dest.upper()) if action.nargs != 0 else ""
        return f"{', '.join(names)} {value}".rstrip()

    def _format_usage(self, usage: str | None, actions: Iterable[argparse.Action], groups: Any, prefix: Any) -> str:
        return "usage: mainstay serve --model NAME=PATH [options]\n\n"


class _Group:
    """A group of options, each of which is added under both of its spellings."""

    def __init__(self, parser: argparse.ArgumentParser, title: str, description: str | None = None) -> None:
        self._group = parser.add_argument_group(title, description)

    def add(self, *names: str, **keys: Any) -> None:
        spellings = [
            spelling for name in names for spelling in dict.fromkeys((name, "--" + name[2:].replace("-", "_")))
        ]
        self._group.add_argument(*spellings, **keys)

    def flag(self, *names: str, default: bool | None = None, help: str) -> None:  # noqa: A002
        """Add an option that can be given alone, or as in ``--enable_batching=false``."""
        self.add(*names, nargs="?", const=True, default=default, type=_truth, metavar="BOOL", help=help)


def add_serving_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of `mainstay serve` but those of trust."""
    parser.add_argument("--version", action="version", version=f"mainstay {__version__}", help=argparse.SUPPRESS)
    _add_models(parser)
    _add_addresses(parser)
    _add_batching(parser)
    _add_processes(parser)
    _add_security(parser)
    _add_operations(parser)
    _add_ignored(parser)


def _add_models(parser: argparse.ArgumentParser) -> None:
    group = _Group(parser, "models and their versions")
    group.add("--model", action="append", default=[], metavar="NAME=PATH", help="a model under a name (repeat)")
    group.add("--model-base-path", type=Path, metavar="PATH", help="the folder of the only model")
    group.add("--model-name", default="default", metavar="NAME", help="its name (default: default)")
    group.add("--model-config-file", type=Path, metavar="FILE", help="the models, as a ModelServerConfig in text form")
    group.add(
        "--model-config-file-poll-wait-seconds",
        type=_count,
        default=0,
        metavar="SECONDS",
        help="how often that file is read again; 0 reads it once (default)",
    )
    group.add(
        "--file-system-poll-wait-seconds",
        type=_seconds_or_never,
        default=1.0,
        metavar="SECONDS",
        help="how often folders are looked at for new versions; 0 only at the start (default 1)",
    )
    group.add(
        "--version-transition",
        choices=("availability", "resources"),
        default="availability",
        help="what comes first: the new version is loaded, or the old one unloaded (default availability)",
    )
    group.flag(
        "--allow-version-labels-for-unavailable-models",
        default=False,
        help="let a new label point to a version that is not loaded",
    )
    group.flag("--allow-missing-models", default=False, help="start even where a model has no version that loads")
    group.add("--max-num-load-retries", type=_count, default=5, metavar="N", help="how often loading is retried (5)")
    group.add(
        "--load-retry-interval-micros",
        type=int,
        default=60_000_000,
        metavar="MICROS",
        help="how long to wait before that (default 60000000)",
    )
    group.add("--num-load-threads", type=_count, default=1, metavar="N", help="how many versions load at a time (1)")
    group.add("--num-unload-threads", type=_count, default=1, metavar="N", help="how many unload at a time (1)")
    group.add(
        "--total-model-memory-limit-bytes", type=_positive, metavar="BYTES", help="what all versions may need together"
    )
    group.add("--saved-model-tags", default="", metavar="TAGS", help="which graph of a TensorFlow model, by its tags")
    group.flag("--enable-model-warmup", default=True, help="run a version's warm-up requests before it answers (true)")
    group.add(
        "--num-request-iterations-for-warmup", type=int, default=0, metavar="N", help="how often each is run (once)"
    )
    group.add(
        "--compile-apart",
        choices=("auto", "always", "never"),
        default="auto",
        help="compile new versions in a process of low priority (default auto)",
    )


def _add_addresses(parser: argparse.ArgumentParser) -> None:
    group = _Group(parser, "addresses and connections")
    group.add("--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1)")
    group.add("--rest-port", type=_port, metavar="PORT", help="the port for HTTP; 0 takes a free one (default 8501)")
    group.add("--rest-api-port", type=_port, metavar="PORT", help="the same, but 0 is for no HTTP")
    group.add("--grpc-port", type=_port, metavar="PORT", help="the port for gRPC; 0 takes a free one (default 8500)")
    group.add("--port", type=_port, metavar="PORT", help="the same, but 0 is for no gRPC")
    group.add("--unix-socket", type=Path, metavar="PATH", help="a UNIX socket for HTTP")
    group.add("--grpc-socket-path", "--grpc-unix-socket", type=Path, metavar="PATH", help="a UNIX socket for gRPC")
    group.add("--unix-socket-mode", type=_mode, default=0o660, metavar="MODE", help="their permissions (default 660)")
    group.add(
        "--rest-api-timeout-in-ms", type=_positive, default=30_000, metavar="MS", help="how long a request may take"
    )
    group.flag("--rest-api-enable-cors-support", default=False, help="let browsers ask from other sites")
    group.flag("--enable-grpc-healthcheck-service", default=True, help="answer gRPC health checks (true)")
    group.flag("--enable-grpc-reflection", default=True, help="tell gRPC clients the services that there are (true)")
    group.flag(
        "--enable-serialization-as-tensor-content",
        default=False,
        help="answer Predict over gRPC with tensor_content in place of the typed fields",
    )
    group.flag(
        "--enable-signature-method-name-check",
        default=False,
        help="let Classify and Regress call signatures of their own method names only",
    )
    group.add(
        "--grpc-channel-arguments",
        metavar="LIST",
        help="of gRPC's: max_concurrent_streams, max_receive_message_length, keepalive_time_ms, max_connection_age_ms",
    )
    group.add("--max-body-bytes", type=_positive, metavar="BYTES", help="the largest request over HTTP (268435456)")
    group.add("--read-timeout-seconds", type=_seconds, metavar="SECONDS", help="how long a client may be slow (30)")
    group.add("--idle-timeout-seconds", type=_seconds, metavar="SECONDS", help="how long it may be quiet (120)")
    group.add("--drain-timeout-seconds", type=_seconds, metavar="SECONDS", help="how long stopping may take (30)")
    group.add(
        "--shutdown-delay-seconds",
        type=_seconds,
        metavar="SECONDS",
        help="how long to go on, no longer ready, before stopping (0)",
    )


def _add_batching(parser: argparse.ArgumentParser) -> None:
    group = _Group(
        parser, "batches", "Requests that arrive while a model is busy run together; none waits for a timer."
    )
    group.flag("--enable-batching", help="false runs each request alone (default true)")
    group.add("--batching-parameters-file", type=Path, metavar="FILE", help="BatchingParameters in text form")
    group.flag(
        "--enable-per-model-batching-parameters",
        default=False,
        help="let a version's batching_params.pbtxt count instead",
    )
    group.add("--max-batch-size", type=_positive, metavar="ROWS", help="the most rows in one execution (128)")
    group.add(
        "--execution", choices=("auto", "inline", "thread"), help="where models run: by their cost, or always there"
    )


def _add_processes(parser: argparse.ArgumentParser) -> None:
    group = _Group(parser, "processes and CPUs")
    group.add("--workers", type=_positive, default=1, metavar="N", help="how many processes serve (default 1)")
    group.add("--cpus", metavar="LIST", help="the CPUs to stay on, such as 0-3,6; workers share them")
    group.add(
        "--threads",
        "--tensorflow-intra-op-parallelism",
        "--tensorflow-session-parallelism",
        type=_count,
        default=0,
        metavar="N",
        help="how many threads a process computes with; 0 for its share of the CPUs (default)",
    )
    group = _Group(parser, "traffic")
    group.add("--traffic", type=Path, metavar="FILE", help="weights, sticky clients and shadows, as JSON or TOML")


def _add_security(parser: argparse.ArgumentParser) -> None:
    group = _Group(parser, "security and limits")
    group.add("--tls-certificate", type=Path, metavar="FILE.pem", help="serve HTTPS and gRPC over TLS with this")
    group.add("--tls-key", type=Path, metavar="FILE.pem", help="its private key")
    group.add("--tls-client-authority", type=Path, metavar="FILE.pem", help="who vouches for clients' certificates")
    group.flag("--tls-client-verify", default=False, help="take clients with such a certificate only")
    group.add("--tls-client-name", action="append", default=[], metavar="NAME", help="and with this name only (repeat)")
    group.add("--ssl-config-file", type=Path, metavar="FILE", help="the same as an SSLConfig in text form")
    group.add("--access", type=Path, metavar="FILE", help="who may call: tokens and their rights")
    group.flag("--open-health", default=True, help="let anybody ask for health (true)")
    group.flag("--open-metrics", default=False, help="let anybody read the metrics")
    group.add("--rate-per-caller", metavar="N[:BURST]", help="the requests per second that one caller may send")
    group.add("--rate-per-model", metavar="N[:BURST]", help="the requests per second that one model gets")
    group.add(
        "--caller-rate", action="append", default=[], metavar="NAME=N[:BURST]", help="those of one caller (repeat)"
    )
    group.add("--model-rate", action="append", default=[], metavar="NAME=N[:BURST]", help="those of one model (repeat)")
    group.add(
        "--model-max-request-bytes",
        action="append",
        default=[],
        metavar="NAME=BYTES",
        help="the largest request for one model (repeat)",
    )


def _add_operations(parser: argparse.ArgumentParser) -> None:
    group = _Group(parser, "metrics, logs and traces")
    group.add("--metrics-path", default="/metrics", metavar="PATH", help="where metrics are; '' for none (/metrics)")
    group.add("--monitoring-config-file", type=Path, metavar="FILE", help="serve TF Serving's metrics as well")
    group.add("--access-log", metavar="FILE", help="a JSON line for each request, to a file or to stderr")
    group.add("--access-log-sample", type=float, default=1.0, metavar="PART", help="of the successful ones, 0 to 1 (1)")
    group.add("--log-format", choices=("text", "json"), default="text", help="how the server's own log is written")
    group.add("--trace-endpoint", metavar="URL", help="a collector for OTLP, such as http://host:4318/v1/traces")
    group.add("--trace-sample", type=float, metavar="PART", help="the part of requests that is traced, 0 to 1 (1)")
    group.add("--request-log-file-bytes", type=_positive, metavar="BYTES", help="how large its files grow (67108864)")
    group.add("--request-log-file-seconds", type=_seconds, metavar="SECONDS", help="how old they get (3600)")


def _add_ignored(parser: argparse.ArgumentParser) -> None:
    group = _Group(
        parser,
        "taken from TensorFlow Serving and ignored",
        "A line in the log says why: " + ", ".join(f"--{name}" for name in IGNORED) + ".",
    )
    for name in IGNORED:
        group.add(f"--{name.replace('_', '-')}", nargs="?", const="true", help=argparse.SUPPRESS)


def ignored_lines(values: dict[str, Any]) -> list[str]:
    """Return what to log of options that were given and change nothing."""
    return [f"--{name} is ignored: {reason}" for name, reason in IGNORED.items() if values.get(name) is not None]


def _checked(kind: Callable[[str], Any], fits: Callable[[Any], bool], wanted: str) -> Callable[[str], Any]:
    def check(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from None
        if not fits(value):
            raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
        return value

    return check


_count = _checked(int, lambda value: value >= 0, "a whole number from 0")
_positive = _checked(int, lambda value: value >= 1, "a whole number from 1")
_port = _checked(int, lambda value: 0 <= value <= 65535, "a port (0 to 65535)")
_seconds = _checked(float, lambda value: 0 < value < float("inf"), "a number of seconds above 0")
_seconds_or_never = _checked(float, lambda value: abs(value) < float("inf"), "a number of seconds")
_mode = _checked(lambda text: int(text, 8), lambda value: 0 <= value <= 0o777, "permissions such as 660")


def _truth(text: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise argparse.ArgumentTypeError(f"{text!r} is not true or false")
    return text.lower() in _TRUE
