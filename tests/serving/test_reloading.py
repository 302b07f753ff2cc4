"""Versions come, go and fail while clients ask: nobody is answered wrongly, and nobody is turned away."""

import contextlib
import http.client
import json
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mainstay.core import TensorSpec, message_class
from mainstay.io import write_records
from mainstay.saved_model import ServingFunction, save
from mainstay.serving import VersionOptions

FAST = VersionOptions(poll_seconds=0.01, compile_apart="never")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """Versions that multiply by their number."""
    folder = tmp_path_factory.mktemp("artifacts")
    spec = TensorSpec([None, 2], "float32", "x")
    for factor in (1, 2, 3):
        function = ServingFunction(
            lambda weights, values: {"y": (values["x"] * weights["factor"]).sum(axis=1)},
            (spec,),
            {"factor": np.float32(factor)},
        )
        save(function, folder / str(factor), tensorflow=None)
    return folder


def place(artifacts, base, version, content=None):
    """Put a version into a folder, whole at once."""
    base.mkdir(exist_ok=True)
    partial = base / f".{version}.partial"
    shutil.copytree(artifacts / str(content or version), partial)
    partial.rename(base / str(version))


class Clients:
    """Clients that ask without a pause; what is wrong with an answer is kept."""

    def __init__(self, port, count, factors):
        self.port = port
        self.factors = factors
        self.seen = set()
        self.faults = []
        self.answers = 0
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, condition):
        with self._changed:
            assert self._changed.wait_for(condition, 30)

    def _ask(self, number):
        row = [float(number), 1.0]
        body = json.dumps({"instances": [row, row]})
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            while not self._stop.is_set():
                try:
                    connection.request("POST", "/v1/models/m:predict", body)
                    answer = connection.getresponse()
                    content = json.loads(answer.read())
                    factor = content["predictions"][0] / sum(row) if answer.status == 200 else None
                except Exception as error:
                    content, factor = repr(error), None
                with self._changed:
                    self.answers += 1
                    if factor not in self.factors or len(set(content["predictions"])) != 1:
                        self.faults.append(content)
                    self.seen.add(factor)
                    self._changed.notify_all()


def status(server, model="m"):
    code, body, _ = server.request("GET", f"/v1/models/{model}")
    assert code == 200
    return {int(each["version"]): each for each in json.loads(body)["model_version_status"]}


def until(condition):
    """Ask again until it holds; a server that is asked is given time."""
    end = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < end, "it never came to that"


def test_versions_are_swapped_under_load_without_a_fault(start, artifacts, tmp_path):
    base = tmp_path / "m"
    place(artifacts, base, 1)
    server = start({"m": base}, versions=FAST)
    with Clients(server.port, 4, {1, 2, 3}) as clients:
        clients.wait_for(lambda: 1 in clients.seen)
        for version in range(2, 6):
            content = (version - 1) % 3 + 1
            with clients._changed:
                clients.seen.clear()
            place(artifacts, base, version, content)
            clients.wait_for(lambda content=content: content in clients.seen)
            until(lambda version=version: status(server).get(version - 1, {}).get("state") in ("END", None))
    assert clients.faults == []
    assert clients.answers > 20


def test_bad_versions_leave_the_good_one_and_are_served_once_they_are_right(start, artifacts, tmp_path):
    base = tmp_path / "m"
    place(artifacts, base, 1)
    server = start({"m": base}, versions=FAST)
    with Clients(server.port, 2, {1, 2}) as clients:
        # A version that is being copied: its manifest is there, its weights are not.
        shutil.copytree(artifacts / "2", base / "2", ignore=shutil.ignore_patterns("variables*"))
        until(lambda: status(server).get(2, {}).get("state") == "END")
        found = status(server)[2]["status"]
        assert found["error_code"] != "OK"
        assert "variables" in found["error_message"]
        assert status(server)[1]["state"] == "AVAILABLE"
        clients.wait_for(lambda: clients.answers > 10)
        assert clients.seen == {1}
        shutil.copytree(artifacts / "2", base / "2", dirs_exist_ok=True)
        clients.wait_for(lambda: 2 in clients.seen)
    assert clients.faults == []


