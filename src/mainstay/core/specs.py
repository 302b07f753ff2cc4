"""Tensor specs and signatures: what a function takes and gives, as plain values that JSON can carry."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mainstay.core.errors import ArgumentError

DTYPES = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "string",
)
"""Every dtype that a tensor may have, by name; ``string`` is text or bytes."""


@dataclass(frozen=True, init=False)
class TensorSpec:
    """The shape, dtype and name of a tensor, as in `tf.TensorSpec`.

    Args:
        shape: The length of each axis; None stands for any length, the first None being the batch.
        dtype: A name of `DTYPES`, or anything whose ``str`` or ``name`` is one, such as `numpy.float32`.
        name: The name under which a signature takes or gives it.

    Raises:
        ArgumentError: The dtype is unknown, or the shape is not one.

    Example:
        >>> TensorSpec([None, 3], "float32", "x")
        TensorSpec(shape=(None, 3), dtype='float32', name='x')
    """

    shape: tuple[int | None, ...]
    dtype: str
    name: str

    def __init__(self, shape: Any = (), dtype: Any = "float32", name: str | None = None) -> None:
        try:
            axes = tuple(None if axis is None else operator.index(axis) for axis in shape)
        except TypeError:
            axes = (-1,)
        if any(axis is not None and axis < 0 for axis in axes):
            raise ArgumentError("this is no shape", expected="a list of integers from 0 up, or None", received=shape)
        object.__setattr__(self, "shape", axes)
        object.__setattr__(self, "dtype", _dtype_name(dtype))
        object.__setattr__(self, "name", name or "")

    def to_json(self) -> dict[str, Any]:
        """Return the spec as a JSON object with the keys ``name``, ``dtype`` and ``shape``."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TensorSpec:
        """Return the spec that `to_json` wrote."""
        return cls(value["shape"], value["dtype"], value["name"])


_PYTHON_TYPES: dict[type, str] = {bool: "bool", int: "int32", float: "float32", str: "string", bytes: "string"}


def _dtype_name(dtype: Any) -> str:
    name = _PYTHON_TYPES.get(dtype) if isinstance(dtype, type) else None
    if name is None:
        name = dtype if isinstance(dtype, str) else getattr(dtype, "name", getattr(dtype, "__name__", str(dtype)))
    name = {"object": "string", "str": "string"}.get(name, name)
    if name not in DTYPES:
        raise ArgumentError("unknown dtype", expected=f"one of {', '.join(DTYPES)}", received=repr(dtype))
    return name


@dataclass(frozen=True)
class Signature:
    """What one named function of a model takes and gives.

    Args:
        inputs: The specs of the inputs; names are unique.
        outputs: The specs of the outputs; names are unique.

    Raises:
        ArgumentError: A name is empty or comes twice.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def __post_init__(self) -> None:
        for kind in ("inputs", "outputs"):
            names = [spec.name for spec in getattr(self, kind)]
            if len(set(names)) != len(names) or "" in names:
                raise ArgumentError(f"the {kind} of a signature need unique names", received=names)

    def __iter__(self) -> Iterator[tuple[TensorSpec, ...]]:
        return iter((self.inputs, self.outputs))

    def to_json(self) -> dict[str, Any]:
        """Return the signature as a JSON object with the keys ``inputs`` and ``outputs``."""
        return {
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Signature:
        """Return the signature that `to_json` wrote."""
        return cls(
            tuple(TensorSpec.from_json(spec) for spec in value["inputs"]),
            tuple(TensorSpec.from_json(spec) for spec in value["outputs"]),
        )
