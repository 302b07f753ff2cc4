"""StableHLO inside of a TensorFlow graph: what `jax2tf` and the savers of Keras on JAX write.

A module may hold StableHLO and a short list of custom calls: a custom call is a name for code of this process, and one
that calls back into Python would run what the module says.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax
from jax.extend.mlir import ir
from jax.extend.mlir.dialects import stablehlo

from mainstay.core import DataError, FormatError, ModelError, SetupError
from mainstay.saved_model.graph_reading.graph_ops.dimensions import on_device
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value
from mainstay.saved_model.modules import CUSTOM_CALLS

_SOLVERS = re.compile(r"lapack_[a-z]+_ffi|Sharding|annotate_device_placement")
"""Custom calls beside those that shape refinement resolves: solvers of jaxlib, and notes that mean nothing here."""

_DIALECTS = ("builtin.", "func.", "stablehlo.", "chlo.")


def _parsed(serialized: bytes) -> ir.Module:
    """Return a module in a new context.

    Raises:
        FormatError: It is not StableHLO, has no function named main, or holds what is not run here.
    """
    context = ir.Context()
    stablehlo.register_dialect(context)
    with context:
        try:
            module = stablehlo.deserialize_portable_artifact(context, serialized)
            _main(module)
        except (ValueError, KeyError, StopIteration) as error:
            raise FormatError(
                "a program inside of the graph cannot be read",
                where="XlaCallModule",
                expected="a StableHLO module with a function named main",
                received=str(error)[:200],
            ) from error
        _refuse_unknown(module)
    return module


def _main(module: ir.Module) -> Any:
    return next(op for op in module.body.operations if ir.StringAttr(op.attributes["sym_name"]).value == "main")


def _refuse_unknown(module: ir.Module) -> None:
    found: set[str] = set()

    def visit(operation: Any) -> Any:
        if operation.name == "stablehlo.custom_call":
            target = ir.StringAttr(operation.attributes["call_target_name"]).value
            if target not in CUSTOM_CALLS and not _SOLVERS.fullmatch(target):
                found.add(target)
        elif not operation.name.startswith(_DIALECTS):
            found.add(operation.name)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    if found:
        raise FormatError(
            "a program inside of the graph holds operations that are not run here",
            where="XlaCallModule",
            expected="StableHLO, and custom calls to solvers alone",
            received=", ".join(sorted(found)),
        )


@lru_cache(maxsize=16)
def _checked(serialized: bytes) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the text of a module that may be run, and the types of its arguments and results."""
    module = _parsed(serialized)
    with module.context:
        kind = _main(module).type
        return str(module), tuple(map(str, kind.inputs)), tuple(map(str, kind.results))


def _sizes(kind: str) -> tuple[int | None, ...]:
    """Return the sizes in a type such as ``tensor<?x3xf32>``, None for an open one."""
    axes, _ = _split(kind)
    return tuple(None if axis == "?" else int(axis) for axis in axes)


def _split(kind: str) -> tuple[list[str], str]:
    """Return the sizes and the element type in a type."""
    found = re.fullmatch(r"tensor<((?:(?:\d+|\?)x)*)(.+)>", kind)
    if found is None:
        raise FormatError("a program inside of the graph takes or gives no tensor", received=kind)
    return found[1].split("x")[:-1], found[2]


def _specialised(node: OpNode, serialized: bytes, arguments: Sequence[Any]) -> tuple[bytes, list[tuple[Any, ...]]]:
    """Return a module for arguments of these shapes, and the shapes of its results."""
    text, takes, gives = _checked(serialized)
    if len(takes) - len(arguments) not in (0, 1):
        raise FormatError(
            "a program inside of the graph takes other arguments than the graph gives it",
            where=node.name,
            expected=f"{len(takes)} arguments",
            received=len(arguments),
        )
    symbolic = any(export.is_symbolic_dim(size) for argument in arguments for size in argument.shape)
    is_open = any("?" in kind for kind in gives)
    if symbolic and is_open:
        raise ModelError(
            "the shapes that a program inside of the graph gives are not known while those that it takes are symbolic",
            where=node.name,
            fix="import the model with fixed shapes, or load it as it is",
        )
    if symbolic or not any("?" in kind for kind in takes):
        return serialized, [_sizes(kind) for kind in gives]
    return _refined(node, _called(text, takes, gives, arguments))


