"""Strategies: on which devices a model lives, and how one program trains it on all of them.

A strategy is a placement (`placement.BatchParallel`: a mesh of devices with rules for variables and batches) under
TensorFlow's names. Nothing here counts devices or knows of processes, so that a strategy over the devices of several
machines or of a TPU pod, or one that splits variables, is another placement in the same class.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import jax

from mainstay.core import ArgumentError
from mainstay.distribute import contexts
from mainstay.distribute.contexts import ReplicaContext
from mainstay.distribute.datasets import DistributedDataset, InputContext, JoinedBatches, check_dataset
from mainstay.distribute.devices import name_of, resolve_device, resolve_devices
from mainstay.distribute.placement import BatchParallel
from mainstay.distribute.reductions import ReduceOp, check_reduce_op, reduce_over_axis

T = TypeVar("T")


class Strategy:
    """Where a model lives and how it is trained; this class itself leaves everything to JAX, on one device.

    `get_strategy` gives it outside of every other strategy. `MirroredStrategy` and `OneDeviceStrategy` add devices.

    >>> strategy = Strategy()
    >>> strategy.num_replicas_in_sync
    1
    >>> strategy.run(lambda x: x + 1, args=(1,))
    2
    """

    def __init__(self) -> None:
        self._placement: BatchParallel | None = None

    def __repr__(self) -> str:
        names = [] if self._placement is None else [name_of(device) for device in self._placement.devices]
        return f"{type(self).__name__}({', '.join(names)})"

    def __deepcopy__(self, memo: object) -> Strategy:
        return self  # as with a device, a copy of a model means the same strategy

    @property
    def placement(self) -> BatchParallel | None:
        """The devices with their rules for variables and batches; None if JAX decides."""
        return self._placement

    @property
    def num_replicas_in_sync(self) -> int:
        """How many devices share a global batch; inside of `run` 1, since code there sees the whole global batch."""
        running = contexts.innermost()
        inside = running is not None and running.strategy is self and running.as_replica
        return 1 if inside or self._placement is None else len(self._placement.devices)

    @contextlib.contextmanager
    def scope(self) -> Iterator[Strategy]:
        """Create models, variables, metrics and optimizers on the devices of this strategy while the body runs.

        A model remembers the strategy it was created under: `fit` and the like need no scope. Other threads are not
        inside of the scope.

        Raises:
            ArgumentError: Another strategy's scope is running in this thread, or this is inside of `run`.
        """
        running = contexts.innermost()
        if running is not None and running.as_replica:
            raise ArgumentError(
                "a scope cannot be entered inside of run", fix="enter the scope around run, or create variables before"
            )
        with contexts.entered(self, as_replica=False):
            yield self

    def run(self, fn: Callable[..., T], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> T:
        """Call a function once, over the global batch, with its work shared by all devices.

        Unlike TensorFlow, which calls the function once per device on a part of the batch, all devices run one program
        that sees the batch as a whole: a mean over the batch is the mean over the global batch, batch normalisation
        uses the statistics of the global batch, and the results need no reduction any more.

        Args:
            fn: The function, best a `mainstay.function`.
            args: Its arguments. Batches from `experimental_distribute_dataset` are shared by the devices; any other
                array is the same whole array on each of them.
            kwargs: Its keyword arguments.

        Returns:
            What the function returns.

        Raises:
            ArgumentError: This is inside of another `run` or under another strategy.
        """
        running = contexts.innermost()
        if running is not None and running.as_replica:
            raise ArgumentError("run cannot be called inside of run", fix="call the function itself")
        with contexts.entered(self, as_replica=True):
            given, named = tuple(args), dict(kwargs or {})
            if self._placement is not None:
                given, named = self._placement.bring((given, named))
            return fn(*given, **named)

    def reduce(self, reduce_op: ReduceOp | str, value: Any, axis: int | None) -> Any:
        """Return the sum or the mean of what `run` returned, over replicas and, if asked, along an axis.

        Args:
            reduce_op: `ReduceOp.SUM` or `ReduceOp.MEAN`, or its name.
            value: An array or a structure of arrays; it is over the global batch already.
            axis: None, and the value is returned as it is; or the axis of the batch, 0, along which values per example
                are summed or averaged as well.

        Raises:
            ArgumentError: There is no such reduction, or the value has no such axis.

        >>> float(Strategy().reduce("MEAN", [1.0, 2.0, 6.0], axis=None)[0])
        1.0
        """
        checked = check_reduce_op(reduce_op)
        return value if axis is None else reduce_over_axis(checked, value, axis)

    def gather(self, value: Any, axis: int) -> Any:
        """Return the values of all replicas joined along an axis: the value itself, whole on every device.

        Args:
            value: An array or a structure of arrays, over the global batch already.
            axis: The axis to join along.

        Raises:
            ArgumentError: The value has no such axis.
        """
        for leaf in jax.tree.leaves(value):
            ndim = getattr(leaf, "ndim", 0)
            if not -ndim <= axis < ndim:
                raise ArgumentError("the value does not have the axis to gather along", expected=axis, received=ndim)
        return value if self._placement is None else self._placement.replicate(value)

    def experimental_local_results(self, value: T) -> tuple[T]:
        """Return the values of the replicas of this process: the one value over the global batch."""
        return (value,)

    def experimental_distribute_dataset(self, dataset: Iterable[Any]) -> Iterable[Any]:
        """Return a dataset whose batches are shared by the devices.

        Args:
            dataset: Anything that gives a structure of arrays per global batch and can be iterated as often as wanted.
                The number of rows need not be a multiple of the number of devices.

        Returns:
            A `DistributedDataset`, or the dataset itself if JAX decides about devices.

        Raises:
            ArgumentError: It is an array or cannot be iterated. A batch whose arrays differ in their number of rows
                raises a `DataError` when its turn comes.
        """
        checked = check_dataset(dataset)
        return checked if self._placement is None else DistributedDataset(checked, self._placement)

    def distribute_datasets_from_function(self, dataset_fn: Callable[[InputContext], Iterable[Any]]) -> Iterable[Any]:
        """Return a dataset of global batches, each joined from as many batches of a function's dataset as replicas.

        Args:
            dataset_fn: Takes an `InputContext` and returns a dataset of batches of the size **per replica**.
        """
        count = self.num_replicas_in_sync
        dataset = check_dataset(dataset_fn(InputContext(num_replicas_in_sync=count)))
        return self.experimental_distribute_dataset(dataset if count == 1 else JoinedBatches(dataset, count))


class OneDeviceStrategy(Strategy):
    """Keeps a model on one device and trains it there.

    Args:
        device: Its name, such as ``"cpu:0"``, ``"/gpu:1"`` or ``"/device:GPU:1"``, or a device of ``jax.devices()``.

    Raises:
        ArgumentError: The name has another form.
        SetupError: There is no such device.

    >>> OneDeviceStrategy("/cpu:0")
    OneDeviceStrategy(cpu:0)
    """

    def __init__(self, device: str | jax.Device) -> None:
        self._placement = BatchParallel([resolve_device(device)])


class MirroredStrategy(Strategy):
    """Keeps a copy of a model on each of several devices of this machine and shares each global batch among them.

    A step gives what one device gives for the same global batch, apart from the order in which sums are rounded. The
    rows of a batch need not be a multiple of the number of devices.

    Args:
        devices: Names such as ``"cpu:0"``, ``"/gpu:1"`` or ``"/device:GPU:1"``, or devices of ``jax.devices()``; by
            default all devices of JAX's default kind.

    Raises:
        ArgumentError: The list is empty, names a device twice or mixes kinds.
        SetupError: There is no such device.

    >>> strategy = MirroredStrategy(["cpu:0"])
    >>> strategy.num_replicas_in_sync
    1
    """

    def __init__(self, devices: Sequence[str | jax.Device] | None = None) -> None:
        self._placement = BatchParallel(resolve_devices(devices))


_default = Strategy()


def get_strategy() -> Strategy:
    """Return the strategy whose `scope` or `run` this thread is inside of, else the default strategy.

    >>> get_strategy().num_replicas_in_sync
    1
    """
    running = contexts.innermost()
    return _default if running is None else running.strategy


def get_replica_context() -> ReplicaContext | None:
    """Return what this code knows about its replica; None inside of a `scope` and outside of `run`, as in TensorFlow.

    >>> get_replica_context().replica_id_in_sync_group
    0
    """
    return None if contexts.in_cross_replica_context() else ReplicaContext(get_strategy())
