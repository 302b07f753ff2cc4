"""Pages beside the models', with requests that no socket brought."""

import json

import pytest

from mainstay.core import PermissionDeniedError
from mainstay.serving.models.snapshot import Servable, Snapshot, State, VersionStatus
from mainstay.serving.operations.families import Family, Metrics
from mainstay.serving.operations.pages import GuardedPage, HealthPages, MetricsPage
from mainstay.serving.status import Code


class Request:
    def __init__(self, target, method="GET", **headers):
        self.target, self.method = target, method
        self.headers = {name.encode(): value.encode() for name, value in headers.items()}
        self.body, self.received, self.peer, self.identity = b"", 0.0, "1.2.3.4:5", "somebody"
        self.answer = None

    def reply(self, status, body, headers=(), content_type="application/json"):
        assert self.answer is None
        self.status, self.content_type, self.told = status, content_type, dict(headers)
        self.answer = body


class Watcher:
    """Keeps the calls that have ended."""

    def __init__(self):
        self.calls = []

    def begun(self, call):
        pass

    def ended(self, call):
        self.calls.append(call)


@pytest.fixture
def watcher(engine):
    engine.observers = (watcher := Watcher(),)
    return watcher


def ask(page, *arguments, **headers):
    request = Request(*arguments, **headers)
    assert page.handle(request)
    return request


class Closed:
    def check(self, call):
        raise PermissionDeniedError(f"not {call.method} by {call.identity}")


def test_a_page_is_a_call_and_ends_as_one(engine, watcher):
    request = ask(HealthPages(engine), "/healthz")
    (call,) = watcher.calls
    assert (call.api, call.method, call.code, call.response_bytes) == (
        "HTTP",
        "GetHealth",
        Code.OK,
        len(request.answer),
    )


def test_a_page_that_a_gate_refuses_is_a_call_that_failed(engine, watcher):
    engine.gates = (Closed(),)
    request = ask(HealthPages(engine), "/readyz?verbose")
    assert (request.status, json.loads(request.answer)) == (403, {"error": "not GetReadiness by somebody"})
    assert [call.code for call in watcher.calls] == [Code.PERMISSION_DENIED]


def test_paths_of_others_are_left_alone(engine):
    metrics = MetricsPage(engine, "/metrics", lambda done: done(Metrics()))
    for page in (HealthPages(engine), metrics, GuardedPage(engine, metrics, ("/a",), "GetTraffic")):
        for path in ("/", "/metrics/", "/healthz/x", "/Metrics", "//metrics", ""):
            request = Request(path)
            assert not page.handle(request)
            assert request.answer is None


def test_a_server_that_is_not_ready_says_which_version_is_missing_and_why(engine):
    failed = VersionStatus(State.END, Code.INTERNAL, "no such file")
    engine.snapshot = Snapshot(
        {"m": {1: Servable("m", 1, {})}},
        {"m": {2: VersionStatus(State.LOADING)}, "broken": {3: failed}},
        ready=False,
    )
    request = ask(HealthPages(engine), "/readyz?verbose=1")
    assert request.status == 503
    assert json.loads(request.answer) == {
        "status": "not ready",
        "reason": "The server is loading its models",
        "models": {
            "broken": {
                "available": False,
                "versions": {"3": {"state": "END", "code": "INTERNAL", "message": "no such file"}},
            },
            "m": {"available": True, "versions": {"1": {"state": "AVAILABLE"}, "2": {"state": "LOADING"}}},
        },
    }


def test_a_server_that_stops_says_so(engine):
    engine.draining = True
    request = ask(HealthPages(engine), "/readyz")
    assert (request.status, json.loads(request.answer)["error"]) == (503, "The server is stopping")
    assert request.told == {"retry-after": "1"}


def test_metrics_may_come_later_from_other_processes(engine, watcher):
    waiting = []
    request = ask(MetricsPage(engine, "/metrics", waiting.append), "/metrics?x=y")
    assert request.answer is None
    metrics = Metrics()
    metrics.add(Family("cars_total", "counter", "Cars."), (), 3)
    waiting.pop()(metrics)
    assert request.answer == b"# HELP cars_total Cars.\n# TYPE cars_total counter\ncars_total 3\n"
    assert len(watcher.calls) == 1


def test_metrics_that_cannot_be_gathered_are_an_internal_error(engine, watcher):
    def fail(done):
        raise OSError("a worker is gone")

    request = ask(MetricsPage(engine, "/metrics", fail), "/metrics")
    assert request.status == 500
    assert [call.code for call in watcher.calls] == [Code.INTERNAL]


def test_a_page_that_knows_nothing_of_gates_is_guarded(engine, watcher):
    class Plain:
        def handle(self, exchange):
            exchange.reply(200, b"{}")
            return True

    page = GuardedPage(engine, Plain(), ("/traffic",), "GetTraffic")
    assert ask(page, "/traffic?a").status == 200
    engine.gates = (Closed(),)
    assert ask(page, "/traffic").status == 403
    assert [call.code for call in watcher.calls] == [Code.OK, Code.PERMISSION_DENIED]


def test_metrics_that_cannot_be_written_are_an_error_and_the_call_ends(engine, watcher):
    request = ask(MetricsPage(engine, "/metrics", lambda done: done(None)), "/metrics")
    assert request.status == 500
    assert [call.code for call in watcher.calls] == [Code.INTERNAL]
