"""Modules of the framework room as subjects to save: their functions, variables and files by path of attributes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, ModelError, storage_errors
from mainstay.saved_model.function_lowering import concrete_forms, is_function, restorable, the_form
from mainstay.saved_model.manifest import VariableEntry
from mainstay.saved_model.serving_function import ServingFunction
from mainstay.saved_model.subject import Restorable, Subject

DEFAULT_SIGNATURE = "serving_default"


def is_module(obj: object) -> bool:
    """Return whether an object is a `Module`; the framework itself is not imported here."""
    return any(
        kind.__name__ == "Module" and kind.__module__.startswith("mainstay.framework.") for kind in type(obj).__mro__
    )


def module_subject(module: Any, signatures: Any) -> Subject:
    """Return a module, or a Keras model with signatures of its own, as a subject.

    Args:
        module: The module.
        signatures: A function, concrete function or serving function for ``serving_default``, or a mapping of them by
            signature; None takes the only function of the module that could be a signature, and none where there are
            several.

    Raises:
        ArgumentError: A signature is no function for one kind of arguments.
        ModelError: A signature cannot be saved.
    """
    variables, found = _variables(module), dict(_functions(module))
    names = {id(variable): name for name, variable in variables.items()}
    functions: dict[str, tuple[Restorable, ...]] = {}
    left_out: dict[str, str] = {}
    by_form: dict[int, Restorable] = {}
    for path, function in found.items():
        try:
            forms = concrete_forms(function)
            kept = [_restored(form, names, by_form) for form in forms]
        except ModelError as error:
            left_out[path] = str(error)
        else:
            if kept:
                functions[path] = tuple(kept)
    given = _only(functions) if signatures is None else _given(signatures)
    entries = {name: _entry(name, value, names, by_form) for name, value in given.items()}
    return Subject(
        entries,
        functions,
        tuple(VariableEntry(name, bool(getattr(v, "trainable", True))) for name, v in variables.items()),
        {name: np.asarray(variable.value) for name, variable in variables.items()},
        {},
        left_out,
    )


def _restored(form: Any, names: Mapping[int, str], by_form: dict[int, Restorable]) -> Restorable:
    if id(form) not in by_form:
        by_form[id(form)] = restorable(form, names, flat=False)
    return by_form[id(form)]


def _entry(name: str, value: Any, names: Mapping[int, str], by_form: Mapping[int, Restorable]) -> ServingFunction:
    if isinstance(value, ServingFunction):
        return value
    return value.function if isinstance(value, Restorable) else _signature(name, value, names, by_form).function


def _signature(name: str, function: Any, names: Mapping[int, str], by_form: Mapping[int, Restorable]) -> Restorable:
    if not is_function(function):
        raise ArgumentError(
            "a signature is made of a function",
            where=f"signature {name}",
            expected="a mainstay.function with an input_signature, or what its get_concrete_function gives",
            received=type(function).__name__,
        )
    form = the_form(function, f"signature {name}")
    found = by_form.get(id(form))
    return found if found is not None and _is_flat(found) else restorable(form, names, flat=True)


def _given(signatures: Any) -> dict[str, Any]:
    if isinstance(signatures, Mapping):
        return dict(signatures)
    return {DEFAULT_SIGNATURE: signatures}


def _only(functions: Mapping[str, tuple[Restorable, ...]]) -> dict[str, Restorable]:
    """Return the signature that TensorFlow would find by itself: the only function of the module that could be one."""
    possible = [
        forms[0] for path, forms in functions.items() if "." not in path and len(forms) == 1 and _is_flat(forms[0])
    ]
    return {DEFAULT_SIGNATURE: possible[0]} if len(possible) == 1 else {}


def _is_flat(form: Restorable) -> bool:
    ((kind, inside),) = form.results.items()
    if kind == "tensor":
        return True
    items = inside.values() if kind == "dict" else inside if kind in ("list", "tuple") else ()
    return bool(items) and all("tensor" in item for item in items)


def _walk(value: Any, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the attributes of a module and of what is in them with the path that leads there, nearest first."""
    if id(value) in seen:
        return
    if is_module(value):
        seen.add(id(value))
        children = {name: item for name, item in sorted(vars(value).items()) if not name.startswith("_mainstay")}
        for name in sorted(dir(type(value))):
            if name not in children and (not name.startswith("_") or name == "__call__"):
                attribute = getattr(type(value), name, None)
                if is_function(attribute):
                    children[name] = getattr(value, name)
    elif isinstance(value, Mapping):
        children = {str(name): item for name, item in value.items()}
    elif isinstance(value, (list, tuple)):
        children = {str(index): item for index, item in enumerate(value)}
    else:
        return
    for name, item in children.items():
        yield (*path, name), item
    for name, item in children.items():
        yield from _walk(item, (*path, name), seen)


