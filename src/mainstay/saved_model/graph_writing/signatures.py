"""Signatures and restored functions: the ways to call a core, by columns or with serialised tf.Examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import TypeAlias

import numpy as np

from mainstay.saved_model.graph_writing.captures import Captures, Resource
from mainstay.saved_model.graph_writing.cores import Core, flat_inputs
from mainstay.saved_model.graph_writing.examples import parse_examples
from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Ref
from mainstay.saved_model.graph_writing.model_graph import ModelGraph
from mainstay.saved_model.graph_writing.structured_values import (
    Spec,
    flat_arguments,
    flat_names,
    structured,
    structured_arguments,
)
from mainstay.saved_model.structures import Parameter, Structure

Call: TypeAlias = Callable[[Captures, Mapping[str, Ref]], Mapping[str, Ref]]

_BOOL = np.dtype(np.bool_)
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True, slots=True)
class Way:
    """A way to call a core.

    Args:
        inputs: What it takes, sorted by name.
        outputs: What it gives, sorted by name.
        call: Writes it into a function, from its inputs by name to its outputs by name.
    """

    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    call: Call


def by_columns(core: Core) -> Way:
    """Return the way that takes each input by itself.

    Missing values of optional inputs are NaN or the empty string; optional integers and booleans are never missing.
    """

    def call(captures: Captures, refs: Mapping[str, Ref]) -> Mapping[str, Ref]:
        names = [item.spec.name for item in core.inputs if item.optional]
        return core.call(captures, refs, {name: _blank(captures.builder, refs[name]) for name in names})

    return Way(flat_inputs([item.spec for item in core.inputs]), _sorted(core.outputs), call)


def by_examples(core: Core, key: str) -> Way:
    """Return the way that takes serialised tf.Examples, whose features are the inputs, under the name `key`."""

    def call(captures: Captures, refs: Mapping[str, Ref]) -> Mapping[str, Ref]:
        return core.call(captures, *parse_examples(captures.builder, refs[key], core.inputs))

    return Way((Spec(key, "string", (None,)),), _sorted(core.outputs), call)


def as_served(way: Way, names: Mapping[str, str], *, columns: bool) -> Way:
    """Return a way whose outputs TF Serving knows.

    Args:
        way: The way.
        names: For each output the name that TF Serving knows it by.
        columns: Whether each output must have two axes.
    """
    specs = {names[spec.name]: spec for spec in way.outputs}

    def shape(spec: Spec) -> tuple[int | None, ...] | None:
        return (*spec.shape, 1) if columns and spec.shape is not None and len(spec.shape) == 1 else spec.shape

    def call(captures: Captures, refs: Mapping[str, Ref]) -> Mapping[str, Ref]:
        results = way.call(captures, refs)
        found = {}
        for name, spec in specs.items():
            found[name] = results[spec.name]
            if shape(spec) != spec.shape:
                inputs = [found[name], captures.builder.constant(np.int32(1))]
                found[name] = captures.builder.one("ExpandDims", inputs, spec.kind, shape(spec))
        return found

    outputs = _sorted([Spec(name, spec.kind, shape(spec)) for name, spec in specs.items()])
    return Way(way.inputs, outputs, call)


def _sorted(specs: Sequence[Spec]) -> tuple[Spec, ...]:
    return tuple(sorted(specs, key=lambda spec: spec.name))


def _blank(builder: FunctionBuilder, ref: Ref) -> Ref:
    """Return where a column holds what stands for a missing value."""
    if ref.dtype == "string":
        return builder.one("Equal", [ref, builder.constant(np.array(b"", object))], _BOOL, ref.shape)
    if ref.dtype in _FLOATS:
        return builder.one("IsNan", [ref], _BOOL, ref.shape)
    shape = builder.one("Shape", [ref], np.int32, (1,), out_type=np.int32)
    return builder.one("Fill", [shape, builder.constant(np.array(False))], _BOOL, ref.shape)


def add_signature(model: ModelGraph, name: str, way: Way, *, method: str = "predict") -> None:
    """Add a signature.

    Args:
        model: The model.
        name: Its name.
        way: What it takes and gives.
        method: What it is for.
    """
    safe = safe_names([spec.name for spec in way.inputs])
    inputs = sorted(way.inputs, key=lambda spec: safe[spec.name])
    keywords = [Parameter(safe[spec.name], {"tensor": spec.name}, keyword_only=True) for spec in inputs]
    answers: Structure = {"dict": {spec.name: {"tensor": spec.name} for spec in way.outputs}}
    function, resources = _function(model, f"signature_wrapper_{name}", way, Form(way, keywords, answers))
    model.objects.signature(name, function, keywords=keywords, names=[spec.name for spec in inputs])
    handles = [resource.handle for resource in resources]
    model.graph.signature(name, function, inputs=inputs, bound=handles, outputs=way.outputs, method=method)


def safe_names(names: Sequence[str]) -> dict[str, str]:
    """Return names of parameters for the names of inputs: TensorFlow binds and sorts inputs by the former.

    A loaded signature may be called by the names of the inputs all the same; `tf.compat.v1` and TF Serving know no
    others.

    Example:
        >>> safe_names(["age (years)", "class", "fare"])
        {'age (years)': 'age__years_', 'class': 'class_', 'fare': 'fare'}
    """
    found: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (not name.isidentifier() or iskeyword(name), name)):
        safe = "".join(letter if letter.isalnum() else "_" for letter in name)
        safe = safe if safe[:1].isalpha() else f"arg_{safe}"
        while iskeyword(safe) or safe in found.values():
            safe += "_"
        found[name] = safe
    return {name: found[name] for name in names}


@dataclass(frozen=True, slots=True)
class Form:
    """One traced form of a restored function.

    Args:
        way: What it takes and gives, by names.
        arguments: Its parameters, with these names.
        results: What it returns, with these names.
    """

    way: Way
    arguments: Sequence[Parameter]
    results: Structure


def add_function(model: ModelGraph, path: str, forms: Sequence[Form]) -> None:
    """Add a function that the loaded object has as an attribute.

    Args:
        model: The model.
        path: The attributes that lead to it, with dots.
        forms: Its traced forms.
    """
    names = [_function(model, path, form.way, form)[0] for form in forms]
    model.objects.function(path.split("."), names, forms[0].arguments)


def _function(model: ModelGraph, name: str, way: Way, form: Form) -> tuple[str, list[Resource]]:
    """Add a function of the library that says what it takes and gives, and return what it holds on to."""
    given = {spec.name: spec for spec in way.inputs}
    made = {spec.name: spec for spec in way.outputs}
    builder = FunctionBuilder(model.library.unique(name))
    order = [given[each] for each in flat_arguments(form.arguments)]
    refs = {spec.name: builder.argument(spec.name, spec.kind, spec.shape) for spec in order}
    captures = Captures(builder)
    results = way.call(captures, refs)
    function = model.library.add(builder.finish({each: results[each] for each in flat_names(form.results)}))
    model.objects.concrete(
        function,
        [resource.number for resource in captures.resources],
        arguments=structured_arguments(form.arguments, given.__getitem__),
        results=structured(form.results, made.__getitem__),
    )
    return function, captures.resources
