"""The main graph: variables, tables, placeholders and calls, which sessions of TensorFlow 1 and TF Serving run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mainstay.core import message_class
from mainstay.saved_model.graph_writing.functions import Ref, Shape, as_kind, identifier, numbered, write_node
from mainstay.saved_model.graph_writing.structured_values import Spec
from mainstay.saved_model.graphs.dtypes import Kind, number_of_kind
from mainstay.saved_model.graphs.tensors import write_shape

_METHODS = "tensorflow/serving/"
_INIT = "__saved_model_init_op"


class MainGraph:
    """A MetaGraphDef in the making.

    Attributes:
        proto: The MetaGraphDef.
    """

    def __init__(self) -> None:
        self.proto = message_class("tensorflow.MetaGraphDef")()
        self._names: set[str] = set()
        self._initializers: list[str] = []

    def node(
        self,
        op: str,
        inputs: Sequence[Ref],
        outputs: Sequence[tuple[Any, Shape]],
        *,
        name: str,
        attrs: Mapping[str, Any] | None = None,
        control: Iterable[str] = (),
    ) -> tuple[Ref, ...]:
        """Add a node under a name that nothing else has; see `FunctionBuilder.op`."""
        kinds = [(as_kind(dtype), shape) for dtype, shape in outputs]
        node = self.proto.graph_def.node.add(name=numbered(name, self._names), op=op)
        write_node(node, inputs, kinds, attrs=attrs or {}, control=control)
        return tuple(Ref(f"{node.name}:{index}", kind, shape) for index, (kind, shape) in enumerate(kinds))

    def variable(self, name: str, kind: Kind, shape: Sequence[int]) -> Ref:
        """Add a variable and return its handle; the node has the name that the resource is shared under."""
        attrs = {"shared_name": name, "dtype": kind, "shape": tuple(shape)}
        (handle,) = self.node("VarHandleOp", [], [("resource", ())], name=name, attrs=attrs)
        self.node("ReadVariableOp", [handle], [(kind, tuple(shape))], name=f"{name}/Read/ReadVariableOp")
        return handle

    def asset(self, file: str) -> tuple[int, Ref]:
        """Add an asset file and return its number and the tensor that will hold its path."""
        index = len(self.proto.asset_file_def)
        blank = np.array(b"", object)
        (path,) = self.node("Const", [], [("string", ())], name="asset_path_initializer", attrs={"value": blank})
        self.proto.asset_file_def.add(filename=file).tensor_info.name = path.text
        return index, path

    def call(self, function: str, inputs: Sequence[Ref], outputs: Sequence[tuple[Kind, Shape]], *, name: str) -> Any:
        """Call a function of the library and return its outputs."""
        attrs = {"f": function}
        return self.node("StatefulPartitionedCall", inputs, outputs, name=name, attrs=attrs)

    def initialize(self, function: str, inputs: Sequence[Ref]) -> None:
        """Call a function before the first request."""
        (result,) = self.call(function, inputs, [(np.dtype(np.int32), ())], name="initialize")
        self._initializers.append(result.node)

    def signature(
        self,
        name: str,
        function: str,
        *,
        inputs: Sequence[Spec],
        bound: Sequence[Ref],
        outputs: Sequence[Spec],
        method: str,
    ) -> None:
        """Add a signature: placeholders, a call and what they are known as.

        Args:
            name: Its name.
            function: The function that answers, in the library.
            inputs: What a request carries, in the order in which the function takes it.
            bound: The tensors that the function takes after them.
            outputs: What the function gives, in order.
            method: What it is for: predict, classify or regress.
        """
        given: list[Ref] = []
        signature = self.proto.signature_def[name]
        signature.method_name = _METHODS + method
        for spec in inputs:
            node = f"{identifier(name)}_{identifier(spec.name)}"
            attrs = {"dtype": spec.kind, "shape": spec.shape}
            given += self.node("Placeholder", [], [(spec.kind, spec.shape)], name=node, attrs=attrs)
            _describe(signature.inputs[spec.name], given[-1])
        answers = self.call(
            function,
            [*given, *bound],
            [(spec.kind, spec.shape) for spec in outputs],
            name=f"StatefulPartitionedCall_{identifier(name)}",
        )
        for spec, answer in zip(outputs, answers, strict=True):
            _describe(signature.outputs[spec.name], answer)

    def saver(self, save: str, restore: str, handles: Sequence[Ref]) -> None:
        """Say how a session saves and restores the variables.

        Args:
            save: A function that writes them.
            restore: A function that reads them.
            handles: What both take after the prefix of the files.
        """
        (prefix,) = self.node("Placeholder", [], [("string", ())], name="saver_filename", attrs={"shape": ()})
        (saved,) = self.call(save, [prefix, *handles], [("string", ())], name="StatefulPartitionedCall_save")
        (restored,) = self.call(restore, [prefix, *handles], [("string", ())], name="StatefulPartitionedCall_restore")
        definition = self.proto.saver_def
        definition.filename_tensor_name = prefix.text
        definition.save_tensor_name = saved.text
        definition.restore_op_name = restored.node
        definition.version = definition.V2

    def finish(self) -> None:
        """Add the operation that initialises everything, and say that this is the graph to serve."""
        self.node("NoOp", [], [], name="NoOp", control=self._initializers)
        self.proto.collection_def["saved_model_main_op"].node_list.value.append("NoOp")
        info = self.proto.signature_def[_INIT].outputs[_INIT]
        info.name = "NoOp"
        info.tensor_shape.unknown_rank = True


def _describe(info: Any, ref: Ref) -> None:
    info.name = ref.text
    info.dtype = number_of_kind(ref.dtype)
    write_shape(info.tensor_shape, ref.shape)
