"""The traffic file of a running server is read again when it changes, and only then; a wrong one changes nothing."""

import json
import logging
import os

import pytest

from mainstay.core import ArgumentError
from mainstay.serving.traffic.config import read_traffic
from mainstay.serving.traffic.file import TrafficFile
from mainstay.serving.traffic.router import TrafficRouter


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "traffic.json"
    write(path, 1)
    return path


def write(path, weight, stamp=0):
    path.write_text(json.dumps({"models": {"m": {"weights": {"1": 1, "2": weight}}}}))
    os.utime(path, (stamp, stamp))


def followed(path):
    router = TrafficRouter(read_traffic(path), loop=None)
    return router, TrafficFile(path, router)


def test_a_changed_file_is_in_force_at_the_next_look(path):
    router, file = followed(path)
    file.poll()
    assert router.config.models["m"].weights[2] == 1
    write(path, 5, stamp=7)
    file.poll()
    assert router.config.models["m"].weights[2] == 5


def test_weights_set_by_hand_stay_until_the_file_changes(path):
    router, file = followed(path)
    router.set_weights("m", {2: 1})
    file.poll()
    assert dict(router.config.models["m"].weights) == {2: 1}


@pytest.mark.parametrize("content", [None, "", '{"models": {"m": {"weights": {"1": -1}}}}'])
def test_a_file_that_is_wrong_or_gone_changes_nothing(path, content, caplog):
    router, file = followed(path)
    path.unlink() if content is None else path.write_text(content)
    with caplog.at_level(logging.ERROR, "mainstay.serving"):
        file.poll()
        file.poll()
    assert router.config.models["m"].weights[2] == 1
    assert len(caplog.records) == 1
    assert "the traffic rules stay as they are" in caplog.text


def test_reload_says_what_is_wrong(path):
    _, file = followed(path)
    path.write_text("{")
    with pytest.raises(ArgumentError, match="not a traffic file"):
        file.reload()