@pytest.mark.parametrize("damage", ["truncated", "edited", "empty", "nothing"])
def test_a_damaged_version_is_refused_by_name(start, artifacts, tmp_path, damage):
    base = tmp_path / "m"
    place(artifacts, base, 1)
    server = start({"m": base}, versions=FAST)
    if damage == "nothing":
        (base / "2").mkdir()
    else:
        shutil.copytree(artifacts / "2", tmp_path / "2")
        file = next(path for path in sorted((tmp_path / "2").rglob("*")) if path.name.endswith(".data-00000-of-00001"))
        content = file.read_bytes()
        file.write_bytes({"truncated": content[:-1], "edited": b"\xff" + content[1:], "empty": b""}[damage])
        (tmp_path / "2").rename(base / "2")
    until(lambda: status(server).get(2, {}).get("state") == "END")
    assert status(server)[2]["status"]["error_code"] != "OK"
    assert server.predict({"instances": [[1.0, 2.0]]})[1] == {"predictions": [3.0]}


def test_a_version_that_vanishes_from_disk_answers_until_there_is_another_and_then_goes(start, artifacts, tmp_path):
    base = tmp_path / "m"
    place(artifacts, base, 1)
    server = start({"m": base}, versions=FAST)
    # Its folder is gone at once, while its weights are mapped.
    shutil.rmtree(base)
    assert server.predict({"instances": [[1.0, 2.0]]})[1] == {"predictions": [3.0]}
    place(artifacts, base, 2)
    until(lambda: status(server).get(2, {}).get("state") == "AVAILABLE")
    until(lambda: server.predict({"instances": [[1.0, 2.0]]})[1] == {"predictions": [6.0]})


def warm_up_log(value):
    log = message_class("tensorflow.serving.PredictionLog")()
    tensor = log.predict_log.request.inputs["x"]
    tensor.dtype = 1
    for size in (1, value):
        tensor.tensor_shape.dim.add(size=size)
    tensor.float_val.extend([1.0] * value)
    return log.SerializeToString()


def foreign_version(base, version):
    """Put a SavedModel of TensorFlow there; anything may lie beside it, unlike in a folder with a manifest."""
    import handmade_graphs as make
    from handmade_graphs import FLOAT, const, node

    nodes = [
        node("x", "Placeholder", dtype=FLOAT),
        const("two", np.float32(2)),
        node("y", "Mul", "x", "two", T=FLOAT),
    ]
    signature = make.signature({"x": ("x:0", FLOAT)}, {"y": ("y:0", FLOAT)})
    for info in (signature.inputs["x"], signature.outputs["y"]):
        info.tensor_shape.Clear()
        make.write_shape(info.tensor_shape, (None, 2))
    make.write(base / f"{version}", make.meta_graph(nodes, {"serving_default": signature}))


def test_a_version_whose_warm_up_fails_is_not_served(start, tmp_path):
    base = tmp_path / "m"
    foreign_version(base, 1)
    server = start({"m": base}, versions=FAST)
    foreign_version(tmp_path, 2)
    extra = tmp_path / "2" / "assets.extra"
    extra.mkdir()
    write_records(extra / "tf_serving_warmup_requests", [warm_up_log(2), b"\xff\xff"])
    (tmp_path / "2").rename(base / "2")
    until(lambda: status(server).get(2, {}).get("state") == "END")
    assert "warmup record 2" in status(server)[2]["status"]["error_message"]
    write_records(base / "2" / "assets.extra" / "tf_serving_warmup_requests", [warm_up_log(2)])
    until(lambda: status(server)[2]["state"] == "AVAILABLE")
    assert server.predict({"instances": [[1.0, 2.0]]})[1] == {"predictions": [[2.0, 4.0]]}


def test_a_version_is_verified_and_compiled_in_a_process_apart(start, artifacts, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("MAINSTAY_COMPILATION_CACHE", str(cache))
    base = tmp_path / "m"
    place(artifacts, base, 1)
    from mainstay.core import set_compilation_cache

    set_compilation_cache(cache)
    try:
        server = start({"m": base}, versions=VersionOptions(poll_seconds=0.01, compile_apart="always"))
        assert server.predict({"instances": [[1.0, 2.0]]})[1] == {"predictions": [3.0]}
        assert list(Path(cache).rglob("*.xla"))
    finally:
        set_compilation_cache(None)
