import threading

import pytest

from mainstay.data.execution.ahead import Ahead, Pulling
from mainstay.data.execution.budget import Budget, size_of


def counted(made: list[int], count: int = 100):
    try:
        for number in range(count):
            made.append(number)
            yield bytes(10)
    finally:
        made.append(-1)


def test_no_more_elements_wait_than_were_asked_for() -> None:
    made: list[int] = []
    ahead = Ahead(counted(made), Budget(1 << 20), size=2)
    for taken in range(1, 50):
        assert ahead.take() == bytes(10)
        assert len(made) <= taken + 2
    ahead.close()
    ahead.join(20)


def test_no_more_bytes_wait_than_the_budget_has_but_one_item_does() -> None:
    for limit, most in ((25, 2), (1, 1)):
        budget = Budget(limit)
        ahead = Ahead(counted([]), budget, size=50)
        assert sum(1 for _ in iter(ahead.take, None)) == 100
        assert budget.peak <= most * 10
        assert budget.used == 0


def test_the_thread_closes_what_it_read_when_nobody_wants_more() -> None:
    made: list[int] = []
    ahead = Ahead(counted(made), Budget(1 << 20))
    ahead.take()
    ahead.close()
    ahead.join(20)
    assert made[-1] == -1
    assert ahead.take() is None


def test_a_failure_comes_after_the_items_before_it_and_once() -> None:
    def items():
        yield 1
        yield 2
        raise ZeroDivisionError

    ahead = Ahead(items(), Budget(1 << 20), size=10)
    assert [ahead.take(), ahead.take()] == [1, 2]
    with pytest.raises(ZeroDivisionError):
        ahead.take()
    assert ahead.take() is None


def test_what_is_not_there_yet_is_not_waited_for_unless_that_is_wanted() -> None:
    gate = threading.Event()

    def items():
        gate.wait(20)
        yield 1

    ahead = Ahead(items(), Budget(1 << 20))
    assert ahead.take(block=False) is None
    assert not ahead.is_ended
    gate.set()
    assert ahead.take() == 1
    assert ahead.take() is None
    assert ahead.is_ended


def test_slow_items_are_pulled_by_a_thread_and_quick_ones_are_not() -> None:
    names: list[str] = []

    def items(pause: float):
        for number in range(5):
            names.append(threading.current_thread().name)
            threading.Event().wait(pause)
            yield number

    for is_quick, threads in ((True, {"MainThread"}), (False, {"MainThread", "mainstay-data-ahead"})):
        names.clear()
        pulling = Pulling(items(0.002), Budget(1 << 20), is_quick=is_quick)
        assert list(iter(lambda pulling=pulling: pulling.take(block=True), None)) == [0, 1, 2, 3, 4]
        assert set(names) == threads
        assert pulling.is_ended


def test_sizes_of_what_waits_are_added_up() -> None:
    assert size_of([b"abc", {"x": b"de"}, (1, 2)]) == 5
    assert size_of((0, 128, (1,))) == 0
