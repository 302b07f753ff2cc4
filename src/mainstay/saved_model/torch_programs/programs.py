"""From PyTorch: a program of `torch.export` becomes a serving function, checked against the program itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, ModelError, ParityError, TensorSpec
from mainstay.saved_model.serving_function import Arrays, ServingFunction
from mainstay.saved_model.torch_programs.interpretation import check_operators, dtype_name, run_graph

Array = np.ndarray[Any, Any]

_WEIGHTS = ("PARAMETER", "BUFFER", "CONSTANT_TENSOR")


def from_torch(
    exported: Any,
    *,
    output_names: Sequence[str] | None = None,
    tolerance: float = 1e-4,
    check: bool = True,
) -> ServingFunction:
    """Return what a program of `torch.export` does as a serving function, ready for `save`.

    PyTorch is needed here, where the program is converted, and nowhere else: what `save` writes is the same as for
    any other model. Mainstay never imports it.

    Args:
        exported: What `torch.export.export(model.eval(), example, dynamic_shapes=…)` gave. The first axis of every
            input has to be dynamic: it is the batch.
        output_names: A name for each output, in order. The default is the keys of a dict of outputs, or
            ``output_0``, ``output_1``.
        tolerance: How far an answer may be from PyTorch's, relative to ``max(1, |answer|)``.
        check: Whether the example inputs of the program are run through both, and compared.

    Returns:
        A serving function whose inputs have the names of the model's arguments. 64-bit integers and floats become
        those of 32 bits, as in every serving function.

    Raises:
        ArgumentError: This is no exported program, or the names do not fit.
        ModelError: An operator is not supported, the program changes its own state (it was exported in training
            mode), or an input has no batch; the message names the line of the model's code.
        ParityError: The example's answers differ from PyTorch's.

    Example:
        >>> exported = torch.export.export(model.eval(), (x,), dynamic_shapes=({0: "batch"},))  # doctest: +SKIP
        >>> save(from_torch(exported), "out/model")  # doctest: +SKIP
    """
    if not all(hasattr(exported, name) for name in ("graph_signature", "run_decompositions", "state_dict")):
        raise ArgumentError(
            "this is no exported program",
            expected="what torch.export.export gives",
            received=type(exported).__name__,
            fix="torch.export.export(model.eval(), (example,), dynamic_shapes=({0: 'batch'},))",
        )
    program = exported.run_decompositions()
    check_operators(program.graph)
    _check_results(program.graph_signature)
    specs, weights, placeholders = _inputs(program)
    names = _output_names(program, output_names)

    def _call(given_weights: Arrays, inputs: Arrays) -> dict[str, Any]:
        by_name = {name: given_weights[key] if weight else inputs[key] for name, (key, weight) in placeholders.items()}
        return dict(zip(names, run_graph(program.graph, by_name), strict=True))

    function = ServingFunction(_call, specs, weights, tolerance=tolerance)
    if check:
        _compare(exported, function, names)
    return function


def _check_results(signature: Any) -> None:
    changed = [
        str(spec.target or spec.arg)
        for spec in signature.output_specs
        if spec.kind.name not in ("USER_OUTPUT", "TOKEN")
    ]
    if changed:
        raise ModelError(
            "the program changes its own state",
            expected="a program for inference",
            received=f"it writes {', '.join(changed)}",
            fix="export model.eval() under torch.no_grad()",
        )


def _inputs(program: Any) -> tuple[tuple[TensorSpec, ...], dict[str, Array], dict[str, tuple[str, bool]]]:
    """Return the specs of the inputs, the weights by name, and for each placeholder which of them it stands for."""
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    specs: list[TensorSpec] = []
    weights: dict[str, Array] = {}
    placeholders: dict[str, tuple[str, bool]] = {}
    for spec in program.graph_signature.input_specs:
        kind, name = spec.kind.name, spec.arg.name
        if kind in _WEIGHTS:
            weights[spec.target] = _array(_tensor(program, spec.target))
            placeholders[name] = spec.target, True
        elif kind == "USER_INPUT" and type(spec.arg).__name__ == "TensorArgument":
            specs.append(_spec(name, nodes[name].meta["val"]))
            placeholders[name] = name, False
        elif kind != "USER_INPUT" or getattr(spec.arg, "value", None) is not None:
            raise ModelError(
                "an input of the program is no tensor",
                where=name,
                expected="tensors; other arguments are fixed when the program is exported",
                received=f"{kind.lower()} {type(spec.arg).__name__}",
            )
    return tuple(specs), weights, placeholders


def _tensor(program: Any, target: str) -> Any:
    for place in (program.state_dict, program.constants):
        if target in place:
            return place[target]
    raise ModelError("a weight of the program is not there", where=target)


def _array(tensor: Any) -> Array:
    name = dtype_name(tensor.dtype)
    plain = tensor.detach().cpu()
    if name == "bfloat16":
        import ml_dtypes

        widened: Array = plain.float().numpy()
        return widened.astype(ml_dtypes.bfloat16)
    array: Array = plain.contiguous().numpy()
    return array


def _spec(name: str, described: Any) -> TensorSpec:
    shape = [int(axis) if isinstance(axis, int) else None for axis in described.shape]
    if not shape or shape[0] is not None:
        raise ModelError(
            "the batch size of an input is fixed, and a saved model takes any",
            where=name,
            expected=f"a dynamic first axis instead of {list(described.shape)}",
            fix=f"export it with dynamic_shapes={{{name!r}: {{0: torch.export.Dim('batch')}}}}",
        )
    return TensorSpec(shape, dtype_name(described.dtype), name)


def _output_names(program: Any, given: Sequence[str] | None) -> list[str]:
    count = sum(spec.kind.name == "USER_OUTPUT" for spec in program.graph_signature.output_specs)
    if given is not None:
        if len(given) != count or len(set(given)) != count:
            raise ArgumentError(
                "each output has a name of its own", where="output_names", expected=f"{count} names", received=given
            )
        return list(given)
    structure = program.call_spec.out_spec
    keys = structure.context if getattr(structure, "type", None) is dict else None
    if isinstance(keys, (list, tuple)) and len(keys) == count and all(isinstance(key, str) for key in keys):
        return list(keys)
    return [f"output_{index}" for index in range(count)]


def _compare(exported: Any, function: ServingFunction, names: Sequence[str]) -> None:
    """Refuse a function that answers the example of the program otherwise than PyTorch does."""
    import jax

    if exported.example_inputs is None or function.function is None:
        return
    positional, keywords = exported.example_inputs
    wanted = [_array(tensor) for tensor in _tensors(exported.module()(*positional, **keywords))]
    given = [_array(tensor) for tensor in _tensors([positional, keywords])]
    inputs = {spec.name: value for spec, value in zip(function.inputs, given, strict=True)}
    weights: Mapping[str, Array] = function.weights
    pure: Any = function.function
    with jax.enable_x64(False):
        answers = jax.jit(pure)(dict(weights), inputs)
    for name, expected in zip(names, wanted, strict=True):
        found = np.asarray(answers[name])
        if found.shape != expected.shape:
            raise ParityError("an answer has another shape than PyTorch's", where=name, expected=expected.shape)
        worst = _difference(found.astype(np.float64), expected.astype(np.float64))
        if not worst <= function.tolerance:
            raise ParityError(
                "an answer differs from PyTorch's",
                where=f"output {name}",
                expected=f"within {function.tolerance:g} relative to max(1, |answer|)",
                received=f"a relative difference of {worst:.3g}",
                fix="pass a larger tolerance if the difference is harmless",
            )


def _difference(found: Array, expected: Array) -> float:
    """Return the largest difference relative to ``max(1, |expected|)``; NaN where only one of two values is finite."""
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        relative = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    return float(np.max(np.where(same, 0.0, relative), initial=0.0))


def _tensors(value: Any) -> list[Any]:
    """Return the tensors of a nested structure in the order in which PyTorch flattens it."""
    if isinstance(value, Mapping):
        return [tensor for item in value.values() for tensor in _tensors(item)]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in _tensors(item)]
    return [value] if hasattr(value, "detach") else []
