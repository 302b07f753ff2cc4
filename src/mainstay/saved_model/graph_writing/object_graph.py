"""The object graph: which objects `tf.saved_model.load` makes, how they hang together and what their functions take.

The same tree is stored twice: as a SavedObjectGraph in `saved_model.pb`, and as a TrackableObjectGraph among the
weights, where it says under which key the value of each variable lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mainstay.core import message_class
from mainstay.saved_model.graph_writing.structured_values import Spec, function_spec, structured, tensor_spec
from mainstay.saved_model.graphs.dtypes import Kind, number_of_kind
from mainstay.saved_model.graphs.tensors import write_shape
from mainstay.saved_model.structures import Parameter

ROOT = 0
_SIGNATURES = "signatures"
_VALUE = "VARIABLE_VALUE"


@dataclass(frozen=True, slots=True)
class _Stored:
    """Where the value of a variable lies."""

    full_name: str
    key: str


class ObjectGraph:
    """The objects of a saved model.

    Attributes:
        proto: The SavedObjectGraph.
    """

    def __init__(self) -> None:
        self.proto = message_class("tensorflow.SavedObjectGraph")()
        self._children: list[dict[str, int]] = []
        self._stored: dict[int, _Stored] = {}
        self._plain("_generic_user_object")
        self._paths: dict[tuple[str, ...], int] = {(): ROOT}
        self._signatures = self._plain("signature_map")
        self._link(ROOT, _SIGNATURES, self._signatures)

    def at(self, path: Sequence[str]) -> int:
        """Return the object at a path of attributes from the root, making plain objects on the way."""
        for end in range(1, len(path) + 1):
            step = tuple(path[:end])
            if step not in self._paths:
                self._paths[step] = self._plain("_generic_user_object")
                self._link(self._paths[step[:-1]], step[-1], self._paths[step])
        return self._paths[tuple(path)]

    def variable(self, name: str, key: str, *, kind: Kind, shape: Sequence[int], trainable: bool) -> int:
        """Add a variable at the path that its name is, and return its number.

        Args:
            name: Its name, such as ``encoder/dense/kernel``.
            key: Where its value lies in the weights.
            kind: Its dtype.
            shape: Its shape.
            trainable: Whether training changes it.
        """
        number, node = self._add()
        node.variable.dtype = number_of_kind(kind)
        write_shape(node.variable.shape, tuple(shape))
        node.variable.trainable = trainable
        node.variable.name = name
        *path, last = name.split("/")
        self._link(self.at(path), last, number)
        self._stored[number] = _Stored(name, key)
        return number

    def list_of(self, name: str, members: Sequence[int]) -> None:
        """Add a list of objects as an attribute of the root."""
        holder = self._plain("trackable_list_wrapper")
        for index, member in enumerate(members):
            self._link(holder, str(index), member)
        self._link(ROOT, name, holder)

    def asset(self, name: str, index: int) -> int:
        """Add the asset of a number in the meta graph, and return its number here."""
        number, node = self._add()
        node.asset.asset_file_def_index = index
        node.asset.SetInParent()
        self._link(self.at(["assets"]), name, number)
        return number

    def resource(self, name: str) -> int:
        """Add a resource, such as a table, and return its number."""
        number, node = self._add()
        node.resource.SetInParent()
        self._link(self.at(["resources"]), name, number)
        return number

    def attach(self, resource: int, functions: Mapping[str, tuple[str, Sequence[int], Kind]]) -> None:
        """Give a resource the functions that make, fill and destroy it.

        Args:
            resource: Its number.
            functions: By the name that TensorFlow calls it, the name of a function in the library, the numbers of the
                objects that it holds on to, and the dtype of its result.
        """
        for name, (function, bound, result) in functions.items():
            self._link(resource, name, self._resource_function(function, bound, result))

    def concrete(self, function: str, bound: Sequence[int], *, arguments: Any, results: Any) -> None:
        """Say what a function of the library takes and gives, and which objects it holds on to.

        Args:
            function: Its name in the library.
            bound: The numbers of the objects that its last arguments are.
            arguments: What it takes, a StructuredValue.
            results: What it gives, a StructuredValue.
        """
        concrete = self.proto.concrete_functions[function]
        concrete.bound_inputs.extend(bound)
        concrete.canonicalized_input_signature.CopyFrom(arguments)
        concrete.output_signature.CopyFrom(results)

    def _resource_function(self, function: str, bound: Sequence[int], result: Kind) -> int:
        nothing = structured({"tuple": [{"tuple": []}, {"dict": {}}]}, _no_spec)
        self.concrete(function, bound, arguments=nothing, results=tensor_spec(Spec("unknown", result, ())))
        number, node = self._add()
        node.function.concrete_functions.append(function)
        node.function.function_spec.CopyFrom(function_spec((), input_signature=True))
        return number

    def function(self, path: Sequence[str], concrete: Sequence[str], parameters: Sequence[Parameter]) -> None:
        """Add a function that may have several traced forms.

        Args:
            path: The attributes that lead to it from the root.
            concrete: The names of its forms in the library.
            parameters: Its parameters.
        """
        number, node = self._add()
        node.function.concrete_functions.extend(concrete)
        node.function.function_spec.CopyFrom(function_spec(parameters))
        self._link(self.at(path[:-1]), path[-1], number)

    def signature(self, name: str, function: str, *, keywords: Sequence[Parameter], names: Sequence[str]) -> None:
        """Add a signature, a function of the library that takes its inputs by name.

        Args:
            name: Its name.
            function: The function.
            keywords: Its parameters in order.
            names: What the inputs are called otherwise, in order.
        """
        number, node = self._add()
        bare = node.bare_concrete_function
        bare.concrete_function_name = function
        bare.argument_keywords.extend(names)
        # As TensorFlow does: the order of inputs is ambiguous only where there are several.
        bare.allowed_positional_arguments = int(len(names) == 1)
        bare.function_spec.CopyFrom(function_spec(keywords))
        self._link(self._signatures, name, number)

    def trackable(self) -> bytes:
        """Return the TrackableObjectGraph, serialised, that goes among the weights."""
        graph = message_class("tensorflow.TrackableObjectGraph")()
        for number, children in enumerate(self._children):
            node = graph.nodes.add()
            for name, child in children.items():
                node.children.add(node_id=child, local_name=name)
            stored = self._stored.get(number)
            node.has_checkpoint_values.value = stored is not None
            if stored is not None:
                node.attributes.add(name=_VALUE, full_name=stored.full_name, checkpoint_key=stored.key)
        return bytes(graph.SerializeToString(deterministic=True))

    def _add(self) -> tuple[int, Any]:
        self._children.append({})
        return len(self.proto.nodes), self.proto.nodes.add()

    def _plain(self, identifier: str) -> int:
        number, node = self._add()
        node.user_object.identifier = identifier
        node.user_object.version.producer = 1
        node.user_object.version.min_consumer = 1
        return number

    def _link(self, parent: int, name: str, child: int) -> None:
        """Make an object an attribute of another; where the name is taken, it gets another."""
        taken = self._children[parent]
        while name in taken:
            name += "_"
        taken[name] = child
        self.proto.nodes[parent].children.add(node_id=child, local_name=name)


def _no_spec(name: str) -> Spec:
    raise KeyError(name)
