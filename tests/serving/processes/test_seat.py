"""A worker's place goes through its environment and is taken once."""

import os

import pytest

from mainstay.core import SetupError
from mainstay.serving.processes.seat import SEAT_VARIABLE, WorkerSeat, take_seat

SEAT = WorkerSeat(number=3, parent=os.getpid(), control=9, rest_port=8501, grpc_unix_socket=11, cpus=(1, 2), threads=2)


def test_a_place_survives_the_environment():
    assert take_seat(SEAT.to_environment()) == SEAT
    assert SEAT.descriptors == (9, 11)


def test_a_place_is_taken_once(monkeypatch):
    monkeypatch.setenv(SEAT_VARIABLE, SEAT.to_environment()[SEAT_VARIABLE])
    assert take_seat() == SEAT
    assert take_seat() is None


@pytest.mark.parametrize("text", ["", "[]", "{}", "1", '{"number":1}', '{"cpus":[]}', '{"cpus":["a"]}'])
def test_what_is_no_place_is_an_error(text):
    with pytest.raises(SetupError, match="the environment names no worker"):
        take_seat({SEAT_VARIABLE: text})


def test_a_worker_without_its_parent_does_not_start():
    with pytest.raises(SetupError, match="the parent of this worker is gone"):
        WorkerSeat(number=0, parent=1 if os.getppid() != 1 else 2, control=9).settle()