def _called(text: str, takes: Sequence[str], gives: Sequence[str], arguments: Sequence[Any]) -> str:
    """Return a module whose main function has arguments of known shapes, and calls that of another module."""
    kinds = list(takes)
    for position, argument in enumerate(arguments, start=len(takes) - len(arguments)):
        _, element = _split(takes[position])
        kinds[position] = f"tensor<{'x'.join([*map(str, argument.shape), element])}>"
    names = [f"%argument{index}" for index in range(len(takes))]
    lines = [
        f"%cast{index} = stablehlo.convert {name} : ({kinds[index]}) -> {takes[index]}"
        for index, name in enumerate(names)
    ]
    casts = ", ".join(f"%cast{index}" for index in range(len(takes)))
    results = ", ".join(f"%results#{index}" for index in range(len(gives)))
    signature = f"({', '.join(takes)}) -> ({', '.join(gives)})"
    parameters = ", ".join(map(": ".join, zip(names, kinds, strict=True)))
    outer = [
        f"func.func public @main({parameters}) -> ({', '.join(gives)}) {{",
        *lines,
        f"%results:{len(gives)} = func.call @program_of_the_graph({casts}) : {signature}",
        f"func.return {results} : {', '.join(gives)}",
        "}",
    ]
    inner = re.sub(r"func\.func public @main\(", "func.func private @program_of_the_graph(", text, count=1)
    head, _, tail = inner.rpartition("}")
    return "\n".join([head, *outer, "}", tail])


def _refined(node: OpNode, text: str) -> tuple[bytes, list[tuple[Any, ...]]]:
    """Return a module whose arguments have known shapes with all other shapes filled in, and those of its results."""
    try:
        from jax._src.interpreters.mlir import make_ir_context, refine_polymorphic_shapes
    except ImportError as error:
        raise SetupError(
            "this version of JAX cannot run programs inside of graphs",
            expected="a version that this Mainstay is tested with",
            received=f"jax {jax.__version__}: {error}",
            fix="install the versions of constraints.txt",
        ) from error
    with make_ir_context():
        try:
            refined = refine_polymorphic_shapes(ir.Module.parse(text))
        except ValueError as error:
            raise DataError(
                "a program inside of the graph does not take these shapes", where=node.name, received=str(error)[:200]
            ) from error
    with refined.context:
        shapes: list[tuple[Any, ...]] = [_sizes(str(kind)) for kind in _main(refined).type.results]
        return bytes(stablehlo.serialize_portable_artifact(refined, stablehlo.get_current_version())), shapes


def _platforms(node: OpNode) -> tuple[str, ...]:
    names = tuple(name.decode().lower() for name in node.attr("platforms", ()))
    return names or (jax.default_backend(),)


def _template(shapes: Sequence[tuple[Any, ...]], node: OpNode, arguments: Sequence[Any]) -> export.Exported:
    """Return the export of a blank function that takes and gives what a module does, to carry it."""
    dtypes = node.attr("Tout", ())

    def blank(*_: Any) -> tuple[Any, ...]:
        return tuple(jnp.zeros(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True))

    blank.__name__ = "program"
    spec: Any = jax.ShapeDtypeStruct
    specs = [spec(argument.shape, argument.dtype) for argument in arguments]
    return export.export(jax.jit(blank, keep_unused=True), platforms=_platforms(node))(*specs)


@graph_op("XlaCallModule")
def xla_call_module(node: OpNode, *values: Value) -> Value:
    """Run a StableHLO module."""
    for name in ("dim_args_spec", "function_list", "has_token_input_output"):
        if node.attr(name):
            raise ModelError("a program inside of the graph uses what is not read", where=node.name, received=name)
    arguments = [on_device(value, np.int64) for value in values]
    serialized = node.attr("module")
    module, shapes = _specialised(node, serialized, arguments)
    exported = dataclasses.replace(_template(shapes, node, arguments), mlir_module_serialized=module)
    call: Any = exported.call
    return tuple(call(*arguments))


@graph_op("XlaOptimizationBarrier")
def xla_optimization_barrier(_node: OpNode, *values: Value) -> Value:
    """Hand values on; XLA does not move work across."""
    barrier: Any = lax.optimization_barrier
    return tuple(barrier(tuple(map(jnp.asarray, values))))
