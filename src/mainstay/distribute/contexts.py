"""Which strategy this thread works under, and whether it is inside of the program that the replicas run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import keras

from mainstay.core import ArgumentError
from mainstay.distribute.reductions import ReduceOp, check_reduce_op

if TYPE_CHECKING:
    from jax.typing import ArrayLike

    from mainstay.distribute.strategies import Strategy


class Entered(NamedTuple):
    """A strategy that this thread has entered: by its `scope` or, as a replica, by its `run`."""

    strategy: Strategy
    as_replica: bool


class _Stack(threading.local):
    def __init__(self) -> None:
        self.entered: list[Entered] = []


_stack = _Stack()


def innermost() -> Entered | None:
    """Return what this thread entered last, or None."""
    return _stack.entered[-1] if _stack.entered else None


@contextmanager
def entered(strategy: Strategy, *, as_replica: bool) -> Iterator[None]:
    """Work under a strategy, and let Keras do so; another one than the running strategy is refused, as in TensorFlow.

    Raises:
        ArgumentError: Another strategy is running in this thread.
    """
    running = innermost()
    if running is not None and running.strategy is not strategy:
        raise ArgumentError(
            "another strategy is running in this thread",
            expected=f"the same {type(running.strategy).__name__}, or none",
            received=f"another {type(strategy).__name__}",
            fix="leave its scope first: strategies cannot be mixed",
        )
    before = keras.distribution.distribution()
    placement = strategy.placement
    if placement is not None:
        keras.distribution.set_distribution(placement.as_replica if as_replica else placement)
    _stack.entered.append(Entered(strategy, as_replica))
    try:
        yield
    finally:
        _stack.entered.pop()
        keras.distribution.set_distribution(before)


def has_strategy() -> bool:
    """Return whether this thread is inside of the `scope` or the `run` of a strategy.

    >>> has_strategy()
    False
    """
    return innermost() is not None


def in_cross_replica_context() -> bool:
    """Return whether this thread is inside of a strategy's `scope` and not inside of its `run`.

    Outside of every strategy the answer is False, as in TensorFlow: plain code is its own only replica.
    """
    running = innermost()
    return running is not None and not running.as_replica


class ReplicaContext:
    """What code inside of `Strategy.run` knows about its replica.

    All devices run one program over the global batch, so the code sees itself as the only replica, whatever the number
    of devices: its id is 0, there is one replica in sync, and a sum over the replicas is the value itself.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy

    @property
    def replica_id_in_sync_group(self) -> int:
        """The number of this replica: 0."""
        return 0

    @property
    def num_replicas_in_sync(self) -> int:
        """How many replicas the code has to reckon with: 1."""
        return 1

    def all_reduce(self, reduce_op: ReduceOp | str, value: ArrayLike) -> ArrayLike:
        """Return the sum or the mean of a value over the replicas: the value, which is over the global batch already.

        Args:
            reduce_op: `ReduceOp.SUM` or `ReduceOp.MEAN`, or its name.
            value: An array or a structure of arrays.
        """
        check_reduce_op(reduce_op)
        return value
