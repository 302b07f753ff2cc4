"""What the server says when it starts."""

import sys

from mainstay.serving.models.snapshot import Servable, Snapshot
from mainstay.serving.operations.start_log import ready_lines, start_lines


def test_the_release_the_addresses_and_what_is_on_are_named():
    first, rest, grpc, on = start_lines({"REST": "https://a:1", "gRPC": "a:2"}, ["TLS", "metrics at /metrics"])
    assert first.startswith("mainstay ")
    assert "Python 3." in first
    assert (rest, grpc) == ("listening on https://a:1 for REST", "listening on a:2 for gRPC")
    assert on == "with TLS, metrics at /metrics"
    assert start_lines({}, [])[-1] == "with nothing switched on beside the models"


def test_every_version_is_named_with_its_labels_and_signatures():
    snapshot = Snapshot(
        {"m": {2: Servable("m", 2, {"b": None, "a": None}), 1: Servable("m", 1, {})}, "a": {7: Servable("a", 7, {})}},
        labels={"m": {"stable": 1, "canary": 2, "next": 2}},
    )
    lines = [line for line in ready_lines(snapshot) if line.startswith("model ")]
    assert lines == [
        "model a version 7: no signature",
        "model m version 1 (stable): no signature",
        "model m version 2 (canary, next): a, b",
    ]


def test_devices_are_named_where_they_are_known_and_nothing_is_started_for_it(monkeypatch):
    class Device:
        platform, device_kind = "gpu", "H100"

    class Jax:
        @staticmethod
        def local_devices():
            return [Device(), Device()]

    monkeypatch.setitem(sys.modules, "jax", Jax)
    assert ready_lines(Snapshot()) == ["devices: 2 × gpu (H100)"]
    monkeypatch.delitem(sys.modules, "jax")
    assert ready_lines(Snapshot()) == []


def test_a_backend_that_fails_costs_no_more_than_its_line(monkeypatch):
    class Jax:
        @staticmethod
        def local_devices():
            raise RuntimeError("no backend")

    monkeypatch.setitem(sys.modules, "jax", Jax)
    assert ready_lines(Snapshot()) == []
