import json
import threading

import numpy as np
import pytest

from mainstay.serving.batching.options import BatchingOptions
from mainstay.serving.rest.options import RestOptions


@pytest.fixture
def stuck(start, fakes):
    """A server of a model that answers when it is told to."""
    leave = threading.Event()

    def wait(columns):
        leave.wait(20)
        return {"total": columns[0].values.astype(np.float32)}

    def run(**options):
        signature = fakes.Signature([fakes.input("x")], body=wait)
        leave.set()
        server = start(
            {"m": fakes.Model(serving_default=signature)},
            batching=BatchingOptions(execution="thread"),
            rest=RestOptions(**options),
        )
        leave.clear()
        return server

    yield run
    leave.set()


def ask(server, headers=None):
    status, body, _ = server.request("POST", "/v1/models/m:predict", b'{"instances": [1.0]}', headers)
    return status, json.loads(body)


def test_a_request_whose_time_is_over_is_told_so_though_its_model_still_runs(stuck):
    server = stuck(request_timeout_seconds=0.05)
    status, answer = ask(server)
    assert status == 504
    assert "timeout exceeded" in answer["error"]
    # The next one waits behind the first, and so does its time.
    assert ask(server)[0] == 504


def test_a_request_may_ask_for_less_time_than_the_server_gives(stuck):
    server = stuck()
    assert ask(server, {"x-mainstay-timeout-ms": "30"})[0] == 504


def test_a_request_cannot_ask_for_more_time_than_the_server_gives(stuck):
    server = stuck(request_timeout_seconds=0.05)
    assert ask(server, {"x-mainstay-timeout-ms": "60000"})[0] == 504


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "soon", "9" * 40])
def test_a_time_that_is_none_is_refused(stuck, text):
    status, answer = ask(stuck(), {"x-mainstay-timeout-ms": text})
    assert status == 400
    assert answer["error"].startswith("the header x-mainstay-timeout-ms is no time")


def test_without_a_limit_a_request_is_answered(start):
    assert ask(start(rest=RestOptions(request_timeout_seconds=0)))[0] == 200


def test_a_criticality_that_is_none_is_refused(start):
    status, answer = ask(start(), {"x-mainstay-criticality": "urgent"})
    assert status == 400
    assert "x-mainstay-criticality" in answer["error"]
