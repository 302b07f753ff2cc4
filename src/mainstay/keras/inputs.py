"""The inputs of a model that was built by calling it: a Functional model around it, with the same variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from mainstay.core import ModelError


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
    shapes = model.get_build_config() or {}
    if "input_shape" in shapes:
        single = _inputs_of_shapes(shapes["input_shape"], model.input_dtype)
        return keras.Model(single, model(single))
    if "shapes_dict" in shapes:
        named = {
            name.removesuffix("_shape"): _inputs_of_shapes(shape, model.input_dtype)
            for name, shape in shapes["shapes_dict"].items()
        }
        return keras.Model(named, model(**named))
    raise ModelError(
        "the inputs of this model are not known",
        where=model.name,
        fix="call it once on data before saving it, or export it with an input_signature",
    )


def _input_of_spec(spec: Any) -> Any:
    shape = tuple(spec.shape)
    return keras.Input(shape[1:], dtype=str(spec.dtype or "float32"), name=getattr(spec, "name", None) or None)


def _inputs_of_shapes(shapes: Any, dtype: str) -> Any:
    if isinstance(shapes, Mapping):
        return {name: _inputs_of_shapes(shape, dtype) for name, shape in shapes.items()}
    if all(axis is None or isinstance(axis, int) for axis in shapes):
        return keras.Input(tuple(shapes[1:]), dtype=dtype)
    return [_inputs_of_shapes(shape, dtype) for shape in shapes]
