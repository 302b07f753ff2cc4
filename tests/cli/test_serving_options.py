"""The options of `mainstay serve`: TensorFlow Serving's, Mainstay's, and what is said of wrong ones."""

import argparse
import json
from pathlib import Path

import pytest

from mainstay import cli, serving
from mainstay.cli.serving_options import IGNORED, GroupedHelp, add_serving_options
from mainstay.cli.serving_settings import serving_of
from mainstay.core import ArgumentError, MainstayError, StorageError

MODEL = ("--model", "m=/models/m")

# Every flag of TensorFlow Serving's main.cc, apart from --version, with a value that it takes.
TENSORFLOW_FLAGS = {
    "port": "8500",
    "grpc_socket_path": "/run/grpc.sock",
    "rest_api_port": "8501",
    "rest_api_num_threads": "16",
    "rest_api_timeout_in_ms": "30000",
    "rest_api_enable_cors_support": "true",
    "enable_batching": "true",
    "allow_version_labels_for_unavailable_models": "true",
    "batching_parameters_file": "FILE",
    "enable_per_model_batching_parameters": "true",
    "model_config_file": "FILE",
    "model_config_file_poll_wait_seconds": "0",
    "model_name": "m",
    "model_base_path": "/models/m",
    "num_load_threads": "0",
    "num_unload_threads": "0",
    "max_num_load_retries": "5",
    "load_retry_interval_micros": "60000000",
    "file_system_poll_wait_seconds": "1",
    "flush_filesystem_caches": "true",
    "tensorflow_session_parallelism": "0",
    "tensorflow_session_config_file": "FILE",
    "tensorflow_intra_op_parallelism": "0",
    "tensorflow_inter_op_parallelism": "0",
    "use_alts_credentials": "false",
    "ssl_config_file": "FILE",
    "platform_config_file": "FILE",
    "per_process_gpu_memory_fraction": "0.5",
    "saved_model_tags": "serve",
    "grpc_channel_arguments": "grpc.max_connection_age_ms=2000",
    "grpc_max_threads": "4",
    "enable_model_warmup": "true",
    "num_request_iterations_for_warmup": "1",
    "monitoring_config_file": "FILE",
    "remove_unused_fields_from_bundle_metagraph": "true",
    "prefer_tflite_model": "false",
    "num_tflite_pools": "1",
    "num_tflite_interpreters_per_pool": "1",
    "enable_signature_method_name_check": "true",
    "xla_cpu_compilation_enabled": "true",
    "xla_gpu_compilation_enabled": "true",
    "enable_profiler": "true",
    "thread_pool_factory_config_file": "FILE",
    "mixed_precision": "bfloat16",
    "skip_initialize_tpu": "true",
    "enable_grpc_healthcheck_service": "true",
    "enable_serialization_as_tensor_content": "true",
}


def parser():
    made = argparse.ArgumentParser(prog="mainstay serve", formatter_class=GroupedHelp, allow_abbrev=False)
    add_serving_options(made)
    return made


def values(*words):
    return vars(parser().parse_args(words))


def asked(*words, environment=None):
    return serving_of(values(*words), environment=environment or {})


def options(*words, **keys):
    return asked(*MODEL, *words, **keys).options


@pytest.mark.parametrize("name", TENSORFLOW_FLAGS)
@pytest.mark.parametrize("spelled", ["--{} {}", "--{}={}"])
def test_every_flag_of_tensorflow_serving_is_taken_in_both_spellings(name, spelled):
    for spelling in (name, name.replace("_", "-")):
        words = spelled.format(spelling, TENSORFLOW_FLAGS[name]).split(" ")
        assert vars(parser().parse_args(words)) == vars(parser().parse_args([f"--{name}", TENSORFLOW_FLAGS[name]]))


def test_every_ignored_flag_says_why():
    for name, reason in IGNORED.items():
        assert asked(*MODEL, f"--{name}=1").notes == (f"--{name} is ignored: {reason}",)
    assert asked(*MODEL).notes == ()
    assert set(IGNORED) <= set(TENSORFLOW_FLAGS)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], True),
        (["--enable_batching"], True),
        (["--enable_batching=true"], True),
        (["--enable_batching=1"], True),
        (["--enable-batching", "False"], False),
        (["--enable_batching=0"], False),
    ],
)
def test_a_flag_is_true_alone_and_takes_a_truth_value(words, expected):
    assert options(*words).batching.enabled is expected


