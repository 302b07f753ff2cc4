"""`input_signature`: holds the arguments of a call against the specs that a function was given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mainstay.core import ArgumentError, TensorSpec
from mainstay.framework.functions.arguments import Parameters, describe
from mainstay.framework.functions.structures import ARRAYS, tree
from mainstay.framework.keras_internals import is_variable, read_uncast


class InputSignature:
    """The specs of a function's first parameters; arguments are checked against them and Python values converted.

    Args:
        specs: One spec, or one structure of specs, for each of the first parameters.
        parameters: The parameters of the function.

    Raises:
        ArgumentError: There is something else than specs in it, more specs than parameters, or a parameter without a
            spec and without a default.
    """

    def __init__(self, specs: Any, parameters: Parameters) -> None:
        if not isinstance(specs, (list, tuple)):
            raise ArgumentError(
                "input_signature is a list or tuple with one entry for each argument",
                where=parameters.name,
                received=type(specs).__name__,
            )
        for leaf in tree.tree_leaves(list(specs)):
            if not isinstance(leaf, TensorSpec):
                raise ArgumentError(
                    "input_signature holds TensorSpecs, alone or in structures",
                    where=parameters.name,
                    received=repr(leaf),
                )
        self.specs = tuple(specs)
        self._parameters = parameters
        kinds = [item for item in parameters.signature.parameters.values() if item.kind is not item.VAR_KEYWORD]
        # A method that is not bound yet: its object is no part of the signature.
        self._skip = int(bool(kinds) and kinds[0].name in ("self", "cls"))
        kinds = kinds[self._skip :]
        names = [item.name for item in kinds if item.kind not in (item.KEYWORD_ONLY, item.VAR_POSITIONAL)]
        rest = next((item.name for item in kinds if item.kind is item.VAR_POSITIONAL), None)
        if rest is not None:
            names += [f"{rest}[{index}]" for index in range(len(specs) - len(names))]
        required = [item.name for item in kinds[len(specs) :] if item.default is item.empty and item.name != rest]
        if len(specs) > len(names) or required:
            raise ArgumentError(
                "input_signature does not fit the parameters of the function",
                where=parameters.name,
                expected=f"one entry for each of {', '.join(names) or 'its 0 parameters'}; the rest need defaults",
                received=f"{len(specs)} entries",
            )
        self.names = names[: len(specs)]

    def apply(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Return the arguments as positional arrays of the right dtype.

        Raises:
            ArgumentError: A structure, dtype or shape is not what the spec says; the path of the argument is in it.
        """
        bound = self._parameters.bind(args, kwargs)
        given, rest = self._parameters.unbind(bound)
        objects, given = given[: self._skip], given[self._skip :]
        if len(given) < len(self.specs):
            raise ArgumentError(
                "arguments are missing",
                where=self._parameters.name,
                expected=f"{len(self.specs)} by input_signature: {', '.join(self.names)}",
                received=f"{len(given)}",
            )
        extra = given[len(self.specs) :]
        if any(isinstance(leaf, ARRAYS) for leaf in tree.tree_leaves((extra, rest))):
            raise ArgumentError(
                "an argument that input_signature does not name is an array",
                where=self._parameters.name,
                expected=f"arrays for {', '.join(self.names) or 'nothing'} alone",
                fix="add a spec for it",
            )
        checked = [match(*item) for item in zip(self.specs, given, self.names, strict=False)]
        return (*objects, *checked, *extra), rest


def match(spec: Any, value: Any, path: str) -> Any:
    """Return a value with its leaves converted as the spec says.

    Args:
        spec: A spec, or a structure of specs.
        value: What was handed in.
        path: Where it stands, for messages.
    """
    if isinstance(spec, TensorSpec):
        return _match_leaf(spec, value, path)
    if isinstance(spec, Mapping):
        if not isinstance(value, Mapping) or set(value) != set(spec):
            raise _wrong_structure(path, f"a dict with the keys {sorted(spec, key=str)}", value)
        return {key: match(item, value[key], f"{path}[{key!r}]") for key, item in spec.items()}
    if isinstance(spec, (list, tuple)):
        if not isinstance(value, (list, tuple)) or len(value) != len(spec):
            raise _wrong_structure(path, f"a {type(spec).__name__} of {len(spec)}", value)
        items = [match(item, value[index], f"{path}[{index}]") for index, item in enumerate(spec)]
        return type(spec)(*items) if hasattr(spec, "_fields") else type(spec)(items)
    return value


def _wrong_structure(path: str, expected: str, value: Any) -> ArgumentError:
    if isinstance(value, Mapping):
        received = f"a dict with the keys {sorted(value, key=str)}"
    elif isinstance(value, (list, tuple)):
        received = f"a {type(value).__name__} of {len(value)}"
    else:
        received = describe(value)
    return ArgumentError(
        "an argument has another structure than input_signature says", where=path, expected=expected, received=received
    )


def _match_leaf(spec: TensorSpec, value: Any, path: str) -> Any:
    array: Any
    if isinstance(value, TensorSpec):
        array = value
    elif is_variable(value):
        array = read_uncast(value)
    elif isinstance(value, jax.Array):
        array = value
    else:
        array = _converted(spec, value, path)
    if _held_dtype(array) != _held_dtype(spec):
        raise _wrong(spec, array, path, "dtype")
    fits = len(array.shape) == len(spec.shape) and all(
        wanted in (None, got) for wanted, got in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        raise _wrong(spec, array, path, "shape")
    return array


def _held_dtype(value: Any) -> Any:
    """Return the dtype in which JAX holds a value: without `jax_enable_x64` that of 64 bits is the one of 32."""
    return value.dtype if value.dtype == "string" else jax.dtypes.canonicalize_dtype(value.dtype)


def _converted(spec: TensorSpec, value: Any, path: str) -> Any:
    """Return a Python value, or an array of NumPy, in the dtype of a spec; only the width of a dtype may change."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise _wrong_structure(path, describe(spec), value) from None
    if spec.dtype == "string" or array.dtype == object:
        raise _wrong(spec, array, path, "dtype")
    wanted = jax.numpy.dtype(spec.dtype)
    is_python = not isinstance(value, (np.ndarray, np.generic))
    same_kind = _kind(array.dtype) == _kind(wanted) or (is_python and array.size == 0)
    if not (same_kind or (is_python and _kind(array.dtype) == "int" and _kind(wanted) == "float")):
        return array
    try:
        return np.asarray(value, wanted) if is_python else array.astype(wanted)
    except OverflowError:
        raise _wrong(spec, array, path, "dtype") from None


def _kind(dtype: Any) -> str:
    kinds = {"bool": np.bool_, "int": np.integer, "float": np.floating}
    return next((name for name, kind in kinds.items() if jax.numpy.issubdtype(dtype, kind)), "other")


def _wrong(spec: TensorSpec, array: Any, path: str, what: str) -> ArgumentError:
    return ArgumentError(
        f"an argument has another {what} than input_signature says",
        where=path,
        expected=describe(spec),
        received=describe(array),
        fix=f"convert it: `cast({path}, {spec.dtype!r})`" if what == "dtype" and spec.dtype != "string" else None,
    )
