"""What a program takes and gives: the plain values that describe a portable StableHLO module."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

STABLEHLO_VERSION = "1.9.0"
"""The version that modules are written at: readers of the following five years take it."""

PLATFORMS = ("cpu", "cuda", "tpu")
"""The platforms that one module runs on."""

BATCH = "batch"
"""The symbol of the first axis of every input and output."""

Dimension: TypeAlias = int | str


@dataclass(frozen=True, slots=True)
class ProgramTensor:
    """An argument or a result of a program.

    Args:
        name: The name of the weight, the input or the output.
        dtype: Its dtype.
        shape: The length of each axis: a number, or an expression of symbols such as ``batch``.
        weight: Whether it is an argument that takes a weight.
    """

    name: str
    dtype: str
    shape: tuple[Dimension, ...]
    weight: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """A portable StableHLO module and what it takes and gives.

    Args:
        module: The module, serialised at `STABLEHLO_VERSION`.
        arguments: Its arguments in order, after the platform index.
        results: Its results in order.
        platforms: The platforms it runs on; with more than one, the module's first argument is the index of the
            platform in this tuple, an int32, or an int64 with `x64`.
        calling_convention: The version of the calling convention of `jax.export`.
        x64: Whether it is traced and run with 64-bit numbers; without it, device inputs of 64 bits are narrowed to 32.
        jaxpr: The traced function itself while it is being saved, closed and without constants: it takes the arguments
            in order and gives the results in order. None for a program of a file.
    """

    module: bytes
    arguments: tuple[ProgramTensor, ...]
    results: tuple[ProgramTensor, ...]
    platforms: tuple[str, ...]
    calling_convention: int
    x64: bool = False
    jaxpr: Any = field(default=None, compare=False, repr=False)
