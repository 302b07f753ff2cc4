"""Structured values: the nested arguments and results of a function, and its parameters, as TensorFlow stores them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mainstay.core import message_class
from mainstay.saved_model.graphs.dtypes import Kind, number_of_kind
from mainstay.saved_model.graphs.tensors import write_shape
from mainstay.saved_model.structures import Parameter, Structure, names


@dataclass(frozen=True, slots=True)
class Spec:
    """A tensor at the border of a function.

    Args:
        name: Its name.
        kind: Its dtype, or "string" or "resource".
        shape: Its shape.
    """

    name: str
    kind: Kind
    shape: tuple[int | None, ...] | None


def tensor_spec(spec: Spec) -> Any:
    """Return the StructuredValue of a `tf.TensorSpec`."""
    value = message_class("tensorflow.StructuredValue")()
    value.tensor_spec_value.name = spec.name
    value.tensor_spec_value.dtype = number_of_kind(spec.kind)
    write_shape(value.tensor_spec_value.shape, spec.shape)
    return value


def structured(structure: Structure, spec_of: Callable[[str], Spec]) -> Any:
    """Return the StructuredValue of a structure; see `structures`.

    Args:
        structure: The structure.
        spec_of: Gives the spec of a tensor by its name.
    """
    ((kind, inside),) = structure.items()
    if kind == "tensor":
        return tensor_spec(spec_of(inside))
    value = message_class("tensorflow.StructuredValue")()
    if kind == "value":
        _set_scalar(value, inside)
    elif kind == "dict":
        value.dict_value.SetInParent()
        for key, item in inside.items():
            value.dict_value.fields[key].CopyFrom(structured(item, spec_of))
    else:
        target = value.list_value if kind == "list" else value.tuple_value
        target.SetInParent()
        target.values.extend(structured(item, spec_of) for item in inside)
    return value


def _set_scalar(value: Any, scalar: Any) -> None:
    if scalar is None:
        value.none_value.SetInParent()
    elif isinstance(scalar, bool):
        value.bool_value = scalar
    elif isinstance(scalar, int):
        value.int64_value = scalar
    elif isinstance(scalar, float):
        value.float64_value = scalar
    else:
        value.string_value = scalar


def structured_arguments(parameters: Sequence[Parameter], spec_of: Callable[[str], Spec]) -> Any:
    """Return the StructuredValue of a call: the positional arguments and a dict of those by keyword."""
    positional = [parameter.value for parameter in parameters if not parameter.keyword_only]
    keywords = {parameter.name: parameter.value for parameter in parameters if parameter.keyword_only}
    return structured({"tuple": [{"tuple": positional}, {"dict": keywords}]}, spec_of)


def flat_names(structure: Structure) -> list[str]:
    """Return the names of the tensors of a structure in the order in which TensorFlow passes them: dicts are sorted."""
    ((kind, inside),) = structure.items()
    if kind == "dict":
        return [name for key in sorted(inside) for name in flat_names(inside[key])]
    if kind in ("list", "tuple"):
        return [name for item in inside for name in flat_names(item)]
    return list(names(structure))


def flat_arguments(parameters: Sequence[Parameter]) -> list[str]:
    """Return the names of the tensors of a call in the order in which TensorFlow passes them."""
    positional = [parameter.value for parameter in parameters if not parameter.keyword_only]
    keywords = {parameter.name: parameter.value for parameter in parameters if parameter.keyword_only}
    return flat_names({"tuple": [*positional, {"dict": keywords}]})


def function_spec(parameters: Sequence[Parameter], *, input_signature: bool = False) -> Any:
    """Return the FunctionSpec of a function.

    Args:
        parameters: Its parameters; one without a tensor in it gets its value as the default.
        input_signature: Whether it takes nothing and says so, as the functions of a resource do.
    """
    positional = [parameter for parameter in parameters if not parameter.keyword_only]
    keywords = [parameter for parameter in parameters if parameter.keyword_only]
    fixed = {parameter.name: parameter.value for parameter in parameters if not list(names(parameter.value))}
    trailing = _trailing(positional, fixed)
    fields: Mapping[str, Structure] = {
        "args": {"list": [{"value": parameter.name} for parameter in positional]},
        "varargs": {"value": None},
        "varkw": {"value": None},
        "defaults": {"tuple": trailing} if trailing else {"value": None},
        "kwonlyargs": {"list": [{"value": parameter.name} for parameter in keywords]},
        "kwonlydefaults": _keyword_defaults(keywords, fixed),
        "annotations": {"dict": {}},
    }
    spec = message_class("tensorflow.FunctionSpec")()
    named = spec.fullargspec.named_tuple_value
    named.name = "FullArgSpec"
    for key, value in fields.items():
        named.values.add(key=key).value.CopyFrom(structured(value, _no_tensor))
    if input_signature:
        spec.input_signature.tuple_value.SetInParent()
    else:
        spec.input_signature.none_value.SetInParent()
    return spec


def _trailing(positional: Sequence[Parameter], fixed: Mapping[str, Structure]) -> list[Structure]:
    """Return the defaults of the last parameters, as Python has them."""
    defaults: list[Structure] = []
    for parameter in reversed(positional):
        if parameter.name not in fixed:
            break
        defaults.insert(0, fixed[parameter.name])
    return defaults


def _keyword_defaults(keywords: Sequence[Parameter], fixed: Mapping[str, Structure]) -> Structure:
    defaults = {parameter.name: fixed[parameter.name] for parameter in keywords if parameter.name in fixed}
    return {"dict": defaults} if defaults else {"value": None}


def _no_tensor(name: str) -> Spec:
    raise KeyError(name)
