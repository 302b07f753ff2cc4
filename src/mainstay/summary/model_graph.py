"""The graph of operations of a Keras model, traced from its inputs' shapes."""

from __future__ import annotations

import inspect
from typing import Any

import jax

from mainstay.core import ModelError
from mainstay.summary.jaxpr_graph import graph_of_jaxpr

_STAND_IN = 32
"""The size of a dimension that is unknown, where a layer cannot be traced without one."""


def graph_of_model(model: Any) -> Any:
    """Return the `tensorflow.GraphDef` of one training call of a model: layers are scopes, weights lie in them.

    Raises:
        ModelError: The model is not built, or its inputs are not known.
    """
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    num_trainable = len(model.trainable_variables)
    weights = [_struct(variable.shape, variable.dtype) for variable in variables]
    inputs = _inputs(model)
    mode = {"training": True} if "training" in inspect.signature(model.call).parameters else {}

    def call(weights: list[Any], inputs: Any) -> Any:
        outputs, _ = model.stateless_call(weights[:num_trainable], weights[num_trainable:], inputs, **mode)
        return outputs

    try:
        program = jax.make_jaxpr(call)(weights, _shapes(inputs, symbolic=True))
    except Exception:  # many operations need sizes that are numbers
        program = jax.make_jaxpr(call)(weights, _shapes(inputs, symbolic=False))
    leaves = jax.tree.leaves(inputs, is_leaf=lambda leaf: hasattr(leaf, "shape"))
    names = [variable.path.removeprefix(f"{model.name}/") for variable in variables]
    names += [f"inputs/{leaf.name}" for leaf in leaves]
    return graph_of_jaxpr(program, names, dict.fromkeys(range(len(variables)), "Variable"))


def _inputs(model: Any) -> Any:
    """Return the structure of the model's inputs: values with `shape`, `dtype` and `name`."""
    if getattr(model, "inputs", None):
        inputs = getattr(model, "_inputs_struct", model.inputs)
        return inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else inputs
    shape = (model.get_build_config() or {}).get("input_shape") if model.built else None
    if shape is None or not all(size is None or isinstance(size, int) for size in shape):
        raise ModelError(
            "the graph of a model needs the shapes of its inputs",
            where=model.name,
            fix="build the model of keras.Input, or call its build() with the shape of its one input",
        )
    return _Input(tuple(shape), model.compute_dtype, "input")


class _Input:
    def __init__(self, shape: tuple[int | None, ...], dtype: str, name: str) -> None:
        self.shape, self.dtype, self.name = shape, dtype, name


def _struct(shape: Any, dtype: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(tuple(shape), dtype)  # type: ignore[no-untyped-call]


def _shapes(inputs: Any, *, symbolic: bool) -> Any:
    scope = jax.export.SymbolicScope()

    def size(number: int, value: int | None) -> Any:
        if value is not None:
            return value
        return (
            jax.export.symbolic_shape("batch" if number == 0 else f"d{number}", scope=scope)[0]
            if symbolic
            else _STAND_IN
        )

    def struct(leaf: Any) -> jax.ShapeDtypeStruct:
        return _struct([size(n, value) for n, value in enumerate(leaf.shape)], leaf.dtype)

    return jax.tree.map(struct, inputs, is_leaf=lambda leaf: hasattr(leaf, "shape"))
