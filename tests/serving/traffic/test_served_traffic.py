"""Traffic rules on a running server: weights over HTTP, shadows on the page and in the metrics."""

import json
import re

import numpy as np

from mainstay.serving import ModelTraffic, Shadow, TrafficConfig
from mainstay.serving.models.snapshot import Snapshot


def doubled(columns):
    return {"total": np.asarray(columns[0].values * 2, np.float32)}


def serve_two_versions(start, fakes, **rules):
    """Return a server whose model m has version 1, which adds up, and version 2, which doubles."""
    models = {
        "one": fakes.Model(serving_default=fakes.Signature([fakes.input("x")])),
        "two": fakes.Model(serving_default=fakes.Signature([fakes.input("x")], body=doubled)),
    }
    running = start(models, traffic=TrafficConfig({"m": ModelTraffic(**rules)}))
    engine = running.server._engine

    async def publish():
        one, two = (engine.snapshot.servables[name][1] for name in ("one", "two"))
        two.version = 2
        engine.snapshot = Snapshot({"m": {1: one, 2: two}}, labels={"m": {"stable": 1, "canary": 2}})

    running.call(publish())
    return running


def test_requests_are_split_and_clients_stay(start, fakes):
    running = serve_two_versions(start, fakes, weights={"stable": 1, "canary": 1})

    def ask(client):
        body = json.dumps({"instances": [3]})
        status, answer, _ = running.request("POST", "/v1/models/m:predict", body, {"x-mainstay-session": client})
        assert status == 200
        return json.loads(answer)["predictions"][0]

    first = [ask(f"client {number}") for number in range(40)]
    assert {3.0, 6.0} == set(first)
    assert [ask(f"client {number}") for number in range(40)] == first
    assert running.predict({"instances": [3]}, "/v1/models/m/versions/1:predict")[1] == {"predictions": [3.0]}
    assert running.predict({"instances": [3]}, "/v1/models/m/labels/canary:predict")[1] == {"predictions": [6.0]}


def test_a_shadow_leaves_its_differences_behind(start, fakes):
    running = serve_two_versions(start, fakes, weights={1: 1}, shadows=(Shadow(to="canary"),))
    for number in range(5):
        assert running.predict({"instances": [number]})[1] == {"predictions": [float(number)]}
    report = json.loads(running.request("GET", "/mainstay/traffic")[1])["models"]["m"]
    canary = report["shadows"]["canary"]
    assert (canary["compared"], canary["differing"], canary["outputs"]["total"]["largest_absolute"]) == (5, 4, 4.0)
    assert canary["examples"][-1]["inputs"] == {"x": 4.0}
    assert (canary["examples"][-1]["answer"], canary["examples"][-1]["shadow"]) == (4.0, 8.0)
    assert report["versions"]["1"]["requests"] == 5
    metrics = running.request("GET", "/metrics")[1].decode()
    assert re.search(
        r'^mainstay_shadow_requests_total\{model="m",shadow="canary",outcome="different"\} 4$', metrics, re.M
    )
    assert re.search(
        r'^mainstay_shadow_largest_difference\{model="m",shadow="canary",output="total"\} 4(\.0)?$', metrics, re.M
    )


def test_the_page_is_read_only(start, fakes):
    running = serve_two_versions(start, fakes)
    assert running.request("POST", "/mainstay/traffic", b"{}")[0] == 405
    assert running.request("GET", "/mainstay/traffics")[0] == 404
