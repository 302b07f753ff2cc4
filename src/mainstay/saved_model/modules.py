"""StableHLO modules as bytes: made portable and anonymous when they are written, inspected before they are compiled.

A custom call is a name and nothing else: what it does is up to the process that runs it. So a module may hold only
those of a short list, whoever wrote it.
"""

from __future__ import annotations

import re
from typing import Any

from jax.extend.mlir import ir
from jax.extend.mlir.dialects import stablehlo

from mainstay.core import FormatError, ModelError
from mainstay.saved_model.program import STABLEHLO_VERSION, Program, ProgramTensor

CUSTOM_CALLS = frozenset(
    {
        "shape_assertion",
        "stablehlo.dynamic_reduce_window",
        "stablehlo.dynamic_rng_bit_generator",
        "stablehlo.dynamic_top_k",
    }
)
"""The custom calls that a module may hold: all are resolved by shape refinement, before anything runs."""

_DIALECTS = ("builtin.", "func.", "stablehlo.")


def _messages(context: ir.Context) -> list[str]:
    """Return a list that collects what MLIR would print to the terminal."""
    messages: list[str] = []

    def collect(found: Any) -> bool:
        messages.append(str(found))
        return True

    context.attach_diagnostic_handler(collect)
    return messages


def _context() -> ir.Context:
    context = ir.Context()
    stablehlo.register_dialect(context)
    return context


def portable(serialized: bytes) -> bytes:
    """Return a module at `STABLEHLO_VERSION`, without the source locations that would tell a machine's paths."""
    with _context() as context:
        messages = _messages(context)
        module = stablehlo.deserialize_portable_artifact(context, serialized)
        _refuse_unstable(module, ModelError)
        try:
            plain = ir.Module.parse(str(module.operation.get_asm(enable_debug_info=False)))
            return bytes(stablehlo.serialize_portable_artifact(plain, STABLEHLO_VERSION))
        except ValueError as error:
            raise ModelError(
                "the function uses an operation that has no form in the stored version of StableHLO",
                expected=f"operations of StableHLO {STABLEHLO_VERSION}",
                received="; ".join(messages) or error,
            ) from error


def _refuse_unstable(module: ir.Module, error: type[ModelError] | type[FormatError]) -> None:
    """Raise `error` where a module holds a custom call or a dialect that is not on the short list of stable ones."""
    calls: set[str] = set()
    others: set[str] = set()

    def visit(operation: Any) -> Any:
        if operation.name == "stablehlo.custom_call":
            calls.add(ir.StringAttr(operation.attributes["call_target_name"]).value)
        elif not operation.name.startswith(_DIALECTS):
            others.add(operation.name)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    found = sorted(calls - CUSTOM_CALLS) + sorted(others)
    if found:
        raise error(
            "the program needs operations outside the stable set, which a later compiler need not know",
            expected=f"StableHLO without custom calls other than {', '.join(sorted(CUSTOM_CALLS))}",
            received=", ".join(found),
            fix="write the function without linear algebra solvers, callbacks and hand-written kernels",
        )


def check_module(program: Program) -> None:
    """Refuse a program whose module is malformed, holds something unstable, or takes and gives something else.

    Raises:
        FormatError: It is one of these.
    """
    with _context() as context:
        messages = _messages(context)
        try:
            module = stablehlo.deserialize_portable_artifact(context, program.module)
            main: Any = next(
                op for op in module.body.operations if ir.StringAttr(op.attributes["sym_name"]).value == "main"
            )
        except (ValueError, KeyError, StopIteration) as error:
            raise FormatError(
                "a program is not a StableHLO module that this version reads",
                expected="a portable artifact with a function named main",
                received="; ".join(messages) or error,
            ) from error
        _refuse_unstable(module, FormatError)
        index = "tensor<i64>" if program.x64 else "tensor<i32>"
        extra = [index] if len(program.platforms) > 1 else []
        expected = extra + [_mlir_type(tensor) for tensor in program.arguments]
        results = [_mlir_type(tensor) for tensor in program.results]
        found = [str(kind) for kind in main.type.inputs], [str(kind) for kind in main.type.results]
        if found != (expected, results):
            raise FormatError(
                "a program does not take and give what the manifest says",
                expected=f"({', '.join(expected)}) -> ({', '.join(results)})",
                received=f"({', '.join(found[0])}) -> ({', '.join(found[1])})",
            )


_MLIR_DTYPES = {
    "bool": "i1",
    "bfloat16": "bf16",
    "float8_e5m2": "f8E5M2",
    "float8_e4m3fn": "f8E4M3FN",
    "complex64": "complex<f32>",
    "complex128": "complex<f64>",
}


def _mlir_type(tensor: ProgramTensor) -> str:
    dtype = _MLIR_DTYPES.get(tensor.dtype)
    dtype = dtype or re.sub(
        r"^(?:float|(u)?int)", lambda m: "f" if m[0] == "float" else (m[1] or "") + "i", tensor.dtype
    )
    axes = [str(axis) if isinstance(axis, int) else "?" for axis in tensor.shape]
    return f"tensor<{'x'.join([*axes, dtype])}>"
