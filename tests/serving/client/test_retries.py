import pytest

from mainstay.core import ArgumentError, DeadlineError, OverloadError, RequestError, ServerError, UnavailableError
from mainstay.serving.client.retries import Attempts, Retries, TryAgainError


class Clock:
    """A clock that only sleeping moves on."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(round(seconds, 6))
        self.now += seconds


def attempts(clock, **options):
    return Attempts(Retries(**options), clock, clock.sleep, lambda: 0.5)


def failing(*errors):
    """Return work that raises these errors, one each time, and then returns how often it was called."""
    calls, left = [], list(errors)

    def work(seconds):
        calls.append(seconds)
        if left:
            raise left.pop(0)
        return len(calls)

    return work


def test_what_fails_for_want_of_a_server_is_tried_again_later_and_later():
    clock = Clock()
    work = failing(UnavailableError("a"), TryAgainError(UnavailableError("b")), UnavailableError("c"))
    assert attempts(clock, attempts=4).run(work, 30) == 4
    assert clock.slept == [0.05, 0.1, 0.2]


def test_a_wait_that_the_server_asks_for_is_kept():
    clock = Clock()
    assert attempts(clock).run(failing(TryAgainError(OverloadError("full"), 1.5)), 30) == 2
    assert clock.slept == [1.5]


def test_waits_do_not_grow_beyond_the_longest():
    clock = Clock()
    work = failing(*(UnavailableError("a") for _ in range(6)))
    attempts(clock, attempts=7, longest_wait_seconds=0.3).run(work, 30)
    assert clock.slept == [0.05, 0.1, 0.2, 0.3, 0.3, 0.3]


@pytest.mark.parametrize("error", [RequestError("x"), ServerError("x"), DeadlineError("x")])
def test_what_will_not_be_better_is_not_tried_again(error):
    clock = Clock()
    with pytest.raises(type(error)):
        attempts(clock).run(failing(error), 30)
    assert clock.slept == []


def test_the_last_error_is_raised_when_attempts_or_time_run_out():
    clock = Clock()
    with pytest.raises(UnavailableError, match="b"):
        attempts(clock, attempts=2).run(failing(UnavailableError("a"), UnavailableError("b")), 30)
    with pytest.raises(OverloadError, match="full"):
        attempts(clock).run(failing(TryAgainError(OverloadError("full"), 60)), 30)
    with pytest.raises(DeadlineError, match="within 0 seconds"):
        attempts(clock).run(failing(), 0)


def test_each_attempt_knows_how_much_time_is_left():
    clock, seen = Clock(), []

    def work(left):
        seen.append(round(left, 3))
        clock.now += 2
        if len(seen) < 3:
            raise UnavailableError("x")

    attempts(clock).run(work, 10)
    assert seen == [10.0, 7.95, 5.85]


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first_wait_seconds": 3.0}, {"first_wait_seconds": -1.0}])
def test_retries_out_of_range_are_refused(wrong):
    with pytest.raises(ArgumentError):
        Retries(**wrong)