def test_without_options_it_is_the_servers_own_defaults():
    assert options() == serving.ServerOptions()


def test_models_are_named_in_three_ways(tmp_path):
    assert asked("--model", "a=/x", "--model", "b=/y=z").models == {"a": Path("/x"), "b": Path("/y=z")}
    assert asked("--model_base_path=/x").models == {"default": Path("/x")}
    assert asked("--model_base_path=/x", "--model_name=m", *("--model", "a=/y")).models == {
        "a": Path("/y"),
        "m": Path("/x"),
    }
    found = asked("--model_config_file=/models.config", "--model_base_path=/x")
    assert found.models == {}
    assert found.options.versions.config_file == Path("/models.config")
    assert found.notes == ("--model_base_path is ignored: --model_config_file names the models",)


@pytest.mark.parametrize(
    ("words", "rest", "grpc"),
    [
        ([], 8501, 8500),
        (["--rest_api_port=9000", "--port=9001"], 9000, 9001),
        (["--rest_api_port=0"], None, 8500),
        (["--port=0"], 8501, None),
        (["--rest-port=0", "--grpc-port=0"], 0, 0),
        (["--rest-port=9000", "--rest_api_port=9000"], 9000, 8500),
    ],
)
def test_a_port_of_0_is_any_free_one_here_and_none_under_tensorflow_servings_names(words, rest, grpc):
    found = options(*words)
    assert (found.rest_port, found.grpc_port) == (rest, grpc)


def test_options_reach_the_groups_that_they_belong_to():
    found = options(
        *("--file_system_poll_wait_seconds=5", "--load_retry_interval_micros=2500000", "--num_load_threads=0"),
        *("--max_num_load_retries=2", "--total_model_memory_limit_bytes=1000", "--saved_model_tags=serve, gpu"),
        *("--enable_model_warmup=false", "--num_request_iterations_for_warmup=3", "--version-transition=resources"),
        *("--rest_api_timeout_in_ms=1500", "--rest_api_enable_cors_support", "--enable_signature_method_name_check"),
        *("--enable_serialization_as_tensor_content", "--enable_grpc_healthcheck_service=false"),
        *("--max-batch-size=32", "--execution=thread", "--unix-socket=/run/m", "--grpc_socket_path=/run/g"),
        *("--unix-socket-mode=600", "--drain-timeout-seconds=3", "--max-body-bytes=1000", "--metrics-path="),
    )
    versions = found.versions
    assert (versions.poll_seconds, versions.load_retry_seconds, versions.load_threads) == (5.0, 2.5, 1)
    assert (versions.max_load_retries, versions.memory_limit_bytes) == (2, 1000)
    assert (versions.saved_model_tags, versions.warm_up, versions.warm_up_iterations) == (("serve", "gpu"), False, 3)
    assert versions.transition == "resources"
    assert found.rest == serving.RestOptions(request_timeout_seconds=1.5, enable_cors=True, check_method_names=True)
    assert found.grpc == serving.GrpcOptions(tensor_content=True, health=False)
    assert (found.batching.max_batch_size, found.batching.execution) == (32, "thread")
    assert (found.unix_socket, found.grpc_unix_socket, found.unix_socket_mode) == (
        Path("/run/m"),
        Path("/run/g"),
        0o600,
    )
    assert (found.drain_timeout_seconds, found.max_body_bytes, found.telemetry.metrics_path) == (3.0, 1000, None)


def test_negative_waits_of_tensorflow_serving_are_no_waits():
    found = options("--file_system_poll_wait_seconds=-1", "--load_retry_interval_micros=-1").versions
    assert (found.poll_seconds, found.load_retry_seconds) == (0.0, 0.0)


