"""Functions of the framework room as serving functions: captured variables become weights, structures become names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, ModelError, TensorSpec
from mainstay.saved_model.serving_function import Arrays, ServingFunction
from mainstay.saved_model.structures import Parameter, Structure, describe, fill
from mainstay.saved_model.subject import Restorable


def is_function(obj: object) -> bool:
    """Return whether an object is a `function` or a concrete one; the framework itself is not imported here."""
    return _named(obj, "Function") or is_concrete(obj)


def is_concrete(obj: object) -> bool:
    """Return whether an object is a concrete function."""
    return _named(obj, "ConcreteFunction")


def _named(obj: object, name: str) -> bool:
    return any(
        kind.__name__ == name and kind.__module__.startswith("mainstay.framework.") for kind in type(obj).__mro__
    )


def concrete_forms(function: Any) -> tuple[Any, ...]:
    """Return the concrete functions of a function: of its `input_signature`, and those that were asked for.

    Raises:
        ModelError: The function cannot be traced.
    """
    if is_concrete(function):
        return (function,)
    if function.input_signature is not None:
        function.get_concrete_function()
    return tuple(function.concrete_functions)


def the_form(function: Any, where: str) -> Any:
    """Return the one concrete function that a signature is made of.

    Raises:
        ArgumentError: There is none, or more than one.
    """
    forms = concrete_forms(function)
    if len(forms) != 1:
        raise ArgumentError(
            "a signature is made of a function for one kind of arguments",
            where=where,
            expected="a function with an input_signature, or a concrete function",
            received=f"a function that was traced {len(forms)} times by get_concrete_function",
            fix="pass function.get_concrete_function(TensorSpec(...))",
        )
    return forms[0]


def restorable(concrete: Any, names: Mapping[int, str], *, flat: bool) -> Restorable:
    """Return a concrete function as what an artifact can hold.

    Inputs are named as TensorFlow names them: by the spec, else by the parameter, with ``_1``, ``_2``, … where a name
    comes again. Outputs have the keys of a dict, else ``output_0``, ``output_1``, ….

    Args:
        concrete: The concrete function.
        names: The names of variables by their identity; others have the names that they know themselves.
        flat: Whether it becomes a signature, whose results are one tensor, a sequence or a dict of tensors.

    Raises:
        ModelError: It assigns variables, takes or gives what cannot be stored, or, if `flat`, its results are nested.
    """
    if concrete.written:
        changed = ", ".join(_names(concrete.written, names).values())
        raise ModelError(
            "the function assigns variables, and a saved function only reads them",
            where=concrete.name,
            received=changed,
            fix="move what assigns them out of the function",
        )
    try:
        arguments, inputs = _arguments(concrete)
        results = _results(concrete.structured_outputs, flat=flat)
    except ArgumentError as error:
        raise ModelError(
            error.summary, where=f"{concrete.name}, {error.where}", expected=error.expected, received=error.received
        ) from error
    variables = concrete.variables
    keys = list(_names(variables, names).values())

    def run(weights: Arrays, given: Arrays) -> dict[str, Any]:
        from mainstay.framework import plain_kernels

        filled = {item.name: fill(item.value, given.__getitem__) for item in arguments}
        with plain_kernels():
            value, _ = concrete.stateless([weights[key] for key in keys], filled)
        return dict(_match_results(results, value))

    weights = {key: np.asarray(variable.value) for key, variable in zip(keys, variables, strict=True)}
    return Restorable(ServingFunction(run, inputs, weights, rows=None), arguments, results)


def _names(variables: Sequence[Any], names: Mapping[int, str]) -> dict[int, str]:
    """Return a name for each variable by its identity, all of them different."""
    chosen: dict[int, str] = {}
    taken = set(names.values())
    for variable in variables:
        name = names.get(id(variable))
        if name is None:
            path = name = str(variable.path)
            count = 0
            while name in taken:
                count += 1
                name = f"{path}_{count}"
            taken.add(name)
        chosen[id(variable)] = name
    return chosen


def _arguments(concrete: Any) -> tuple[tuple[Parameter, ...], tuple[TensorSpec, ...]]:
    """Return the parameters of a concrete function, and its inputs in the order in which it takes them."""
    inputs: list[TensorSpec] = []
    used: dict[str, int] = {}

    def named(parameter: str, leaf: Any) -> str | None:
        if not isinstance(leaf, TensorSpec):
            return None
        wanted = leaf.name or parameter
        name, count = wanted, used.get(wanted, 0)
        while name in used:
            count += 1
            name = f"{wanted}_{count}"
        used[wanted] = count
        used.setdefault(name, 0)
        inputs.append(TensorSpec(leaf.shape, leaf.dtype, name))
        return name

    parameters = []
    for name, (known, value) in concrete.parameters.items():
        if known.kind in (known.VAR_POSITIONAL, known.VAR_KEYWORD):
            raise ArgumentError(
                "a saved function has a fixed number of parameters", where=name, received=f"the parameter {known}"
            )

        def name_of(leaf: Any, path: tuple[str, ...]) -> str | None:
            return named(path[0], leaf)

        structure = describe(value, name_of, (name,))
        parameters.append(Parameter(name, structure, known.kind is known.KEYWORD_ONLY))
    return tuple(parameters), tuple(inputs)


def _results(outputs: Any, *, flat: bool) -> Structure:
    """Return the structure of what a function returns, with names for the tensors in it."""
    if flat:
        items = list(outputs.values() if isinstance(outputs, Mapping) else _sequence(outputs))
        if not items or not all(isinstance(item, TensorSpec) for item in items):
            raise ArgumentError(
                "the results of a signature are flat",
                where="its results",
                expected="a tensor, or a list, tuple or dict of tensors",
                received=repr(outputs),
            )
    count = iter(range(1 << 30))

    def name_of(leaf: Any, path: tuple[str, ...]) -> str | None:
        if not isinstance(leaf, TensorSpec):
            return None
        if isinstance(outputs, Mapping) and len(path) == 1:
            return path[0]
        return f"output_{next(count)}"

    return describe(outputs, name_of)


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else (value,)


def _match_results(structure: Structure, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the tensors of what a function returned by name."""
    ((kind, inside),) = structure.items()
    if kind == "tensor":
        yield inside, getattr(value, "value", value)
    elif kind == "dict":
        for key, item in inside.items():
            yield from _match_results(item, value[key])
    elif kind != "value":
        for item, part in zip(inside, value, strict=True):
            yield from _match_results(item, part)
