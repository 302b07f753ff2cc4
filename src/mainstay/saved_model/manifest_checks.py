"""What the parts of a manifest must have to do with each other; each alone has been read already."""

from __future__ import annotations

from mainstay.core import ArgumentError, FormatError, Signature
from mainstay.saved_model.manifest import FunctionEntry, ProgramEntry, SignatureEntry
from mainstay.saved_model.structures import names


def check_signature(where: str, entry: SignatureEntry) -> None:
    """Refuse a signature whose parts contradict each other.

    Raises:
        FormatError: They do.
    """
    problem = _staged(entry) if entry.stages else _planned(entry)
    try:
        Signature(entry.device_inputs, ())
        if problem is None and entry.signature:
            return
    except ArgumentError as error:
        problem = error.summary
    raise FormatError("a signature contradicts itself", where=where, received=problem)


def _planned(entry: SignatureEntry) -> str | None:
    """Return what is wrong with a signature of a prefix, a program and a suffix."""
    device = {spec.name for spec in entry.device_inputs}
    taken = _taken(entry.program) if entry.program else set()
    if not entry.outputs or (entry.rows and not entry.inputs):
        return "it has no inputs or no outputs"
    if entry.program is None and not entry.prefix:
        return "it has neither a program nor a prefix"
    if entry.program is None and (entry.suffix or device):
        return "it has a suffix or device inputs, and no program"
    if not entry.rows and (entry.prefix or entry.suffix):
        return "it has host graphs, and no rows"
    if not taken <= device:
        return "its program takes an input that is not among the device inputs"
    if entry.rows and entry.program and any(not t.shape for t in entry.program.arguments if not t.weight):
        return "an input of its program has no batch axis"
    if entry.program and not entry.prefix and {item.spec.name for item in entry.inputs} != device:
        return "without a prefix, the inputs are not the device inputs"
    return None


def _staged(entry: SignatureEntry) -> str | None:
    """Return what is wrong with a signature of stages."""
    if entry.program is not None or entry.prefix or entry.suffix or entry.device_inputs:
        return "it has stages, and a program or a host graph as well"
    known = {item.spec.name for item in entry.inputs}
    for stage in entry.stages:
        if not set(stage.inputs) <= known:
            return "a stage takes a value that no input is and no stage before makes"
        if known & set(stage.outputs) or len(set(stage.outputs)) != len(stage.outputs):
            return "a stage makes a value that is there already"
        if stage.program is not None and (
            not _taken(stage.program) <= set(stage.inputs)
            or {tensor.name for tensor in stage.program.results} != set(stage.outputs)
        ):
            return "a program does not take and make the values of its stage"
        known.update(stage.outputs)
    if not {spec.name for spec in entry.outputs} <= known:
        return "an output is made by no stage"
    return None


def _taken(program: ProgramEntry) -> set[str]:
    return {tensor.name for tensor in program.arguments if not tensor.weight}


def check_function(where: str, form: FunctionEntry) -> None:
    """Refuse a form of a function whose structures name other tensors than it takes and gives.

    Raises:
        FormatError: They do.
    """
    taken = [name for parameter in form.arguments for name in names(parameter.value)]
    given = set(names(form.results))
    inputs, outputs = {item.spec.name for item in form.entry.inputs}, {spec.name for spec in form.entry.outputs}
    if len(set(taken)) != len(taken) or set(taken) != inputs or given != outputs:
        raise FormatError(
            "a function contradicts itself",
            where=where,
            expected=f"tensors named {sorted(inputs)} and {sorted(outputs)}",
            received=f"{sorted(taken)} and {sorted(given)}",
        )