def test_channel_arguments_that_mean_something_here_count_and_others_are_said_to_be_ignored():
    text = "grpc.max_connection_age_ms=2000,grpc.max_concurrent_streams=7, grpc.so_reuseport=0"
    found = asked(*MODEL, "--grpc_channel_arguments", text)
    assert found.options.grpc == serving.GrpcOptions(max_connection_age_seconds=2.0, max_streams=7)
    assert found.notes == (
        "--grpc_channel_arguments grpc.so_reuseport is ignored: the gRPC transport is Mainstay's own",
    )


def test_processes_are_asked_for():
    found = asked(*MODEL, "--workers=3", "--cpus=0-2,5", "--tensorflow_intra_op_parallelism=2")
    assert (found.workers, found.cpus, found.threads) == (3, (0, 1, 2, 5), 2)
    assert asked(*MODEL, "--tensorflow_session_parallelism=4").threads == 4


def test_security_is_asked_for(tmp_path):
    found = options("--tls-certificate=c.pem", "--tls-key=k.pem", "--tls-client-authority=a.pem", "--tls-client-verify")
    assert found.tls == serving.TlsOptions(
        certificate=Path("c.pem"), key=Path("k.pem"), client_authority=Path("a.pem"), client_verify=True
    )
    assert options("--ssl_config_file=ssl.config").tls == serving.TlsOptions(ssl_config=Path("ssl.config"))
    assert options("--access=tokens.json", "--open-health=false").access == serving.AccessOptions(
        file=Path("tokens.json"), open_health=False
    )
    assert options(
        *("--rate-per-caller=10", "--rate-per-model=100:500", "--caller-rate=ci=1", "--caller-rate=ops=none"),
        *("--model-rate=m=5:9", "--model-max-request-bytes=m=1000"),
    ).rates == serving.RateOptions(
        per_caller=serving.Rate(10.0),
        per_model=serving.Rate(100.0, 500.0),
        callers={"ci": serving.Rate(1.0), "ops": None},
        models={"m": serving.Rate(5.0, 9.0)},
        max_request_bytes={"m": 1000},
    )


def test_operations_are_asked_for(tmp_path):
    monitoring = tmp_path / "monitoring.config"
    monitoring.write_text('prometheus_config { enable: true path: "/monitoring/x" }')
    found = options(
        *("--access-log=stderr", "--access-log-sample=0.5", f"--monitoring_config_file={monitoring}"),
        *("--trace-endpoint=http://c:4318/v1/traces", "--trace-sample=0.1", "--request-log-file-bytes=10"),
    ).telemetry
    assert (found.access_log, found.access_log_sample, found.tensorflow_metrics_path) == (
        "stderr",
        0.5,
        "/monitoring/x",
    )
    assert found.traces == serving.TraceOptions(
        endpoint="http://c:4318/v1/traces", sampler="parentbased_traceidratio", ratio=0.1
    )
    assert found.request_log.file_bytes == 10


def test_traces_follow_the_environment_and_options_come_first():
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://one:4318", "OTEL_SERVICE_NAME": "fares"}
    assert options(environment=environment).telemetry.traces.endpoint == "http://one:4318/v1/traces"
    found = options("--trace-endpoint=http://two:4318/v1/traces", environment=environment).telemetry.traces
    assert (found.endpoint, found.service) == ("http://two:4318/v1/traces", "fares")


