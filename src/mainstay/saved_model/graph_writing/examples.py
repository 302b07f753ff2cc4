"""Inputs of a signature as the features of serialised tf.Examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mainstay.core import TensorSpec
from mainstay.hostops import HostInput
from mainstay.saved_model.graph_writing.cores import kind_of
from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Ref

_INT64, _BOOL = np.dtype(np.int64), np.dtype(np.bool_)

_STORED = {"bool": "int64", "float32": "float32", "float64": "float32", "string": "string"}
"""As which of its three kinds of lists a tf.Example holds values of a dtype; integers are int64."""


def why_no_examples(inputs: Sequence[HostInput]) -> str | None:
    """Return why the inputs of a signature cannot come in a tf.Example, or None if they can."""
    for item in inputs:
        spec = item.spec
        if not spec.shape or spec.shape[0] is not None or None in spec.shape[1:]:
            return f"{spec.name} has no fixed shape"
        if spec.dtype not in _STORED and np.dtype(spec.dtype).kind not in "iu":
            return f"a tf.Example holds no {spec.dtype}"
    return None


def parse_examples(
    builder: FunctionBuilder, serialized: Ref, inputs: Sequence[HostInput]
) -> tuple[dict[str, Ref], dict[str, Ref]]:
    """Add the parsing of serialised tf.Examples to a function.

    Args:
        builder: The function.
        serialized: The examples, `[batch]` strings.
        inputs: The features. A required one must be in every example; an optional one has one value or none.

    Returns:
        The features by name, and for each optional one where it is missing, `[batch]` bool.
    """
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
