"""From the options of `mainstay serve` to what the server takes, with a message for what does not go together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from mainstay import serving
from mainstay.cli.server import Serving
from mainstay.cli.serving_options import ignored_lines
from mainstay.core import ArgumentError

Values: TypeAlias = Mapping[str, Any]

_CHANNEL_ARGUMENTS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "grpc.max_concurrent_streams": ("max_streams", int),
    "grpc.max_receive_message_length": ("max_message_bytes", int),
    "grpc.keepalive_time_ms": ("keepalive_seconds", lambda text: int(text) / 1000),
    "grpc.max_connection_age_ms": ("max_connection_age_seconds", lambda text: int(text) / 1000),
}


def serving_of(values: Values, *, trust: Any = None, environment: Mapping[str, str] | None = None) -> Serving:
    """Return what the options of a command line ask for.

    Args:
        values: The options by name, as `add_serving_options` has them parsed.
        trust: Whose signature every model must have; None asks for none.
        environment: The variables that OpenTelemetry defines; None takes those of the process.

    Raises:
        ArgumentError: Options contradict each other, or one is out of range.
        StorageError: A file that one names cannot be read.
        FormatError: A file that one names is not what it should be.
    """
    notes: list[str] = ignored_lines(dict(values))
    grpc = _grpc(values, notes)
    telemetry = _telemetry(values, os.environ if environment is None else environment)
    options = serving.ServerOptions(
        host=values["host"],
        rest_port=_port(values, "rest_port", "rest_api_port", 8501),
        grpc_port=_port(values, "grpc_port", "port", 8500),
        unix_socket=values["unix_socket"],
        grpc_unix_socket=values["grpc_socket_path"],
        unix_socket_mode=values["unix_socket_mode"],
        rest=serving.RestOptions(
            request_timeout_seconds=values["rest_api_timeout_in_ms"] / 1000,
            enable_cors=values["rest_api_enable_cors_support"],
            check_method_names=values["enable_signature_method_name_check"],
        ),
        grpc=grpc,
        batching=_batching(values),
        versions=_versions(values),
        traffic=_traffic(values["traffic"]),
        telemetry=telemetry,
        tls=_tls(values),
        access=_access(values),
        rates=_rates(values),
        trust=trust,
        **_given(values, "max_body_bytes", "read_timeout_seconds", "idle_timeout_seconds", "drain_timeout_seconds"),
        **_given(values, "shutdown_delay_seconds"),
    )
    return Serving(
        models=_models(values, notes),
        options=options,
        workers=values["workers"],
        cpus=() if values["cpus"] is None else serving.parse_cpus(values["cpus"]),
        threads=values["threads"],
        notes=tuple(notes),
    )


def _given(values: Values, *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if values[name] is not None}


def _port(values: Values, ours: str, theirs: str, default: int) -> int | None:
    """Return a port: under Mainstay's name 0 is any free one, under TF Serving's it is none."""
    one, other = values[ours], values[theirs]
    if one is not None and other is not None and one != other:
        names = f"--{ours.replace('_', '-')} and --{theirs}"
        raise ArgumentError("two options give one port", where=names, received=f"{one} and {other}")
    if one is not None:
        return int(one)
    if other is not None:
        return int(other) or None
    return default


def _models(values: Values, notes: list[str]) -> dict[str, Path]:
    models: dict[str, Path] = {}
    for text in values["model"]:
        name, path = _named(text, "--model", "NAME=PATH")
        if name in models:
            raise ArgumentError("two models have one name", where="--model", received=name)
        models[name] = Path(path)
    base = values["model_base_path"]
    if values["model_config_file"] is not None:
        if models:
            raise ArgumentError(
                "models are named twice",
                where="--model and --model_config_file",
                fix="put all of them into the file, or leave it out",
            )
        if base is not None:
            notes.append("--model_base_path is ignored: --model_config_file names the models")
        return {}
    if base is not None:
        if values["model_name"] in models:
            raise ArgumentError("two models have one name", where="--model_name", received=values["model_name"])
        models[values["model_name"]] = base
    if not models:
        raise ArgumentError(
            "there is no model to serve", fix="give --model NAME=PATH, --model_base_path or --model_config_file"
        )
    return models


def _named(text: str, option: str, expected: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (separator and name and value):
        what = "not a named model" if option == "--model" else "a name or a value is missing"
        raise ArgumentError(what, where=option, expected=expected, received=text)
    return name, value


def _versions(values: Values) -> Any:
    tags = tuple(tag.strip() for tag in values["saved_model_tags"].split(",") if tag.strip())
    iterations = values["num_request_iterations_for_warmup"]
    return serving.VersionOptions(
        poll_seconds=max(values["file_system_poll_wait_seconds"], 0.0),
        config_file=values["model_config_file"],
        config_poll_seconds=values["model_config_file_poll_wait_seconds"],
        max_load_retries=values["max_num_load_retries"],
        load_retry_seconds=max(values["load_retry_interval_micros"] / 1e6, 0.0),
        # TF Serving's 0 is the loop that looks for versions; here it is a thread of its own either way.
        load_threads=max(values["num_load_threads"], 1),
        unload_threads=max(values["num_unload_threads"], 1),
        transition=values["version_transition"],
        memory_limit_bytes=values["total_model_memory_limit_bytes"],
        labels_for_unavailable=values["allow_version_labels_for_unavailable_models"],
        require_all=not values["allow_missing_models"],
        warm_up=values["enable_model_warmup"],
        warm_up_iterations=max(iterations, 1),
        compile_apart=values["compile_apart"],
        saved_model_tags=tags,
    )


def _batching(values: Values) -> Any:
    found = serving.batching_of_flags(
        serving.BatchingOptions(),
        enable_batching=values["enable_batching"],
        parameters_file=values["batching_parameters_file"],
        per_model_parameters=values["enable_per_model_batching_parameters"],
    )
    return replace(found, **_given(values, "max_batch_size", "execution"))


def _grpc(values: Values, notes: list[str]) -> Any:
    known: dict[str, Any] = {}
    text = values["grpc_channel_arguments"] or ""
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, value = _named(item, "--grpc_channel_arguments", "name=value, such as grpc.max_connection_age_ms=2000")
        if name not in _CHANNEL_ARGUMENTS:
            notes.append(f"--grpc_channel_arguments {name} is ignored: the gRPC transport is Mainstay's own")
            continue
        field, read = _CHANNEL_ARGUMENTS[name]
        try:
            known[field] = read(value)
        except ValueError:
            raise ArgumentError("not a number", where=f"--grpc_channel_arguments {name}", received=value) from None
    return serving.GrpcOptions(
        tensor_content=values["enable_serialization_as_tensor_content"],
        health=values["enable_grpc_healthcheck_service"],
        reflection=values["enable_grpc_reflection"],
        **known,
    )


def _traffic(path: Path | None) -> Path | None:
    if path is not None:
        serving.read_traffic(path)  # what is wrong with it is said before anything is loaded
    return path


def _tls(values: Values) -> Any:
    given = {
        "certificate": values["tls_certificate"],
        "key": values["tls_key"],
        "client_authority": values["tls_client_authority"],
        "client_verify": values["tls_client_verify"],
        "client_names": tuple(values["tls_client_name"]),
        "ssl_config": values["ssl_config_file"],
    }
    return serving.TlsOptions(**given) if any(given.values()) else None


def _access(values: Values) -> Any:
    if values["access"] is None:
        return None
    return serving.AccessOptions(
        file=values["access"], open_health=values["open_health"], open_metrics=values["open_metrics"]
    )


def _rates(values: Values) -> Any:
    def by_name(option: str) -> dict[str, Any]:
        flag = f"--{option.replace('_', '-')}"
        pairs = [_named(text, flag, "NAME=N or NAME=N:BURST") for text in values[option]]
        return {name: _rate(text, flag) for name, text in pairs}

    sizes = {}
    for text in values["model_max_request_bytes"]:
        name, size = _named(text, "--model-max-request-bytes", "NAME=BYTES")
        if not (size.isascii() and size.isdigit()):
            raise ArgumentError("not a number of bytes", where="--model-max-request-bytes", received=text)
        sizes[name] = int(size)
    given = {
        "per_caller": _rate(values["rate_per_caller"], "--rate-per-caller"),
        "per_model": _rate(values["rate_per_model"], "--rate-per-model"),
        "callers": by_name("caller_rate"),
        "models": by_name("model_rate"),
        "max_request_bytes": sizes,
    }
    return serving.RateOptions(**given) if any(given.values()) else None


def _rate(text: str | None, option: str) -> Any:
    """Return a rate such as ``100`` or ``100:500``; ``none`` lifts the limit."""
    if text is None or text == "none":
        return None
    rate, _, burst = text.partition(":")
    try:
        numbers = float(rate), float(burst) if burst else None
    except ValueError:
        expected = "N or N:BURST, such as 100:500"
        raise ArgumentError("not a rate", where=option, expected=expected, received=text) from None
    return serving.Rate(*numbers)


def _telemetry(values: Values, environment: Mapping[str, str]) -> Any:
    sizes = {
        "file_bytes": values["request_log_file_bytes"],
        "file_seconds": values["request_log_file_seconds"],
    }
    monitoring = values["monitoring_config_file"]
    return serving.TelemetryOptions(
        metrics_path=values["metrics_path"] or None,
        tensorflow_metrics_path=None if monitoring is None else serving.read_monitoring_config(monitoring),
        access_log=values["access_log"],
        access_log_sample=values["access_log_sample"],
        traces=_traces(values, environment),
        request_log=serving.RequestLogOptions(**{name: size for name, size in sizes.items() if size is not None}),
    )


def _traces(values: Values, environment: Mapping[str, str]) -> Any:
    endpoint, part = values["trace_endpoint"], values["trace_sample"]
    found = serving.traces_from_environment(environment)
    if endpoint is not None:
        found = serving.TraceOptions(endpoint=endpoint) if found is None else replace(found, endpoint=endpoint)
    if part is not None:
        if found is None:
            raise ArgumentError("traces have no collector", where="--trace-sample", fix="give --trace-endpoint")
        found = replace(found, sampler="parentbased_traceidratio", ratio=part)
    return found
