"""Classify and regress, whatever protocol asks: tf.Examples become rows, and outputs become classes or values.

The rules and messages are those of TF Serving's ``servables/tensorflow/{classifier,regressor,util}.cc``. Beyond it,
a signature of Mainstay's own that is meant for classify or regress takes tf.Examples too: their features are its
inputs, and its outputs need no particular names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from mainstay.core import DataError, PreconditionError, RequestError, TensorSpec
from mainstay.io import FixedLenFeature, Ragged, VarLenFeature, parse_example, to_objects
from mainstay.serving.batching.chunks import Chunk, DensePart
from mainstay.serving.models.snapshot import Endpoint
from mainstay.serving.plans import InputPlan

Array: TypeAlias = np.ndarray[Any, Any]

PREDICT_METHOD = "tensorflow/serving/predict"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"

_MOST_CONTEXT_BYTES = 64 << 20

INPUTS, OUTPUTS, CLASSES, SCORES = "inputs", "outputs", "classes", "scores"
"""The names that classify and regress know."""


def find_classes(endpoint: Endpoint) -> tuple[str | None, str | None]:
    """Return the outputs of a signature that are its classes and its scores; at least one of them is there.

    Raises:
        RequestError: The signature has too many inputs or outputs to classify.
        PreconditionError: It has none of the outputs.
    """
    _check_one_input(endpoint, "classification")
    outputs = endpoint.signature.outputs
    if len(outputs) not in (1, 2):
        raise RequestError(f"Expected one or two output Tensors, found {len(outputs)}")
    names = {spec.name for spec in outputs}
    classes, scores = (name if name in names else None for name in (CLASSES, SCORES))
    if classes is None and scores is None and endpoint.method == CLASSIFY_METHOD:
        classes, scores = _only(outputs, "string"), _only(outputs, "float32")
    if classes is None and scores is None:
        raise PreconditionError(
            f'Expected classification signature outputs to contain at least one of "{CLASSES}" or "{SCORES}". '
            f"Signature was: {_shown(outputs)}"
        )
    return classes, scores


def find_values(endpoint: Endpoint) -> str:
    """Return the output of a signature that holds its values.

    Raises:
        RequestError: The signature has too many inputs or outputs to regress.
        PreconditionError: It lacks the output.
    """
    _check_one_input(endpoint, "regression")
    outputs = endpoint.signature.outputs
    if len(outputs) != 1:
        raise RequestError("Expected one output Tensor.")
    name = outputs[0].name
    if name != OUTPUTS and endpoint.method != REGRESS_METHOD:
        raise PreconditionError(f"No regression outputs found in SignatureDef: {_shown(outputs)}")
    return name


def classify_results(outputs: Mapping[str, Array], endpoint: Endpoint) -> tuple[Array | None, Array | None]:
    """Return the classes and the scores of a classification.

    Args:
        outputs: The outputs of the signature by name, `[rows, ...]`.
        endpoint: The signature.

    Returns:
        The labels, `[rows, classes]` of str or bytes, and the scores, `[rows, classes]` float32. One of them may be
        None.

    Raises:
        RequestError: An output has another dtype or shape.
    """
    names = find_classes(endpoint)
    is_own = endpoint.method == CLASSIFY_METHOD
    found = [None if name is None else outputs[name] for name in names]
    for index, (word, dtype, wanted) in enumerate(((CLASSES, "string", "DT_STRING"), (SCORES, "float32", "DT_FLOAT"))):
        array = found[index]
        if array is None:
            continue
        if array.ndim == 1 and is_own:
            array = found[index] = array[:, None]
        if array.ndim != 2:
            raise RequestError(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
        if _dtype(array) != dtype:
            raise RequestError(f"Expected {word} Tensor of {wanted}. Got: {_data_type(array)}")
    classes, scores = found
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise RequestError(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    return classes, scores


def regress_results(outputs: Mapping[str, Array], endpoint: Endpoint) -> Array:
    """Return the values of a regression.

    Args:
        outputs: The outputs of the signature by name, `[rows, ...]`.
        endpoint: The signature.

    Returns:
        The values, `[rows]` float32.

    Raises:
        RequestError: The output has another dtype or shape.
    """
    array = outputs[find_values(endpoint)]
    if array.ndim != 1 and (array.ndim != 2 or array.shape[1] != 1):
        raise RequestError(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(array)}"
        )
    if _dtype(array) != "float32":
        raise RequestError(f"Expected output Tensor of DT_FLOAT.  Got: {_data_type(array)}")
    return array.reshape(-1)


def example_chunk(endpoint: Endpoint, serialized: Sequence[bytes]) -> Chunk:
    """Return the rows of tf.Examples.

    A signature whose only input is the strings ``inputs`` takes the examples themselves. Any other one takes their
    features, under the names of its inputs.

    Args:
        endpoint: The signature.
        serialized: The examples; one that is put together from a context and an example is the bytes of both.

    Raises:
        RequestError: There is no example, or one lacks a feature or has it with another kind or number of values.
    """
    rows = len(serialized)
    if not rows:
        raise RequestError("Input is empty.", where="$.input", expected="at least one example")
    plans = endpoint.plans
    is_whole = not endpoint.batched
    if takes_examples(endpoint):
        strings = np.empty(rows, object)
        strings[:] = serialized
        return Chunk(rows, [strings], place=_place, whole=is_whole)
    parts = _features(plans, serialized, endpoint.name)
    shape = tuple(_values(part).shape[1:] for plan, part in zip(plans, parts, strict=True) if plan.inner)
    is_open = any(None in plan.inner for plan in plans)
    missing = any(isinstance(part, DensePart) for part in parts)
    return Chunk(rows, parts, missing, shape if is_open else (), _place, whole=is_whole)


def takes_examples(endpoint: Endpoint) -> bool:
    """Return whether the only input of a signature is serialized tf.Examples."""
    plans = endpoint.plans
    return len(plans) == 1 and plans[0].name == INPUTS and plans[0].dtype == "string" and not plans[0].inner


def with_context(context: bytes, examples: Sequence[bytes]) -> list[bytes]:
    """Return examples that have the features of `context` as well; a feature of their own wins.

    That is how protobuf merges messages: the bytes of one after those of the other.

    Raises:
        RequestError: They would be too large together: a context is sent once, and multiplied here.
    """
    if len(context) * len(examples) > _MOST_CONTEXT_BYTES:
        raise RequestError(
            "the context is too large for so many examples",
            where="$.input",
            expected=f"at most {_MOST_CONTEXT_BYTES} bytes in all of them",
            received=f"{len(context)} bytes in {len(examples)} examples",
            fix="send fewer examples at a time",
        )
    return [context + example for example in examples] if context else list(examples)


def _check_one_input(endpoint: Endpoint, what: str) -> None:
    if endpoint.method in (CLASSIFY_METHOD, REGRESS_METHOD) and not takes_examples(endpoint):
        return  # one of Mainstay's own, whose inputs are features
    inputs = endpoint.signature.inputs
    if len(inputs) != 1:
        raise RequestError("Expected one input Tensor.")
    if inputs[0].name != INPUTS:
        raise PreconditionError(f"No {what} inputs found in SignatureDef: {_shown(inputs)}")


def _only(specs: Sequence[TensorSpec], dtype: str) -> str | None:
    names = [spec.name for spec in specs if spec.dtype == dtype]
    return names[0] if len(names) == 1 else None


def _features(plans: Sequence[InputPlan], serialized: Sequence[bytes], signature: str) -> list[Any]:
    """Return the features of the examples that are the inputs of a signature, in its order."""
    features: dict[str, Any] = {}
    for plan in plans:
        dtype = "string" if plan.dtype == "string" else "float32" if plan.is_float else "int64"
        if plan.inner.count(None) > 1:
            raise PreconditionError(
                "an input of several open axes does not fit into a tf.Example",
                where=f"$.{plan.name}",
                expected=plan.described,
                fix="ask for predict instead",
            )
        fixed = [axis for axis in plan.inner if axis is not None]
        is_open = plan.optional or len(fixed) < len(plan.inner)
        features[plan.name] = VarLenFeature(dtype) if is_open else FixedLenFeature(fixed, dtype)
    try:
        columns = parse_example(list(serialized), features)
    except DataError as error:
        raise RequestError(
            error.summary,
            where=error.where,
            expected=error.expected,
            received=error.received,
            fix=error.fix or f"send the features that signature {signature!r} takes",
        ) from error
    return [_part(plan, columns[plan.name]) for plan in plans]


def _part(plan: InputPlan, column: Any) -> Any:
    """Return a feature of all examples as the values of an input."""
    missing = None
    if isinstance(column, Ragged):
        column, missing = _dense(plan, column)
    array = np.asarray(column) if isinstance(column, np.ndarray) else to_objects(column)
    if plan.is_integer and array.size:
        limits = np.iinfo(plan.dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise RequestError(
                "an integer is out of range",
                where=f"$.{plan.name}",
                expected=f"{limits.min} to {limits.max}, {plan.dtype}",
                received=int(array.min() if array.min() < limits.min else array.max()),
            )
    values = array if plan.dtype == "string" else array.astype(plan.dtype, copy=False)
    return values if missing is None or not missing.any() else DensePart(values, missing)


def _dense(plan: InputPlan, column: Ragged) -> tuple[Array, Array]:
    """Return rows of any length as an array, and which of them are missing."""
    values = column.values if isinstance(column.values, np.ndarray) else to_objects(column.values)
    lengths = np.diff(column.splits)
    missing = (lengths == 0) if plan.optional else np.zeros(len(lengths), bool)
    there = lengths[~missing]
    fixed = int(np.prod([axis for axis in plan.inner if axis is not None], dtype=np.int64))
    length = int(there[0]) if len(there) and None in plan.inner else fixed
    if (there != length).any() or (fixed and length % fixed):
        row = int(np.flatnonzero(~missing & (lengths != length))[0]) if (there != length).any() else 0
        raise RequestError(
            "a feature has the wrong number of values",
            where=f"$.input[{row}].{plan.name}",
            expected=f"{length} values, as the first example has" if None in plan.inner else plan.described,
            received=f"{int(lengths[row])} values",
        )
    shape = tuple(length // fixed if axis is None and fixed else 0 if axis is None else axis for axis in plan.inner)
    filled = np.full((len(lengths), *shape), b"" if plan.dtype == "string" else 0, values.dtype)
    filled[~missing] = values.reshape((len(there), *shape))
    return filled, missing


def _values(part: Any) -> Array:
    values: Array = part.values if isinstance(part, DensePart) else part
    return values


def _place(name: str, row: int) -> str:
    return f"$.input[{row}].{name}"


def _dtype(array: Array) -> str:
    return "string" if array.dtype.kind in "OSU" else array.dtype.name


def _data_type(array: Array) -> str:
    name = _dtype(array)
    return "DT_" + {"float16": "HALF", "float32": "FLOAT", "float64": "DOUBLE"}.get(name, name.upper())


def _shape(array: Array) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def _shown(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name}: {spec.dtype}" for spec in specs)
