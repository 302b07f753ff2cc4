"""A server with everything on: what it measures, who gets in, and what its probes say."""

import json
import threading

import pytest

from mainstay.core import ArgumentError, StorageError
from mainstay.serving import ServerOptions
from mainstay.serving.models.config import FleetConfig, LoggingRule, ModelConfig
from mainstay.serving.models.fleet import VersionEvent
from mainstay.serving.models.snapshot import Snapshot, State, WarmUp
from mainstay.serving.models.warm_up import warm_up
from mainstay.serving.operations.access import AccessOptions
from mainstay.serving.operations.options import TelemetryOptions
from mainstay.serving.operations.rates import Rate, RateOptions
from mainstay.serving.operations.tokens import new_token
from mainstay.serving.traffic.config import TrafficConfig

TOKEN, DIGEST = new_token()
ROW = {"instances": [{"x": 1.0}, {"x": 2.0}]}
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def access(tmp_path):
    """Write who may call: `access(rights=[...])`."""

    def make(**identity):
        path = tmp_path / "access.json"
        item = {"name": "team", "token_sha256": DIGEST, **identity}
        path.write_text(json.dumps({"version": 1, "identities": [item]}))
        return AccessOptions(file=path)

    return make


def test_predictions_are_measured(start, lint):
    server = start()
    assert server.predict(ROW)[0] == 200
    assert server.predict({"instances": [3.0]}, "/v1/models/x:predict")[0] == 404
    status, body, headers = server.request("GET", "/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    samples = lint(body)
    call = {"model": "m", "version": "1", "signature": "serving_default", "method": "Predict", "protocol": "REST"}
    labels = tuple(sorted({**call, "status": "OK"}.items()))
    assert samples["mainstay_requests_total", labels] == 1
    nobody = {**dict.fromkeys(call, ""), "method": "Predict", "protocol": "REST", "status": "NOT_FOUND"}
    assert samples["mainstay_requests_total", tuple(sorted(nobody.items()))] == 1
    version = (("model", "m"), ("signature", "serving_default"), ("version", "1"))
    assert samples["mainstay_request_rows_total", version] == 2
    assert 0 < samples["mainstay_execute_seconds_sum", version] < 10
    assert 0 < samples["mainstay_request_seconds_sum", tuple(sorted(call.items()))] < 10
    assert samples["mainstay_queued_rows", version] == 0
    state = (("model", "m"), ("state", "AVAILABLE"), ("version", "1"))
    assert samples["mainstay_version_state", state] == 1
    assert samples["mainstay_ready", ()] == 1
    assert samples["mainstay_connections", (("protocol", "REST"),)] == 1
    assert samples["mainstay_loads_total", (("model", "m"), ("status", "OK"))] == 1
    assert samples["mainstay_requests_in_flight", ()] == 1  # the one that asks


def test_warm_ups_are_measured(start, lint):
    server = start(telemetry=TelemetryOptions(tensorflow_metrics_path="/tf"))
    engine, operations = server.server._engine, server.server._operations
    engine.snapshot.servables["m"][1].warm_up = WarmUp("/models/m/1", 0.002, 5)
    server.loop.call_soon_threadsafe(operations.watch, VersionEvent("m", 1, State.AVAILABLE, 2.0))
    records = (":tensorflow:serving:model_warmup_records_read", (("model_path", "/models/m/1"),))
    while records not in (samples := lint(server.request("GET", "/tf")[1])):
        pass
    assert samples[records] == 5
    latency = (("model_path", "/models/m/1"), ("status", "OK"))
    assert samples[":tensorflow:serving:model_warmup_latency_sum", latency] == 2000


def test_a_scraper_may_ask_for_openmetrics(start, lint):
    server = start()
    server.predict(ROW)
    status, body, headers = server.request("GET", "/metrics", headers={"accept": "application/openmetrics-text"})
    assert (status, headers["content-type"].partition(";")[0]) == (200, "application/openmetrics-text")
    lint(body, openmetrics=True)


def test_tf_serving_s_metrics_have_their_own_page(start, lint):
    path = "/monitoring/prometheus/metrics"
    server = start(telemetry=TelemetryOptions(tensorflow_metrics_path=path))
    server.predict(ROW)
    status, body, headers = server.request("GET", path, headers={"accept": "application/openmetrics-text"})
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/plain")
    assert lint(body)[":tensorflow:serving:request_count", (("model_name", "m"), ("status", "OK"))] == 1
    assert b"mainstay_" not in body


def test_pages_that_are_off_are_not_there(start):
    server = start(telemetry=TelemetryOptions(metrics_path=None))
    assert server.request("GET", "/metrics")[0] == 404
    assert server.request("GET", "/monitoring/prometheus/metrics")[0] == 404


def test_pages_are_read_and_not_written(start):
    server = start()
    for path in ("/metrics", "/healthz", "/readyz", "/startupz"):
        status, _, headers = server.request("POST", path, "x")
        assert (status, headers["allow"]) == (405, "GET, HEAD")
        assert server.request("HEAD", path)[:2] == (200, b"")


def test_the_probes_follow_the_server(start):
    server = start()
    for path in ("/healthz", "/readyz", "/startupz"):
        assert server.request("GET", path)[0] == 200
    engine = server.server._engine
    server.loop.call_soon_threadsafe(setattr, engine, "snapshot", Snapshot({}, ready=False))
    status, body, headers = server.request("GET", "/readyz")
    assert (status, json.loads(body)["error"]) == (503, "The server is loading its models")
    assert headers["retry-after"] == "1"
    assert server.request("GET", "/startupz")[0] == 200  # it has been started once
    assert server.request("GET", "/healthz")[0] == 200


def test_the_startup_probe_waits_for_the_models(start):
    server = start()
    engine = server.server._engine
    ready = engine.snapshot
    server.loop.call_soon_threadsafe(setattr, engine, "snapshot", Snapshot({}, ready=False))
    assert server.request("GET", "/startupz")[0] == 503
    server.loop.call_soon_threadsafe(setattr, engine, "snapshot", ready)
    assert server.request("GET", "/startupz")[0] == 200


def test_readiness_tells_where_every_version_stands(start):
    server = start()
    status, body, _ = server.request("GET", "/readyz?verbose")
    assert status == 200
    assert json.loads(body) == {
        "status": "ready",
        "models": {"m": {"available": True, "versions": {"1": {"state": "AVAILABLE"}}}},
    }


def test_a_server_that_leaves_says_so_before_it_stops_to_listen(start):
    server = start(shutdown_delay_seconds=0.5)
    stopping = threading.Thread(target=server.call, args=(server.server.stop(),))
    stopping.start()
    statuses = set()
    while 503 not in statuses:
        statuses.add(server.request("GET", "/readyz")[0])
    assert server.predict(ROW)[0] == 200
    stopping.join()
    with pytest.raises(ConnectionError):
        server.request("GET", "/readyz")


PATHS = [
    ("POST", "/v1/models/m:predict"),
    ("POST", "/v1/models/m/versions/1:predict"),
    ("POST", "/v1/models/m/labels/x:predict"),
    ("POST", "/v1/models/m:classify"),
    ("POST", "/v1/models/m:regress"),
    ("GET", "/v1/models/m"),
    ("GET", "/v1/models/m/versions/1"),
    ("GET", "/v1/models/m/metadata"),
    ("HEAD", "/v1/models/m/metadata"),
    ("GET", "/v1/models/m/openapi.json"),
    ("GET", "/metrics"),
    ("GET", "/monitoring/prometheus/metrics"),
    ("GET", "/readyz?verbose"),
    ("GET", "/readyz?verbose=1"),
    ("GET", "/mainstay/traffic"),
    ("GET", "/v2"),
    ("GET", "/v2/models/m"),
    ("GET", "/v2/models/m/ready"),
    ("GET", "/v2/models/m/versions/1"),
    ("POST", "/v2/models/m/infer"),
    ("POST", "/v2/models/m/versions/1/infer"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_nothing_but_health_is_open_to_strangers(guarded, method, path):
    status, body, headers = guarded.request(method, path, json.dumps(ROW) if method == "POST" else None)
    assert status == 401
    assert headers["www-authenticate"] == 'Bearer realm="mainstay"'
    assert method == "HEAD" or json.loads(body)["error"]
    status = guarded.request(method, path, "x" if method == "POST" else None, {"authorization": "Bearer no"})[0]
    assert status == 401


@pytest.fixture(scope="module")
def module_access(tmp_path_factory):
    path = tmp_path_factory.mktemp("access") / "access.json"
    path.write_text('{"version": 1, "identities": []}')
    return AccessOptions(file=path)


@pytest.fixture
def guarded(start, module_access):
    return start(
        access=module_access,
        traffic=TrafficConfig(),
        telemetry=TelemetryOptions(tensorflow_metrics_path="/monitoring/prometheus/metrics"),
    )


def test_health_is_open_to_load_balancers(guarded):
    for path in ("/healthz", "/readyz", "/startupz", "/v2/health/live", "/v2/health/ready"):
        assert guarded.request("GET", path)[0] == 200
    assert guarded.request("GET", "/nothing/here")[0] == 404


def test_every_grpc_method_is_closed_to_strangers_but_health(guarded):
    grpc = guarded.server._by_protocol["gRPC"].grpc

    class Stranger:
        headers, message, received, deadline, peer, identity = {}, b"", 0.0, None, "1.2.3.4:5", ""
        on_cancel = on_message = None

        def __init__(self, path):
            self.path, self.said = path, None

        def reply(self, *parts):
            self.said = "OK"

        def send(self, message):
            self.said = "OK"

        def finish(self, code, message="", trailers=()):
            self.said = self.said or code.name

    async def ask():
        said = {}
        for path in (*grpc.methods, *grpc.streams):
            stranger = Stranger(path)
            (grpc.open if path in grpc.streaming else grpc.handle)(stranger)
            said[path] = stranger.said
            if stranger.on_cancel:
                stranger.on_cancel()
        return said

    said = guarded.call(ask())
    opened = {path for path, code in said.items() if code == "OK"}
    assert opened == {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady",
    }
    unserved = {path for path in said if path.startswith("/tensorflow.ProfilerService/")}
    assert {code for path, code in said.items() if path not in opened | unserved} == {"UNAUTHENTICATED"}


def test_a_token_opens_what_it_is_for(start, access):
    server = start(access=access(models=["m"], rights=["predict"]))
    status, body, _ = server.request("POST", "/v1/models/m:predict", json.dumps(ROW), BEARER)
    assert (status, json.loads(body)) == (200, {"predictions": [1.0, 2.0]})
    status, body, _ = server.request("GET", "/v1/models/m", headers=BEARER)
    assert (status, json.loads(body)["error"]) == (403, "team may not call GetModelStatus on model m")
    assert server.request("POST", "/v1/models/other:predict", json.dumps(ROW), BEARER)[0] == 403
    assert server.request("GET", "/metrics", headers=BEARER)[0] == 403


def test_a_strangers_requests_are_counted_and_cost_the_model_nothing(start, access, fakes, lint):
    signature = fakes.Signature([fakes.input("x")])
    server = start({"m": fakes.Model(serving_default=signature)}, access=access(rights=["metrics"]))
    before = len(signature.batches)
    assert server.predict(ROW)[0] == 401
    assert len(signature.batches) == before
    samples = lint(server.request("GET", "/metrics", headers=BEARER)[1])
    assert any(("status", "UNAUTHENTICATED") in labels and value == 1 for (_, labels), value in samples.items())


def test_too_many_requests_are_told_when_to_come_back(start):
    server = start(rates=RateOptions(per_model=Rate(0.01)))
    assert server.predict(ROW)[0] == 200
    status, body, headers = server.request("POST", "/v1/models/m:predict", json.dumps(ROW))
    assert status == 429
    assert 90 < int(headers["retry-after"]) <= 100
    assert "Too many requests for model m" in json.loads(body)["error"]


def test_requests_have_lines_in_the_access_log(start, tmp_path):
    path = tmp_path / "access.log"
    server = start(telemetry=TelemetryOptions(access_log=path))
    server.request("POST", "/v1/models/m:predict", json.dumps(ROW), {"x-request-id": "r1"})
    server.predict({"instances": [3]}, "/v1/models/x:predict")
    server.server.reopen()
    assert server.server._operations._access_log.flush()
    good, bad = [json.loads(line) for line in path.read_text().splitlines()]
    assert (good["status"], good["version"], good["request_id"], good["rows"]) == ("OK", 1, "r1", 2)
    assert (bad["status"], bad["model"]) == ("NOT_FOUND", "x")
    assert good["peer"].startswith("127.0.0.1:")


def test_the_last_lines_are_written_before_the_server_ends(start, tmp_path):
    path = tmp_path / "access.log"
    server = start(telemetry=TelemetryOptions(access_log=path))
    server.predict(ROW)
    server.call(server.server.stop())
    assert len(path.read_text().splitlines()) == 1


def test_what_was_logged_warms_the_next_version_up(start, fakes, tmp_path):
    signature = fakes.Signature([fakes.input("x"), fakes.input("y", "float32", 2)])
    rule = LoggingRule("", str(tmp_path / "log"), 1.0)
    server = start(FleetConfig((ModelConfig("m", model=fakes.Model(serving_default=signature), logging=rule),)))
    rows = {"instances": [{"x": 1.0, "y": [1.0, 2.0]}, {"x": 2.0, "y": [3.0, 4.0]}]}
    signature.body = lambda columns: {"total": columns[0].values + columns[1].values.sum(1)}
    assert server.predict(rows) == (200, {"predictions": [4.0, 9.0]})
    server.call(server.server.stop())
    (logged,) = tmp_path.glob("log-*.tfrecord")
    (tmp_path / "assets.extra").mkdir()
    logged.rename(tmp_path / "assets.extra" / "tf_serving_warmup_requests")
    fresh = start({"m": fakes.Model(serving_default=signature)})
    signature.batches.clear()
    assert warm_up(tmp_path, fresh.server._engine.snapshot.servables["m"][1]) == 1
    assert signature.batches == [2]


def test_a_request_log_that_nobody_can_write_keeps_the_server_from_starting(start, fakes):
    rule = LoggingRule("kafka", "/x", 1.0)
    model = fakes.Model(serving_default=fakes.Signature([fakes.input("x")]))
    with pytest.raises(ArgumentError, match="no such request log"):
        start(FleetConfig((ModelConfig("m", model=model, logging=rule),)))


def test_a_log_that_cannot_be_written_keeps_the_server_from_starting(start, tmp_path):
    with pytest.raises(StorageError):
        start(telemetry=TelemetryOptions(access_log=tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        {"metrics_path": "metrics"},
        {"metrics_path": "/a?b"},
        {"metrics_path": "/x", "tensorflow_metrics_path": "/x"},
        {"access_log": ""},
        {"access_log_sample": 1.5},
        {"access_log_sample": float("nan")},
    ],
)
def test_telemetry_options_out_of_range_are_refused(options):
    with pytest.raises(ArgumentError):
        TelemetryOptions(**options)


def test_a_negative_delay_is_refused():
    with pytest.raises(ArgumentError):
        ServerOptions(shutdown_delay_seconds=-1.0)
