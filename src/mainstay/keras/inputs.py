"""The inputs of a model that was built by calling it: a Functional model around it, with the same variables.

Keras remembers the shape of the first argument of the first call; here names, shapes and dtypes of all are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from mainstay.core import ModelError

_FIRST_CALL = "_mainstay_first_call"
_maybe_build = keras.Model._maybe_build


def _build(self: Any, call: Any) -> None:
    """Remember what a model is called with when that builds it."""
    if not self.built and _FIRST_CALL not in self.__dict__:
        self.__dict__[_FIRST_CALL] = {
            name: keras.tree.map_structure(_spec, value) for name, value in call.tensor_arguments_dict.items()
        }
    _maybe_build(self, call)


def _spec(tensor: Any) -> keras.InputSpec | None:
    return None if tensor is None else keras.InputSpec(shape=(None, *tensor.shape[1:]), dtype=str(tensor.dtype))


def install() -> None:
    """Let every model remember its first call, and `saved_model` find the model with inputs that follows from it."""
    keras.Model._maybe_build = _build
    keras.Model._mainstay_functional_form = functional_form


def functional_form(model: keras.Model, input_signature: Any = None) -> keras.Model:
    """Return a model with known inputs that computes the same with the same variables.

    Raises:
        ModelError: The model is not built.
    """
    if not getattr(model, "built", False):
        raise ModelError(
            "this model is not built: it has no weights yet",
            where=model.name,
            fix="give it a keras.Input or an input_shape, or call it once on data",
        )
    if input_signature is None and getattr(model, "inputs", None):
        return model
    if input_signature is not None:
        specs = input_signature if isinstance(input_signature, (list, tuple)) else [input_signature]
        arguments = [keras.tree.map_structure(_input_of_spec, spec) for spec in specs]
        return keras.Model(arguments if len(arguments) > 1 else arguments[0], model(*arguments))
    first_call = model.__dict__.get(_FIRST_CALL, {})
    if len(first_call) > 1:
        named = {
            name: _input_of_spec(spec, name)
            if isinstance(spec, keras.InputSpec)
            else keras.tree.map_structure(_input_of_spec, spec)
            for name, spec in first_call.items()
        }
        return keras.Model(named, model(**named))
    if first_call:
        [spec] = first_call.values()
        single = keras.tree.map_structure(_input_of_spec, spec)
        return keras.Model(single, model(single))
    shapes = model.get_build_config() or {}
    if "input_shape" in shapes:
        single = _inputs_of_shapes(shapes["input_shape"], model.input_dtype)
        return keras.Model(single, model(single))
    raise ModelError(
        "the inputs of this model are not known",
        where=model.name,
        fix="call it once on data before saving it, or export it with an input_signature",
    )


def _input_of_spec(spec: Any, name: str | None = None) -> Any:
    return keras.Input(tuple(spec.shape)[1:], dtype=str(spec.dtype or "float32"), name=name or spec.name or None)


def _inputs_of_shapes(shapes: Any, dtype: str) -> Any:
    if isinstance(shapes, Mapping):
        return {name: _inputs_of_shapes(shape, dtype) for name, shape in shapes.items()}
    if all(axis is None or isinstance(axis, int) for axis in shapes):
        return keras.Input(tuple(shapes[1:]), dtype=dtype)
    return [_inputs_of_shapes(shape, dtype) for shape in shapes]