@pytest.mark.parametrize(
    ("words", "where", "summary"),
    [
        ([], None, "there is no model to serve"),
        (["--model", "m"], "--model", "not a named model"),
        (["--model", "=x"], "--model", "not a named model"),
        (["--model", "m=/a", "--model", "m=/b"], "--model", "two models have one name"),
        (["--model", "m=/a", "--model_base_path=/b", "--model_name=m"], "--model_name", "two models have one name"),
        (["--model", "m=/a", "--model_config_file=f"], "--model and --model_config_file", "models are named twice"),
        ([*MODEL, "--port=1", "--grpc-port=2"], "--grpc-port and --port", "two options give one port"),
        ([*MODEL, "--port=9", "--rest_api_port=9"], None, "HTTP and gRPC cannot share a port"),
        ([*MODEL, "--port=0", "--rest_api_port=0"], None, "the server would listen to nothing"),
        ([*MODEL, "--cpus=3-1"], None, "a range of CPUs is upside down"),
        ([*MODEL, "--grpc_channel_arguments=x"], "--grpc_channel_arguments", "a name or a value is missing"),
        (
            [*MODEL, "--grpc_channel_arguments=grpc.keepalive_time_ms=x"],
            "--grpc_channel_arguments grpc.keepalive_time_ms",
            "not a number",
        ),
        ([*MODEL, "--rate-per-model=x"], "--rate-per-model", "not a rate"),
        ([*MODEL, "--rate-per-model=0"], "per_second", "a rate is a positive number"),
        ([*MODEL, "--caller-rate=5"], "--caller-rate", "a name or a value is missing"),
        ([*MODEL, "--model-max-request-bytes=m=x"], "--model-max-request-bytes", "not a number of bytes"),
        ([*MODEL, "--trace-sample=1"], "--trace-sample", "traces have no collector"),
        ([*MODEL, "--tls-key=k.pem"], None, "TLS needs a certificate and its key"),
        ([*MODEL, "--metrics-path=x"], "metrics_path", "metrics cannot be served there"),
    ],
)
def test_what_does_not_go_together_is_named(words, where, summary):
    with pytest.raises(ArgumentError) as caught:
        asked(*words)
    assert (caught.value.where, caught.value.summary) == (where, summary)


def test_a_batching_file_wants_the_flag_as_with_tensorflow_serving(tmp_path):
    file = tmp_path / "batching.config"
    file.write_text("max_batch_size { value: 64 }")
    assert options("--enable_batching", f"--batching_parameters_file={file}").batching.max_batch_size == 64
    with pytest.raises(ArgumentError, match=r"without setting server_options\.enable_batching to true"):
        options(f"--batching_parameters_file={file}")


def test_a_wrong_traffic_file_is_refused_before_anything_is_loaded(tmp_path):
    file = tmp_path / "traffic.json"
    with pytest.raises(StorageError):
        options(f"--traffic={file}")
    file.write_text(json.dumps({"models": {"m": {"weights": {"1": -1}}}}))
    with pytest.raises(MainstayError, match="out of range"):
        options(f"--traffic={file}")


@pytest.mark.parametrize(
    "word",
    [
        "--port=65536",
        "--port=x",
        "--enable_batching=maybe",
        "--max_num_load_retries=-1",
        "--workers=0",
        "--unix-socket-mode=999",
        "--unix-socket-mode=1777",
        "--drain-timeout-seconds=nan",
        "--file_system_poll_wait_seconds=inf",
        "--rest_api_timeout_in_ms=0",
        "--execution=fast",
        "--no-such-option",
        "--rest_api",
    ],
)
def test_values_out_of_range_are_refused_with_the_option(word, capsys):
    with pytest.raises(SystemExit) as caught:
        values(word)
    assert caught.value.code == 2
    assert word.partition("=")[0] in capsys.readouterr().err.replace("-", "-")


def test_help_shows_each_option_once_in_groups():
    text = parser().format_help()
    for group in ("models and their versions:", "addresses and connections:", "batches:", "processes and CPUs:"):
        assert group in text
    assert "--rest-api-timeout-in-ms MS" in text
    assert "--rest_api_timeout_in_ms" not in text
    assert all(f"--{name}" in text.replace("\n ", " ") for name in IGNORED)
    assert max(map(len, text.splitlines())) <= 110


def test_several_workers_need_a_command(monkeypatch):
    monkeypatch.delenv("MAINSTAY_WORKER", raising=False)
    what = asked(*MODEL, "--workers=2")
    with pytest.raises(ArgumentError, match="several workers need a command"):
        cli.serve(what)


def test_a_configuration_that_is_wrong_is_told_once_before_any_worker_starts(capsys, tmp_path):
    config = tmp_path / "models.config"
    config.write_text("model_config_list {")
    assert cli.main(["serve", f"--model_config_file={config}", "--workers=2"]) == 2
    assert str(config) in capsys.readouterr().err