def _functions(module: Any) -> Iterator[tuple[str, Any]]:
    for path, value in _walk(module, (), set()):
        if is_function(value) and all(part.isidentifier() for part in path):
            yield ".".join(path), value


def _variables(module: Any) -> dict[str, Any]:
    """Return the variables of a module in its own order, by the path of attributes that leads to each first."""
    named: dict[int, tuple[str, Any]] = {}
    names: set[str] = set()

    def fresh(name: str) -> str:
        count, wanted = 0, name
        while name in names:
            count += 1
            name = f"{wanted}_{count}"
        names.add(name)
        return name

    found = [((), module)] if _is_layer(module) else list(_walk(module, (), set()))
    for path, value in found:
        for name, variable in _own_variables("/".join(path), value):
            if id(variable) not in named:
                named[id(variable)] = (fresh(name), variable)
    order = {id(variable): index for index, variable in enumerate(getattr(module, "variables", ()))}
    return dict(sorted(named.values(), key=lambda item: order.get(id(item[1]), len(order))))


def _is_layer(value: Any) -> bool:
    return hasattr(type(value), "stateless_call") and hasattr(value, "trainable_variables")


def _own_variables(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if _is_layer(value):
        for variable in [*value.trainable_variables, *value.non_trainable_variables]:
            inner = str(variable.path)
            yield (f"{path}/{inner.removeprefix(f'{value.name}/')}" if path else inner), variable
    elif hasattr(value, "assign") and hasattr(value, "trainable") and hasattr(value, "path"):
        yield path, value


def files(assets: Any) -> dict[str, bytes]:
    """Return files by name that are given as paths or by name with their content.

    Args:
        assets: A mapping from a name to bytes or to the path of a file, or a sequence of paths.

    Raises:
        ArgumentError: Two paths end in the same name, or something is neither bytes nor a path.
        StorageError: A file cannot be read.
    """
    named = isinstance(assets, Mapping)
    items = list(assets.items()) if named else [(Path(path).name, path) for path in assets or ()]
    contents: dict[str, bytes] = {}
    for name, value in items:
        if name in contents:
            raise ArgumentError("two assets have one name", received=name, fix="pass a mapping from names to paths")
        if isinstance(value, bytes):
            contents[name] = value
        elif isinstance(value, (str, os.PathLike)):
            with storage_errors(value, "read"):
                contents[name] = Path(value).read_bytes()
        else:
            raise ArgumentError(
                "an asset is a file",
                where=name,
                expected="its path, or its content as bytes",
                received=type(value).__name__,
            )
    return contents


def as_signatures(obj: Any, signatures: Any) -> Subject:
    """Return a function, several by signature, or serving functions as a subject.

    Raises:
        ArgumentError: It is something else.
    """
    given = _given(obj if signatures is None else signatures)
    if not given or not all(isinstance(value, ServingFunction) or is_function(value) for value in given.values()):
        raise ArgumentError(
            "this cannot be saved",
            expected="a Keras 3 model, a Module, a function, a ServingFunction, or a mapping of functions by signature",
            received=", ".join(sorted({type(value).__name__ for value in given.values()})) or "nothing",
        )
    return Subject({name: _entry(str(name), value, {}, {}) for name, value in given.items()})
