"""The server's log as JSON."""

import json
import logging

import pytest

from mainstay.core import StorageError
from mainstay.serving.operations.server_log import JsonFormatter


@pytest.fixture
def log():
    lines = []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(json.loads(self.format(record)))

    handler = Keep()
    handler.setFormatter(JsonFormatter())
    logger = logging.Logger("mainstay.test")
    logger.addHandler(handler)
    logger.lines = lines
    return logger


def test_a_record_is_an_object(log):
    log.info("serving %s", "m")
    (line,) = log.lines
    assert line.pop("time").endswith("Z")
    assert line == {"level": "info", "logger": "mainstay.test", "message": "serving m"}


def test_an_exception_has_its_code_and_its_traceback(log):
    try:
        raise StorageError("no space", where="/x")
    except StorageError:
        log.exception("it failed")
    (line,) = log.lines
    assert (line["error"], line["code"], line["level"]) == ("StorageError", "MS300", "error")
    assert "test_server_log" in line["traceback"]


def test_hostile_text_stays_one_line(log):
    log.warning("a\nb\ud800 %s", "x" * 100_000)
    assert log.lines[0]["message"].startswith("a\nb? xxx")
    assert len(log.lines[0]["message"]) <= 16384
