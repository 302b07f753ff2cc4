"""Programs as graphs, without TensorFlow."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import pytest
from jax import export

from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Library
from mainstay.saved_model.plain_ops.graph import stored_shape
from mainstay.saved_model.plain_ops.programs import emit


class Written:
    """A function as a graph."""

    def __init__(self, function: Callable[..., Any], *specs: str | tuple[str, str]) -> None:
        scope = export.SymbolicScope()
        shapes = [spec if isinstance(spec, tuple) else (spec, "float32") for spec in specs]
        arguments = [jax.ShapeDtypeStruct(export.symbolic_shape(shape, scope=scope), dtype) for shape, dtype in shapes]
        self.jaxpr = jax.make_jaxpr(function)(*arguments)
        self.library = Library()
        builder = FunctionBuilder("main")
        refs = [
            builder.argument(f"x{index}", aval.dtype, stored_shape(tuple(aval.shape)))
            for index, aval in enumerate(self.jaxpr.in_avals)
        ]
        self.results = emit(builder, self.library, self.jaxpr, refs)
        self.function = builder.finish({f"y{index}": ref for index, ref in enumerate(self.results)})

    @property
    def ops(self) -> Counter[str]:
        """How many nodes of each operation the results depend on, constants and results aside."""
        nodes = {node.name: node for node in self.function.node_def}
        reached: dict[str, str] = {}
        waiting = list(self.function.ret.values())
        while waiting:
            name = waiting.pop().split(":")[0]
            if name in nodes and name not in reached:
                reached[name] = nodes[name].op
                waiting += nodes[name].input
        return Counter(op for op in reached.values() if op not in ("Const", "Identity"))

    def node(self, op: str) -> Any:
        """The only node of an operation."""
        (found,) = [node for node in self.function.node_def if node.op == op]
        return found


@pytest.fixture
def written() -> type[Written]:
    """Writes functions as graphs."""
    return Written
