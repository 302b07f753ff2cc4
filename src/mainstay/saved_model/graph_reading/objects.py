"""The object graph of a SavedModel of TensorFlow 2: modules, variables, functions and tables as named children."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from mainstay.core import FormatError, message_class
from mainstay.saved_model.graph_reading.checkpoints import Checkpoint
from mainstay.saved_model.graph_reading.graph_ops.values import Variable

OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"


class ObjectGraph:
    """The objects of a model.

    Args:
        message: The `SavedObjectGraph`.
        checkpoint: The model's tensors, or None if it has none.

    Attributes:
        nodes: The `SavedObject` messages.
        paths: The path of each object that can be reached from the root, such as ``layer.kernel``.
        variables: The variables by the number of their object.

    Raises:
        FormatError: It is malformed.
    """

    def __init__(self, message: Any, checkpoint: Checkpoint | None) -> None:
        self.nodes = message.nodes
        self.functions: Mapping[str, Any] = message.concrete_functions
        self.paths: dict[int, str] = {}
        self.variables: dict[int, Variable] = {}
        tracked = _tracked_objects(checkpoint)
        pairs = self._walk(tracked)
        for number, node in enumerate(self.nodes):
            if node.WhichOneof("kind") == "variable":
                key = _checkpoint_key(tracked, pairs.get(number))
                name = self.paths.get(number) or node.variable.name or f"variable {number}"
                self.variables[number] = _variable(name, key, checkpoint, node.variable.trainable)

    def children(self, number: int) -> dict[str, int]:
        """Return the children of an object by name.

        Raises:
            FormatError: A child is not there.
        """
        found = {child.local_name: child.node_id for child in self.nodes[number].children}
        for name, child in found.items():
            if not 0 <= child < len(self.nodes):
                raise FormatError("an object has a child that is not there", where=name, received=child)
        return found

    def _walk(self, tracked: Any) -> dict[int, int]:
        """Return which tracked object of the checkpoint each object is, and note the paths."""
        pairs: dict[int, int] = {}
        if not self.nodes:
            return pairs
        self.paths[0] = ""
        pending = deque([(0, 0 if tracked else None)])
        while pending:
            number, twin = pending.popleft()
            if twin is not None and number not in pairs:
                pairs[number] = twin
            twins = {} if twin is None else {child.local_name: child.node_id for child in tracked[twin].children}
            for name, child in self.children(number).items():
                other = twins.get(name)
                if other is not None and not 0 <= other < len(tracked):
                    raise FormatError("an object of the checkpoint has a child that is not there", received=other)
                if child not in self.paths or (other is not None and child not in pairs):
                    prefix = self.paths[number]
                    self.paths.setdefault(child, f"{prefix}.{name}" if prefix else name)
                    pending.append((child, other))
        return pairs


def _tracked_objects(checkpoint: Checkpoint | None) -> Any:
    from google.protobuf.message import DecodeError

    if checkpoint is None or OBJECT_GRAPH_KEY not in checkpoint:
        return ()
    content = checkpoint.read(OBJECT_GRAPH_KEY)
    try:
        return message_class("tensorflow.TrackableObjectGraph").FromString(content.reshape(-1)[0]).nodes
    except (DecodeError, IndexError, TypeError) as error:
        raise FormatError("the objects of the checkpoint are malformed", received=error) from error


def _checkpoint_key(tracked: Any, number: int | None) -> str | None:
    if number is None:
        return None
    return next((each.checkpoint_key for each in tracked[number].attributes if each.name == _VALUE), None)


def _variable(name: str, key: str | None, checkpoint: Checkpoint | None, trainable: bool) -> Variable:
    if checkpoint is None or key is None or key not in checkpoint:
        return Variable(name, trainable=trainable)
    return Variable(name, load=lambda: checkpoint.read(key), trainable=trainable)
