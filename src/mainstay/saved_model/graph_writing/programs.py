"""Programs as TensorFlow runs them: as plain operations where each of theirs has one, else as one XlaCallModule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mainstay.core import ModelError
from mainstay.saved_model.graph_writing.captures import Captures
from mainstay.saved_model.graph_writing.checkpointing import Variable
from mainstay.saved_model.graph_writing.functions import Library, Ref
from mainstay.saved_model.program import Program


@dataclass(frozen=True, slots=True)
class Form:
    """In which form TensorFlow gets a program.

    Args:
        name: ``"ops"``, ``"xla"`` or None for nothing.
        reason: Why it is not ``"ops"``.
    """

    name: str | None
    reason: str = ""


def choose_form(program: Program, mode: str) -> Form:
    """Return in which form TensorFlow gets a program.

    Args:
        program: The program.
        mode: ``"ops"`` for plain operations alone, ``"xla"`` for an XlaCallModule, ``"auto"`` for the better one.

    Raises:
        ModelError: There are no plain operations for it, and `mode` asks for them.
    """
    if mode == "xla":
        return Form("xla", "as asked for")
    from mainstay.saved_model.plain_ops.programs import unsupported

    missing = unsupported(program.jaxpr)
    if not missing:
        return Form("ops")
    if mode == "ops":
        raise ModelError(
            "the program has no form in plain TensorFlow operations",
            expected="primitives that TensorFlow has operations for",
            received=", ".join(missing),
            fix='save it with tensorflow="auto", which makes it one XlaCallModule',
        )
    return Form("xla", "no plain operations for " + ", ".join(missing))


def emit_program(
    captures: Captures,
    library: Library,
    program: Program,
    *,
    weights: Mapping[str, Variable],
    inputs: Mapping[str, Ref],
    form: str,
) -> dict[str, Ref]:
    """Add a program to a function and return its results by name.

    Args:
        captures: What the function holds on to.
        library: Where functions that the program needs go, such as the bodies of loops.
        program: The program.
        weights: Its weights by name.
        inputs: Its inputs by name; numbers of other dtypes are cast.
        form: ``"ops"`` or ``"xla"``.
    """
    builder = captures.builder
    arguments = []
    for tensor in program.arguments:
        if tensor.weight:
            variable = weights[tensor.name]
            handle = captures.hold(variable.resource)
            arguments.append(builder.one("ReadVariableOp", [handle], variable.kind, variable.shape))
        else:
            arguments.append(cast(captures, inputs[tensor.name], tensor.dtype))
    if form == "ops":
        from mainstay.saved_model.plain_ops.programs import emit

        results = emit(builder, library, program.jaxpr, arguments)
    else:
        from mainstay.saved_model.graph_writing.xla_module import call_program

        results = list(call_program(builder, program, arguments))
    return {tensor.name: ref for tensor, ref in zip(program.results, results, strict=True)}


def cast(captures: Captures, ref: Ref, dtype: str) -> Ref:
    """Return a tensor of numbers in another dtype."""
    if ref.dtype == np.dtype(dtype):
        return ref
    return captures.builder.one("Cast", [ref], dtype, ref.shape)
