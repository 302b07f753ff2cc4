"""Traces of calls, and a collector that takes them."""

import contextlib
import http.server
import json
import logging
import random
import threading

import pytest

from mainstay.serving.calls import Call
from mainstay.serving.operations import otlp
from mainstay.serving.operations.trace_options import TraceOptions
from mainstay.serving.operations.tracing import Tracing
from mainstay.serving.status import Code

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """A collector of spans on a port of its own, which answers with the statuses it is given and then with 200."""

    def __init__(self):
        self.posts, self.statuses = [], []
        collector = self

        class Answer(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                status = collector.statuses.pop(0) if collector.statuses else 200
                if status == "hang up":
                    self.close_connection = True
                    return
                collector.posts.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server.server_port}/v1/traces?tenant=a"

    @property
    def spans(self):
        return [
            span
            for _, _, body in self.posts
            for resource in body["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()
    collector.thread.join()


@pytest.fixture
def trace(collector, monkeypatch):
    monkeypatch.setattr(otlp, "_FIRST_PAUSE_SECONDS", 0.0)
    with contextlib.ExitStack() as stack:

        def make(**options):
            tracing = Tracing(TraceOptions(**{"endpoint": collector.endpoint, **options}), random.Random(3))
            stack.callback(tracing.close, 10.0)
            return tracing

        yield make


def attributes(span):
    return {item["key"]: next(iter(item["value"].values())) for item in span["attributes"]}


def run(tracing, call):
    tracing.begun(call)
    tracing.ended(call)
    assert tracing.exporter.flush()
    return call


def test_a_call_becomes_three_spans_of_one_trace(trace, collector, ended):
    call = run(trace(service="taxi", headers={"api-key": "x"}, attributes={"zone": "b"}), ended())
    ((path, headers, body),) = collector.posts
    assert path == "/v1/traces?tenant=a"
    assert (headers["content-type"], headers["api-key"]) == ("application/json", "x")
    resource = {item["key"]: item["value"] for item in body["resourceSpans"][0]["resource"]["attributes"]}
    assert (resource["service.name"], resource["zone"]) == ({"stringValue": "taxi"}, {"stringValue": "b"})
    whole, queue, execute = collector.spans
    assert (whole["name"], queue["name"], execute["name"]) == ("Predict m", "queue", "execute")
    assert {span["traceId"] for span in collector.spans} == {call.trace.trace}
    assert whole["spanId"] == call.trace.span == queue["parentSpanId"] == execute["parentSpanId"]
    assert "parentSpanId" not in whole
    assert len({span["spanId"] for span in collector.spans}) == 3
    lengths = [int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) for span in collector.spans]
    assert lengths == pytest.approx([10e6, 1e6, 4e6], abs=2)
    found = attributes(whole)
    assert (found["mainstay.model"], found["mainstay.version"], found["mainstay.rows"]) == ("m", "2", "3")
    assert found["http.response.status_code"] == "200"
    assert "status" not in whole


def test_the_clients_trace_goes_on(trace, collector, ended):
    headers = {b"traceparent": f"00-{TRACE}-{SPAN}-01".encode(), b"tracestate": b"a=b"}
    call = run(trace(sampler="parentbased_always_off"), ended(headers=headers, api="gRPC"))
    whole = collector.spans[0]
    assert (whole["traceId"], whole["parentSpanId"], whole["traceState"]) == (TRACE, SPAN, "a=b")
    assert call.trace.trace == TRACE
    assert attributes(whole)["rpc.grpc.status_code"] == "0"


def test_a_trace_that_the_client_does_not_keep_is_known_but_not_sent(trace, collector, ended):
    call = run(trace(), ended(headers={b"traceparent": f"00-{TRACE}-{SPAN}-00".encode()}))
    assert call.trace.trace == TRACE
    assert not collector.posts


def test_a_sampler_may_overrule_the_client(trace, collector, ended):
    run(trace(sampler="always_on"), ended(headers={b"traceparent": f"00-{TRACE}-{SPAN}-00".encode()}))
    assert collector.spans


def test_nothing_is_drawn_for_calls_that_are_not_traced(trace, collector, ended):
    assert run(trace(sampler="always_off"), ended()).trace is None
    assert not collector.posts


def test_health_is_not_traced(trace, ended):
    assert run(trace(), ended(method="GetHealth")).trace is None


@pytest.mark.parametrize(
    ("code", "fault"), [(Code.INTERNAL, True), (Code.UNAVAILABLE, True), (Code.INVALID_ARGUMENT, False)]
)
def test_what_the_server_got_wrong_is_marked_as_an_error(trace, collector, ended, code, fault):
    run(trace(), ended(code=code, run=None, message="no luck"))
    whole = collector.spans[0]
    assert whole.get("status") == ({"code": 2, "message": "no luck"} if fault else None)
    assert attributes(whole)["mainstay.status"] == code.name


def test_a_call_that_found_no_version_has_one_span(trace, collector):
    call = Call("REST", "Predict", "x", received=1.0)
    call.code, call.ended = Code.NOT_FOUND, 1.5
    run(trace(), call)
    assert [span["name"] for span in collector.spans] == ["Predict x"]
    assert "mainstay.version" not in attributes(collector.spans[0])


@pytest.mark.parametrize("statuses", [[503], [429, 502], ["hang up"], ["hang up", 504]])
def test_a_busy_collector_is_asked_again(trace, collector, ended, statuses):
    collector.statuses = statuses
    tracing = trace()
    run(tracing, ended())
    assert (tracing.exporter.sent, tracing.exporter.dropped) == (1, 0)


@pytest.mark.parametrize("statuses", [[400], [401], [503, 503, 503]])
def test_what_a_collector_refuses_is_dropped_counted_and_logged(trace, collector, ended, statuses, caplog):
    collector.statuses = statuses
    tracing = trace()
    with caplog.at_level(logging.WARNING):
        run(tracing, ended())
    assert (tracing.exporter.sent, tracing.exporter.dropped) == (0, 1)
    assert "export of traces loses entries, 1 so far" in caplog.text
    run(tracing, ended())
    assert tracing.exporter.sent == 1


def test_a_collector_that_is_not_there_costs_spans_and_nothing_else(trace, collector, ended, caplog):
    collector.server.shutdown()
    collector.server.server_close()
    tracing = trace(endpoint=f"http://127.0.0.1:{collector.server.server_port}/v1/traces")
    for _ in range(600):
        run_without_waiting(tracing, ended())
    assert tracing.exporter.flush()
    assert tracing.exporter.dropped == 600
    assert "ConnectionRefusedError" in caplog.text


def run_without_waiting(tracing, call):
    tracing.begun(call)
    tracing.ended(call)


def test_a_full_queue_drops_spans(trace, collector, ended):
    tracing = trace(queue=2)
    tracing.exporter._outbox._interval = 60
    for _ in range(1000):
        run_without_waiting(tracing, ended())
    assert tracing.exporter.flush()
    assert tracing.exporter.sent + tracing.exporter.dropped == 1000
    assert tracing.exporter.dropped > 0


def test_many_spans_are_sent_in_several_posts(trace, collector, ended):
    tracing = trace()
    for _ in range(1200):
        run_without_waiting(tracing, ended())
    assert tracing.exporter.flush()
    assert len(collector.spans) == 3600
    assert max(len(body["resourceSpans"][0]["scopeSpans"][0]["spans"]) for _, _, body in collector.posts) <= 1536
