"""Keras models as serving functions, by what a Keras 3 model looks like; Keras itself is not imported here."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mainstay.core import ModelError, TensorSpec
from mainstay.hostops import HostGraph
from mainstay.saved_model.serving_function import Arrays, ServingFunction

_AUTOMATIC_INPUT = re.compile(r"(keras_tensor|input_layer|input)(_\d+)?")

_TOLERANCE = 1e-5
"""How far answers of deep models in float32 may be apart in two batch sizes, for which XLA takes different kernels."""


def is_keras_model(obj: object) -> bool:
    """Return whether an object has what `from_keras_model` needs."""
    return all(hasattr(obj, name) for name in ("stateless_call", "trainable_variables", "non_trainable_variables"))


def from_keras_model(
    model: Any,
    *,
    output_names: Sequence[str] | None = None,
    prefix: HostGraph | None = None,
    suffix: HostGraph | None = None,
) -> ServingFunction:
    """Return what a Keras 3 model does at inference as a serving function.

    It is traced with ``training=False``, so that dropout and the like are off. Its inputs have the names that the
    model's author gave them; names that Keras counted up by itself become ``inputs``, or ``inputs_0``, ``inputs_1``.

    Args:
        model: A built model on the JAX backend: Functional, Sequential, or one of its own class that was called once.
        output_names: A name for each output, in order. The default is the keys of a dict of outputs, the name that
            the author gave to an output's layer, or ``output_0``, ``output_1``.
        prefix: Turns raw columns into the model's inputs, matched by name; what else it makes is left out.
        suffix: Turns the model's outputs into the answers.

    Raises:
        ModelError: The model is not built, or its inputs or outputs are of a form that signatures cannot name.
    """
    form = getattr(model, "_mainstay_functional_form", None)
    if form is not None and getattr(model, "built", False) and not getattr(model, "inputs", None):
        # The keras room knows what a model was called with that has no inputs of its own.
        model = form()
    if not is_keras_model(model) or not getattr(model, "built", False) or not getattr(model, "inputs", None):
        raise ModelError(
            "the inputs of this model are not known",
            where=getattr(model, "name", None),
            expected="a built Functional or Sequential Keras model",
            received=type(model).__name__,
            fix="build it with keras.Input, or pass a ServingFunction",
        )
    structure = getattr(model, "_inputs_struct", None)
    keys = list(structure) if isinstance(structure, Mapping) else None
    specs = _input_specs(model, structure if keys else None)
    names = [spec.name for spec in specs]
    nested = isinstance(structure, (list, tuple)) or len(names) > 1
    results = list(output_names) if output_names is not None else _output_names(model)
    trainable, frozen = list(model.trainable_variables), list(model.non_trainable_variables)
    weights = _weights([*trainable, *frozen])
    order = list(weights)

    def _call(weights: Arrays, inputs: Arrays) -> dict[str, Any]:
        from mainstay.framework import plain_kernels

        values = [weights[name] for name in order]
        given = [inputs[name] for name in names]
        if keys is not None:
            arguments: Any = dict(zip(keys, given, strict=True))
        else:
            arguments = given if nested else given[0]
        split = len(trainable)
        with plain_kernels(), _whole_tracebacks():
            outputs, _ = model.stateless_call(values[:split], values[split:], arguments, training=False)
        return _named(outputs, getattr(model, "_outputs_struct", None), results)

    return ServingFunction(
        _call, specs, weights, prefix, suffix, frozen=frozenset(order[len(trainable) :]), tolerance=_TOLERANCE
    )


@contextlib.contextmanager
def _whole_tracebacks() -> Iterator[None]:
    """Let Keras keep the frames of its layers in tracebacks, from which it is told which layer went wrong."""
    config: Any = sys.modules["keras"].config if "keras" in sys.modules else None
    if config is None or not config.is_traceback_filtering_enabled():
        yield
        return
    config.disable_traceback_filtering()
    try:
        yield
    finally:
        config.enable_traceback_filtering()


def _input_specs(model: Any, structure: Mapping[str, Any] | None) -> tuple[TensorSpec, ...]:
    tensors = list(model.inputs) if structure is None else list(structure.values())
    names = [str(tensor.name) for tensor in tensors] if structure is None else list(structure)
    automatic = [_AUTOMATIC_INPUT.fullmatch(name) is not None for name in names]
    names = [
        name if not by_keras else "inputs" if len(names) == 1 else f"inputs_{index}"
        for index, (name, by_keras) in enumerate(zip(names, automatic, strict=True))
    ]
    if not all(hasattr(tensor, "shape") for tensor in tensors) or len(set(names)) != len(names):
        raise ModelError(
            "the inputs of this model cannot be named", expected="one flat dict or list of inputs", received=names
        )
    for tensor, name in zip(tensors, names, strict=True):
        if tensor.shape and tensor.shape[0] is not None:
            raise ModelError(
                "the batch size of this model is fixed, and a saved model takes any",
                where=name,
                expected=f"the shape {(None, *tensor.shape[1:])}",
                received=tensor.shape,
                fix="build it with keras.Input(shape=...) and copy the weights, or save it as a .keras file",
            )
    return tuple(TensorSpec(t.shape, str(t.dtype), name) for t, name in zip(tensors, names, strict=True))


def _output_names(model: Any) -> list[str]:
    structure = getattr(model, "_outputs_struct", None)
    if isinstance(structure, Mapping):
        return [str(name) for name in structure]
    layers = getattr(model, "output_names", None) or [model.layers[-1].name]
    by_name = {layer.name: layer for layer in model.layers}
    names = [
        name if name in by_name and not _counted(name, by_name[name]) else f"output_{index}"
        for index, name in enumerate(layers)
    ]
    return names if len(set(names)) == len(names) else [f"output_{index}" for index in range(len(layers))]


def _counted(name: str, layer: Any) -> bool:
    """Return whether Keras made a layer's name up from its class, with a number that depends on what came before."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
    snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
    return re.fullmatch(rf"{re.escape(snake)}(_\d+)?", name) is not None


def _weights(variables: list[Any]) -> dict[str, np.ndarray[Any, Any]]:
    weights: dict[str, np.ndarray[Any, Any]] = {}
    for variable in variables:
        path = str(variable.path)
        name, count = path, 0
        while name in weights:
            count += 1
            name = f"{path}_{count}"
        weights[name] = np.asarray(variable.value)
    return weights


def _named(outputs: Any, structure: Any, names: list[str]) -> dict[str, Any]:
    if isinstance(outputs, Mapping):
        values = [outputs[key] for key in (structure if isinstance(structure, Mapping) else outputs)]
    else:
        values = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if len(values) != len(names) or any(isinstance(value, (list, tuple, Mapping)) for value in values):
        raise ModelError("the outputs of this model cannot be named", expected=names, received=f"{len(values)} outputs")
    return dict(zip(names, values, strict=True))
