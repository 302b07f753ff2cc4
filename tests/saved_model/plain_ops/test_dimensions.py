"""Symbolic lengths as scalars: every expression gives the number that JAX gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import export

from mainstay.core import ModelError
from mainstay.saved_model.graph_writing.functions import FunctionBuilder
from mainstay.saved_model.graphs.tensors import read_tensor_proto
from mainstay.saved_model.plain_ops.dimensions import Dimensions

OPS = {
    "AddV2": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "FloorDiv": np.floor_divide,
    "FloorMod": np.mod,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Neg": np.negative,
    "Pack": lambda *values: np.array(values),
}


def evaluate(builder: FunctionBuilder, ref, lengths: dict[str, int]) -> int:
    """What a scalar is, for such inputs."""
    function = builder.finish({"y": ref})
    values: dict[str, object] = {}

    def read(text: str):
        return values[text.split(":")[0]]

    for node in function.node_def:
        if node.op == "Const":
            values[node.name] = read_tensor_proto(node.attr["value"].tensor)
        elif node.op == "Shape":
            values[node.name] = np.array([lengths["batch"], lengths["n1"]], np.int32)
        elif node.op == "StridedSlice":
            values[node.name] = read(node.input[0])[int(read(node.input[1])[0])]
        elif node.op == "Identity":
            return int(read(node.input[0]))
        else:
            values[node.name] = OPS[node.op](*(read(text) for text in node.input))
    raise AssertionError("there is no result")


EXPRESSIONS = [
    "batch",
    "2*batch + 3*n1 - 5",
    "batch*n1 + batch",
    "batch^2*n1",
    "floordiv(batch + 1, 2)",
    "mod(batch*n1, 3)",
    "max(0, n1 - 2)",
    "min(batch, n1) + max(batch, 3*n1)",
    "floordiv(max(batch - 3, 1) + n1, 2) - mod(n1, 4)",
]


@pytest.mark.parametrize("text", EXPRESSIONS)
@settings(max_examples=20)
@given(batch=st.integers(1, 50), n1=st.integers(1, 50))
def test_an_expression_is_the_number_that_jax_gives(text, batch, n1):
    scope = export.SymbolicScope()
    (dimension,) = export.symbolic_shape(text + ",", scope=scope)
    builder = FunctionBuilder("lengths")
    x = builder.argument("x", np.float32, (None, None))
    dimensions = Dimensions(builder, {"batch": (x, 0), "n1": (x, 1)})
    wanted = eval(
        text.replace("^", "**"),
        {"floordiv": lambda a, b: a // b, "mod": lambda a, b: a % b, "max": max, "min": min},
        {"batch": batch, "n1": n1},
    )
    assert evaluate(builder, dimensions.scalar(dimension), {"batch": batch, "n1": n1}) == wanted


def test_a_number_is_a_constant():
    builder = FunctionBuilder("lengths")
    assert Dimensions(builder).scalar(7).text.startswith("Const")


def test_the_same_length_is_computed_once():
    builder = FunctionBuilder("lengths")
    x = builder.argument("x", np.float32, (None, 3))
    (dimension,) = export.symbolic_shape("2*batch + 1,")
    dimensions = Dimensions(builder, {"batch": (x, 0)})
    assert dimensions.scalar(dimension) is dimensions.scalar(dimension)


def test_a_length_that_no_input_has_is_an_error():
    (dimension,) = export.symbolic_shape("elsewhere,")
    with pytest.raises(ModelError, match="does not follow from the shapes"):
        Dimensions(FunctionBuilder("lengths")).scalar(dimension)


@pytest.mark.parametrize("text", ["batch if batch else 1", "batch.real", "(", "f(batch)", "batch ** -1", "'batch'"])
def test_a_text_that_is_no_expression_of_lengths_is_an_error(text):
    builder = FunctionBuilder("lengths")
    x = builder.argument("x", np.float32, (None,))
    with pytest.raises(ModelError):
        Dimensions(builder, {"batch": (x, 0)}).scalar(text)
