"""Which strategy a thread works under, by TensorFlow's rules."""

import threading

import pytest

from mainstay import distribute
from mainstay.core import ArgumentError
from mainstay.distribute import MirroredStrategy, OneDeviceStrategy, ReduceOp


def where() -> tuple[object, bool, bool, bool]:
    context = distribute.get_replica_context()
    return (
        distribute.get_strategy(),
        distribute.has_strategy(),
        distribute.in_cross_replica_context(),
        context is not None,
    )


def test_outside_of_every_strategy_the_default_one_runs() -> None:
    strategy, has, cross, replica = where()
    assert type(strategy) is distribute.Strategy
    assert (has, cross, replica) == (False, False, True)
    assert distribute.get_strategy() is strategy


def test_a_scope_is_a_cross_replica_context_and_run_is_a_replica() -> None:
    strategy = MirroredStrategy(["cpu:0"])
    with strategy.scope() as entered:
        assert entered is strategy
        assert where() == (strategy, True, True, False)
        assert strategy.run(where) == (strategy, True, False, True)
        assert where() == (strategy, True, True, False)
    assert strategy.run(where) == (strategy, True, False, True)
    assert not distribute.has_strategy()


def test_a_replica_sees_itself_as_the_only_one() -> None:
    def look() -> tuple[int, int, object]:
        context = distribute.get_replica_context()
        assert context is not None
        return (
            context.replica_id_in_sync_group,
            context.num_replicas_in_sync,
            context.all_reduce(ReduceOp.SUM, {"a": 3}),
        )

    assert MirroredStrategy(["cpu:0"]).run(look) == (0, 1, {"a": 3})


def test_a_scope_may_be_entered_again_but_not_another_one() -> None:
    first, second = MirroredStrategy(["cpu:0"]), OneDeviceStrategy("cpu:0")
    with first.scope(), first.scope():
        with pytest.raises(ArgumentError, match=r"another strategy is running(.|\n)*same MirroredStrategy"):
            second.scope().__enter__()
        with pytest.raises(ArgumentError, match="another strategy is running"):
            second.run(lambda: None)
        assert distribute.get_strategy() is first
    with second.scope():
        assert distribute.get_strategy() is second


def test_neither_a_scope_nor_run_is_entered_inside_of_run() -> None:
    strategy = MirroredStrategy(["cpu:0"])
    with pytest.raises(ArgumentError, match="a scope cannot be entered inside of run"):
        strategy.run(lambda: strategy.scope().__enter__())
    with pytest.raises(ArgumentError, match="run cannot be called inside of run"):
        strategy.run(lambda: strategy.run(lambda: None))


def test_an_error_inside_leaves_the_scope() -> None:
    with pytest.raises(ZeroDivisionError):
        MirroredStrategy(["cpu:0"]).run(lambda: 1 / 0)
    assert not distribute.has_strategy()


def test_another_thread_is_outside_of_the_scope() -> None:
    seen = []
    with MirroredStrategy(["cpu:0"]).scope():
        thread = threading.Thread(target=lambda: seen.append(distribute.has_strategy()))
        thread.start()
        thread.join()
    assert seen == [False]
