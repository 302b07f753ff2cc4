"""The access log."""

import json
import logging
import os

import pytest

from mainstay.core import StorageError
from mainstay.serving.operations.access_log import AccessLog
from mainstay.serving.operations.trace_context import Parent
from mainstay.serving.operations.tracing import Trace
from mainstay.serving.status import Code


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs" / "access.json"


@pytest.fixture
def make(path):
    made = []

    def run(**options):
        made.append(AccessLog(path, **options))
        return made[-1]

    yield run
    for log in made:
        log.close(10.0)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(log, *calls):
    for call in calls:
        log.begun(call)
        log.ended(call)
    assert log.flush()


def test_a_line_says_who_asked_for_what_and_how_it_went(make, path, ended):
    headers = {b"x-request-id": b"r1", b"user-agent": b"curl"}
    call = ended(peer="10.0.0.1:5", identity="team-a", headers=headers, label="stable")
    call.trace = Trace("a" * 32, "b" * 16, Parent("a" * 32, "c" * 16, True), True)
    write(make(), call)
    (line,) = lines(path)
    assert line.pop("time").endswith("Z")
    assert line == {
        "protocol": "REST", "method": "Predict", "model": "m", "asked": "stable", "version": 2,
        "signature": "serving_default", "status": "OK", "total_ms": 10.0, "queue_ms": 1.0, "execute_ms": 4.0,
        "rows": 3, "batch_rows": 5, "request_bytes": 100, "response_bytes": 50, "peer": "10.0.0.1:5",
        "identity": "team-a", "request_id": "r1", "user_agent": "curl", "trace_id": "a" * 32, "span_id": "b" * 16,
    }  # fmt: skip


def test_the_clients_trace_is_named_even_where_nothing_is_traced(make, path, ended):
    write(make(), ended(headers={b"traceparent": f"00-{'a' * 32}-{'b' * 16}-00".encode()}))
    assert lines(path)[0]["trace_id"] == "a" * 32


def test_failures_have_their_message_and_no_execution(make, path, ended):
    write(make(), ended(None, code=Code.NOT_FOUND, message="Servable not found", model="x"))
    (line,) = lines(path)
    assert (line["status"], line["message"]) == ("NOT_FOUND", "Servable not found")
    assert not {"version", "rows", "queue_ms"} & set(line)


def test_hostile_text_stays_one_line_of_json(make, path, ended):
    headers = {b"x-request-id": b"\xff\n" * 1000, b"user-agent": b'"}\n{"status":"OK"'}
    write(make(), ended(None, model="\ud800\n" * 1000, message="a\nb\x00", headers=headers, code=Code.NOT_FOUND))
    (line,) = lines(path)
    assert line["user_agent"] == '"}\n{"status":"OK"'
    assert len(line["request_id"]) <= 512
    assert len(line["model"]) <= 512


def test_a_sample_has_its_share_of_successes_and_all_failures(make, path, ended):
    log = make(sample=0.25)
    draws = iter([0.1, 0.25, 0.9, 0.2])
    log._draw = lambda: next(draws)
    write(log, ended(), ended(), ended(code=Code.INTERNAL), ended(), ended())
    assert [line["status"] for line in lines(path)] == ["OK", "INTERNAL", "OK"]


def test_health_that_is_good_is_not_worth_a_line(make, path, ended):
    write(make(), ended(method="GetHealth"), ended(method="GetHealth", code=Code.UNAVAILABLE))
    assert [line["status"] for line in lines(path)] == ["UNAVAILABLE"]


def test_a_file_that_was_moved_away_is_made_anew(make, path, ended):
    log = make()
    write(log, ended())
    os.rename(path, path.with_suffix(".1"))
    write(log, ended(), ended())
    assert (len(lines(path.with_suffix(".1"))), len(lines(path))) == (1, 2)


def test_a_file_that_was_cut_short_goes_on_from_its_beginning(make, path, ended):
    log = make()
    write(log, ended(), ended())
    os.truncate(path, 0)
    write(log, ended())
    assert len(lines(path)) == 1


def test_the_file_can_be_opened_anew(make, path, ended):
    log = make()
    write(log, ended())
    log.reopen()
    write(log, ended())
    assert len(lines(path)) == 2


def test_the_log_is_not_for_everybody(make, path, ended):
    write(make(), ended())
    assert path.stat().st_mode & 0o007 == 0


def test_what_does_not_fit_is_counted(make, path, ended):
    log = make(limit=2)
    log._outbox._interval = 60
    for _ in range(2000):
        log.ended(ended())
    assert log.flush()
    assert log.dropped + len(lines(path)) == 2000
    assert log.dropped > 0


def test_a_log_that_cannot_be_opened_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        AccessLog(tmp_path / "file" / "access.json")
    with pytest.raises(StorageError):
        AccessLog(tmp_path)


def test_a_disk_that_refuses_costs_lines_and_nothing_else(make, path, ended, caplog):
    log = make()
    path.parent.rename(path.parent.with_name("gone"))
    path.parent.write_text("in the way")
    with caplog.at_level(logging.WARNING):
        write(log, ended())
    assert log.dropped == 1
    path.parent.unlink()
    write(log, ended())
    assert len(lines(path)) == 1


def test_standard_error_is_a_file_too(capsys, ended):
    log = AccessLog("stderr")
    write(log, ended())
    log.close(10.0)
    assert json.loads(capsys.readouterr().err)["status"] == "OK"
