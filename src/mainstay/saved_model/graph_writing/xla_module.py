"""StableHLO modules in a TensorFlow graph: one XlaCallModule for a whole program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.extend.mlir import ir
from jax.extend.mlir.dialects import func, stablehlo

from mainstay.core import ModelError
from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Ref
from mainstay.saved_model.program import STABLEHLO_VERSION, Program

_MAX_CALLING_CONVENTION = 10
"""The newest calling convention that TensorFlow 2.21 knows."""


def call_program(builder: FunctionBuilder, program: Program, arguments: Sequence[Ref]) -> tuple[Ref, ...]:
    """Add a node that runs a program and return its results.

    Args:
        builder: The function that it is part of.
        program: The program.
        arguments: Its arguments in order.
    """
    if program.calling_convention > _MAX_CALLING_CONVENTION:
        raise ModelError(
            "the program has a calling convention that TensorFlow does not know",
            expected=f"at most {_MAX_CALLING_CONVENTION}",
            received=program.calling_convention,
        )
    results = [(tensor.dtype, _static(tensor.shape)) for tensor in program.results]
    attrs = {
        "version": program.calling_convention,
        "module": without_composites(program.module),
        "Sout": [shape for _, shape in results],
        "platforms": [platform.upper() for platform in program.platforms],
        "dim_args_spec": [],
        "function_list": [],
        "disabled_checks": [],
        "has_token_input_output": False,
        "use_shardy_partitioner": False,
    }
    return builder.op("XlaCallModule", arguments, results, attrs=attrs)


def _static(shape: Sequence[int | str]) -> tuple[int | None, ...]:
    return tuple(axis if isinstance(axis, int) else None for axis in shape)


def without_composites(serialized: bytes) -> bytes:
    """Return a module with the decomposition of every composite in its place: TensorFlow refines no shapes in them."""
    context = ir.Context()
    stablehlo.register_dialect(context)
    with context, ir.Location.unknown(context):
        module = stablehlo.deserialize_portable_artifact(context, serialized)
        found = _composites(module)
        if not found:
            return serialized
        for composite in found:
            name = ir.FlatSymbolRefAttr(composite.attributes["decomposition"]).value
            with ir.InsertionPoint(composite):
                call = func.CallOp([result.type for result in composite.results], name, list(composite.operands))
            for old, new in zip(composite.results, call.results, strict=True):
                old.replace_all_uses_with(new)
            composite.erase()
        return bytes(stablehlo.serialize_portable_artifact(module, STABLEHLO_VERSION))


def _composites(module: ir.Module) -> list[Any]:
    found: list[Any] = []

    def visit(operation: Any) -> Any:
        if operation.name == "stablehlo.composite":
            found.append(operation)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    return found
