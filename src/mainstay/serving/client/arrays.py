"""What goes into a request and comes out of an answer: values become arrays of the signature's dtypes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import ml_dtypes  # noqa: F401  (makes bfloat16 a dtype of NumPy)
import numpy as np
import orjson

from mainstay.core import RequestError, ServerError, Signature, TensorSpec
from mainstay.serving.models.snapshot import DEFAULT_SIGNATURE

Array: TypeAlias = np.ndarray[Any, Any]


def input_arrays(inputs: Any, signature: Signature) -> dict[str, Array]:
    """Return the arrays of a request by input name.

    Args:
        inputs: A mapping by name; or, where the signature has one input, its value.
        signature: What it takes.

    Raises:
        RequestError: A name is unknown, or a value is not of the input's dtype.
    """
    specs = {spec.name: spec for spec in signature.inputs}
    if not isinstance(inputs, Mapping):
        if len(specs) != 1:
            raise RequestError(
                "the signature has several inputs", where="inputs", expected=f"a mapping of {', '.join(sorted(specs))}"
            )
        inputs = {next(iter(specs)): inputs}
    unknown = sorted(set(inputs) - set(specs))
    if unknown:
        raise RequestError(
            f"the signature has no input {unknown[0]!r}", where="inputs", expected=", ".join(sorted(specs))
        )
    return {name: _array(value, specs[name]) for name, value in inputs.items()}


def _array(value: Any, spec: TensorSpec) -> Array:
    if spec.dtype == "string":
        array = np.array(value, object)
        wrong = next((item for item in array.reshape(-1) if not isinstance(item, str | bytes)), None)
        if wrong is not None:
            raise RequestError("the values are no strings", where=spec.name, expected="str or bytes", received=wrong)
        return array
    try:
        array = np.asarray(value)
        if array.dtype == np.dtype(spec.dtype):
            return array
        if array.dtype.kind in "OUSMm" or not _may_become(array, np.dtype(spec.dtype)):
            raise ValueError
        return array.astype(spec.dtype)
    except (ValueError, TypeError) as error:
        raise RequestError(
            "the values are not of the input's dtype",
            where=spec.name,
            expected=spec.dtype,
            received=getattr(value, "dtype", type(value).__name__),
        ) from error


def _may_become(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether a cast loses nothing but digits: to floats from any number, to integers from integers in their range."""
    if dtype.kind == "b" or array.dtype.kind == "b":
        return False
    if dtype.kind not in "iu":
        return True
    limits = np.iinfo(dtype)
    return array.dtype.kind in "iu" and (not array.size or (array.min() >= limits.min and array.max() <= limits.max))


def request_json(arrays: Mapping[str, Array], signature: str) -> bytes:
    """Return the body of a predict request in columnar format."""
    document: dict[str, Any] = {"signature_name": signature} if signature else {}
    document["inputs"] = {name: _json_value(array) for name, array in arrays.items()}
    if all(array.dtype.kind != "f" or bool(np.isfinite(array).all()) for array in arrays.values()):
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(document, default=lambda array: array.tolist()).encode()  # writes NaN and Infinity as words


def _json_value(array: Array) -> Any:
    if array.dtype == object:
        return _json_strings(array.tolist())
    if array.dtype.kind not in "biuf" or array.dtype.itemsize == 16:  # bfloat16
        array = array.astype(np.float32)
    return np.ascontiguousarray(array) if array.ndim else array.item()


def _json_strings(value: Any) -> Any:
    if isinstance(value, list):
        return [_json_strings(item) for item in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def answer_arrays(document: Any, signature: Signature, where: str) -> dict[str, Array]:
    """Return the outputs in a columnar answer by name.

    Raises:
        ServerError: It is not the answer of such a signature.
    """
    names = [spec.name for spec in signature.outputs]
    try:
        values = document["outputs"]
        if len(names) == 1:
            values = {names[0]: values}
        return {spec.name: output_array(values[spec.name], spec) for spec in signature.outputs}
    except (KeyError, TypeError, ValueError) as error:
        raise ServerError(
            "the answer is not that of the signature", where=where, expected=f"outputs {', '.join(names)}"
        ) from error


def output_array(value: Any, spec: TensorSpec) -> Array:
    """Return an output: numbers of its dtype; text as str, and as bytes where its name ends in ``_bytes``."""
    if spec.dtype != "string":
        return np.asarray(value, spec.dtype)
    array = np.array(value, object)
    for index, item in enumerate(flat := array.reshape(-1)):
        if isinstance(item, dict):
            flat[index] = base64.b64decode(item["b64"])
        elif isinstance(item, bytes) and not spec.name.endswith("_bytes"):
            flat[index] = item.decode("utf-8", "surrogateescape")
    return array


def signature_of(definition: Mapping[str, Any]) -> Signature:
    """Return the signature that a ``SignatureDef`` in JSON describes."""
    return Signature(_specs(definition.get("inputs", {})), _specs(definition.get("outputs", {})))


def find_signature(known: Mapping[str, Signature], name: str, model: str) -> Signature:
    """Return the signature of a name; an empty one means the default one, or the only one.

    Args:
        known: The signatures of the model by name.
        name: The name, or an empty string.
        model: The model's name, for the message.

    Raises:
        RequestError: There is none of that name.
    """
    wanted = name or DEFAULT_SIGNATURE
    if not name and wanted not in known and len(known) == 1:
        (wanted,) = known
    if wanted not in known:
        raise RequestError(
            f"model {model} has no signature {wanted!r}", where="signature", expected=", ".join(sorted(known))
        )
    return known[wanted]


_NAMES = {"DT_HALF": "float16", "DT_FLOAT": "float32", "DT_DOUBLE": "float64"}


def _specs(infos: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    specs = []
    for name in sorted(infos):
        info = infos[name]
        shape = info.get("tensor_shape", {})
        sizes = [int(axis.get("size", 0)) for axis in shape.get("dim", [])]
        dtype = _NAMES.get(info["dtype"], info["dtype"].removeprefix("DT_").lower())
        specs.append(TensorSpec([None if size < 0 else size for size in sizes], dtype, name))
    return tuple(specs)


def _feature_values(value: Any) -> list[Any]:
    values = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else value
    return list(values) if isinstance(values, list | tuple) else [values]


def json_feature(value: Any) -> Any:
    """Return a feature of an example as JSON has it: a value, or a list of values."""
    values = [_json_strings(item) for item in _feature_values(value)]
    return values[0] if len(values) == 1 else values


def fill_example(example: Any, features: Mapping[str, Any]) -> None:
    """Fill a ``tf.Example``: whole numbers and booleans become int64, other numbers float, strings bytes.

    Raises:
        RequestError: The values of a feature are of several kinds, or of none of these.
    """
    for name, value in features.items():
        values = _feature_values(value)
        feature = example.features.feature[name]
        if all(isinstance(item, bool | int) for item in values):
            feature.int64_list.value.extend(int(item) for item in values)
        elif all(isinstance(item, int | float) and not isinstance(item, bool) for item in values):
            feature.float_list.value.extend(values)
        elif all(isinstance(item, str | bytes) for item in values):
            feature.bytes_list.value.extend(item.encode() if isinstance(item, str) else item for item in values)
        else:
            raise RequestError(
                "the values of a feature are not of one kind",
                where=name,
                expected="numbers, or strings",
                received=sorted({type(item).__name__ for item in values}),
            )
