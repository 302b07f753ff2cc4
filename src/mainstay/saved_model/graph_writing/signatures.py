"""Signatures: the ways to call a core, with raw columns or with serialised tf.Examples, and restored functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mainstay.core import TensorSpec
from mainstay.hostops import HostInput
from mainstay.saved_model.graph_writing.captures import Captures, Resource
from mainstay.saved_model.graph_writing.cores import Core, flat_inputs, kind_of
from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Ref
from mainstay.saved_model.graph_writing.model_graph import ModelGraph
from mainstay.saved_model.graph_writing.structured_values import (
    Spec,
    flat_arguments,
    flat_names,
    structured,
    structured_arguments,
)
from mainstay.saved_model.manifest import FunctionEntry
from mainstay.saved_model.structures import Parameter, Structure

_INT64, _BOOL = np.dtype(np.int64), np.dtype(np.bool_)
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

_STORED = {"bool": "int64", "float32": "float32", "float64": "float32", "string": "string"}
"""As which of its three kinds of lists a tf.Example holds values of a dtype; integers are int64."""


def add_columns(model: ModelGraph, name: str, core: Core, *, method: str = "predict") -> None:
    """Add a signature that takes each input by itself.

    Missing values of optional inputs are NaN or the empty string; optional integers and booleans are never missing.

    Args:
        model: The model.
        name: The name of the signature.
        core: What it does.
        method: What it is for.
    """
    inputs = flat_inputs([item.spec for item in core.inputs])

    def call(captures: Captures, refs: Mapping[str, Ref]) -> Mapping[str, Ref]:
        missing = {
            item.spec.name: _blank(captures.builder, refs[item.spec.name]) for item in core.inputs if item.optional
        }
        return core.call(captures, refs, missing)

    _add(model, name, inputs, core.outputs, call=call, method=method)


def _blank(builder: FunctionBuilder, ref: Ref) -> Ref:
    """Return where a column holds what stands for a missing value."""
    if ref.dtype == "string":
        return builder.one("Equal", [ref, builder.constant(np.array(b"", object))], _BOOL, ref.shape)
    if ref.dtype in _FLOATS:
        return builder.one("IsNan", [ref], _BOOL, ref.shape)
    shape = builder.one("Shape", [ref], np.int32, (1,), out_type=np.int32)
    return builder.one("Fill", [shape, builder.constant(np.array(False))], _BOOL, ref.shape)


def why_no_examples(inputs: Sequence[HostInput]) -> str | None:
    """Return why the inputs of a signature cannot come in a tf.Example, or None if they can."""
    for item in inputs:
        spec = item.spec
        if not spec.shape or spec.shape[0] is not None or None in spec.shape[1:]:
            return f"{spec.name} has no fixed shape"
        if spec.dtype not in _STORED and np.dtype(spec.dtype).kind not in "iu":
            return f"a tf.Example holds no {spec.dtype}"
    return None


def add_examples(model: ModelGraph, name: str, core: Core, *, method: str = "predict", key: str = "examples") -> None:
    """Add a signature that takes serialised tf.Examples, whose features are the inputs.

    Args:
        model: The model.
        name: The name of the signature.
        core: What it does.
        method: What it is for.
        key: The name of its input.
    """
    inputs = (Spec(key, "string", (None,)),)

    def call(captures: Captures, refs: Mapping[str, Ref]) -> Mapping[str, Ref]:
        parsed, missing = _parse(captures.builder, refs[key], core.inputs)
        return core.call(captures, parsed, missing)

    _add(model, name, inputs, core.outputs, call=call, method=method)


def _parse(
    builder: FunctionBuilder, serialized: Ref, inputs: Sequence[HostInput]
) -> tuple[dict[str, Ref], dict[str, Ref]]:
    """Return the features of serialised tf.Examples by name, and where the optional ones are missing."""
    given = sorted(inputs, key=lambda item: item.spec.name)
    sparse = [item.spec for item in given if item.optional]
    dense = [item.spec for item in given if not item.optional]
    outputs = [
        *((_INT64, (None, 2)) for _ in sparse),
        *((_stored(spec), (None,)) for spec in sparse),
        *((_INT64, (2,)) for _ in sparse),
        *((_stored(spec), tuple(spec.shape)) for spec in dense),
    ]
    none = builder.constant(np.empty(0, object))
    parsed = builder.op(
        "ParseExampleV2",
        [
            serialized,
            none,
            _keys(builder, sparse),
            _keys(builder, dense),
            none,
            *(_no_default(builder, s) for s in dense),
        ],
        outputs,
        attrs={
            "num_sparse": len(sparse),
            "sparse_types": [_stored(spec) for spec in sparse],
            "ragged_value_types": [],
            "ragged_split_types": [],
            "Tdense": [_stored(spec) for spec in dense],
            "dense_shapes": [tuple(spec.shape[1:]) for spec in dense],
        },
    )
    count = len(sparse)
    found = {spec.name: _cast(builder, ref, spec) for spec, ref in zip(dense, parsed[3 * count :], strict=True)}
    missing = {}
    for index, spec in enumerate(sparse):
        triple = parsed[index], parsed[count + index], parsed[2 * count + index]
        column, missing[spec.name] = _column(builder, serialized, triple)
        found[spec.name] = _cast(builder, column, spec)
    return found, missing


def _column(builder: FunctionBuilder, serialized: Ref, sparse: tuple[Ref, Ref, Ref]) -> tuple[Ref, Ref]:
    """Return the first value of each row of a sparse feature, and which rows have none."""
    indices, values, _ = sparse
    rows = builder.one("Shape", [serialized], _INT64, (1,), out_type=_INT64)
    one = builder.constant(np.array([1], np.int64))
    shape = builder.one("ConcatV2", [rows, one, builder.constant(np.int32(0))], _INT64, (2,))
    blank = np.array(b"", object) if values.dtype == "string" else np.zeros((), values.dtype)
    dense = [
        builder.one("SparseToDense", [indices, shape, filled, builder.constant(default)], kind, (None, 1))
        for filled, default, kind in (
            (values, blank, values.dtype),
            (builder.constant(np.array(False)), np.array(True), _BOOL),
        )
    ]
    flat = [builder.one("Squeeze", [ref], ref.dtype, (None,), squeeze_dims=[1]) for ref in dense]
    return flat[0], flat[1]


def _stored(spec: TensorSpec) -> object:
    return kind_of(_STORED.get(spec.dtype, "int64"))


def _keys(builder: FunctionBuilder, specs: Sequence[TensorSpec]) -> Ref:
    keys = np.empty(len(specs), object)
    keys[:] = [spec.name.encode() for spec in specs]
    return builder.constant(keys)


def _no_default(builder: FunctionBuilder, spec: TensorSpec) -> Ref:
    """Return an empty default: the feature must be there."""
    dtype = _STORED.get(spec.dtype, "int64")
    return builder.constant(np.empty(0, object if dtype == "string" else dtype))


def _cast(builder: FunctionBuilder, ref: Ref, spec: TensorSpec) -> Ref:
    kind = kind_of(spec.dtype)
    return ref if ref.dtype == kind else builder.one("Cast", [ref], kind, ref.shape)


def _add(
    model: ModelGraph,
    name: str,
    inputs: tuple[Spec, ...],
    outputs: Sequence[Spec],
    *,
    call: Callable[[Captures, Mapping[str, Ref]], Mapping[str, Ref]],
    method: str,
) -> None:
    """Add a signature whose function is what `call` writes."""
    given = tuple(sorted(outputs, key=lambda spec: spec.name))
    function, resources = _function(model, f"signature_wrapper_{name}", inputs, given, call)
    numbers = [resource.number for resource in resources]
    handles = [resource.handle for resource in resources]
    names = [spec.name for spec in inputs]
    by_name = {spec.name: spec for spec in inputs}
    keywords = [Parameter(each, {"tensor": each}, keyword_only=True) for each in names]
    answers: Structure = {"dict": {spec.name: {"tensor": spec.name} for spec in given}}
    specs = {spec.name: spec for spec in given}
    model.objects.concrete(
        function,
        numbers,
        arguments=structured_arguments(keywords, by_name.__getitem__),
        results=structured(answers, specs.__getitem__),
    )
    model.objects.signature(name, function, names)
    model.graph.signature(name, function, inputs=inputs, bound=handles, outputs=given, method=method)


def _function(
    model: ModelGraph,
    name: str,
    inputs: Sequence[Spec],
    outputs: Sequence[Spec],
    call: Callable[[Captures, Mapping[str, Ref]], Mapping[str, Ref]],
) -> tuple[str, list[Resource]]:
    builder = FunctionBuilder(model.library.unique(name))
    refs = {spec.name: builder.argument(spec.name, spec.kind, spec.shape) for spec in inputs}
    captures = Captures(builder)
    results = call(captures, refs)
    function = builder.finish({spec.name: results[spec.name] for spec in outputs})
    return model.library.add(function), captures.resources


@dataclass(frozen=True, slots=True)
class RestoredForm:
    """One traced form of a function, and the core that does what it does."""

    entry: FunctionEntry
    core: Core


def add_function(model: ModelGraph, path: str, forms: Sequence[RestoredForm]) -> None:
    """Add a function that the loaded object has as an attribute.

    Args:
        model: The model.
        path: The attributes that lead to it, with dots.
        forms: Its traced forms.
    """
    names = [_add_form(model, path, form) for form in forms]
    model.objects.function(path.split("."), names, forms[0].entry.arguments)


def _add_form(model: ModelGraph, path: str, form: RestoredForm) -> str:
    core, parameters = form.core, form.entry.arguments
    given = {spec.name: spec for spec in flat_inputs([item.spec for item in core.inputs])}
    made = {spec.name: spec for spec in core.outputs}

    def call(captures: Captures, refs: Mapping[str, Ref]) -> Mapping[str, Ref]:
        return core.call(captures, refs, {})

    function, resources = _function(
        model,
        path,
        [given[name] for name in flat_arguments(parameters)],
        [made[name] for name in flat_names(form.entry.results)],
        call,
    )
    model.objects.concrete(
        function,
        [resource.number for resource in resources],
        arguments=structured_arguments(parameters, given.__getitem__),
        results=structured(form.entry.results, made.__getitem__),
    )
    return function
