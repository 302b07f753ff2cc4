"""Strategies: one program trains a model on several devices, and gives what one device gives."""

from mainstay.distribute import _setup  # noqa: F401  # isort: skip  (first: it chooses the backend)

from mainstay.distribute.contexts import ReplicaContext, has_strategy, in_cross_replica_context
from mainstay.distribute.datasets import DistributedDataset, InputContext
from mainstay.distribute.reductions import ReduceOp, compute_average_loss, scale_regularization_loss
from mainstay.distribute.strategies import (
    MirroredStrategy,
    OneDeviceStrategy,
    Strategy,
    get_replica_context,
    get_strategy,
)

__all__ = [
    "DistributedDataset",
    "InputContext",
    "MirroredStrategy",
    "OneDeviceStrategy",
    "ReduceOp",
    "ReplicaContext",
    "Strategy",
    "compute_average_loss",
    "get_replica_context",
    "get_strategy",
    "has_strategy",
    "in_cross_replica_context",
    "scale_regularization_loss",
]
