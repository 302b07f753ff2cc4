"""Classify and regress requests in JSON: examples as objects of features, and their results."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from mainstay.core import RequestError, message_class
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.examples import classify_results, example_chunk, find_classes, find_values, regress_results
from mainstay.serving.examples import with_context as add_context
from mainstay.serving.models.snapshot import Endpoint, Servable
from mainstay.serving.plans import InputPlan
from mainstay.serving.rest.encode import readable, row_texts
from mainstay.serving.rest.float_text import floats_text
from mainstay.serving.rest.json_text import parse, path, show
from mainstay.serving.rest.requests import signature_name
from mainstay.serving.rest.values import is_base64, json_type, read_value

_BYTES, _FLOATS, _INTEGERS = "bytes_list", "float_list", "int64_list"
_KIND_NAMES = {_BYTES: "bytes", _FLOATS: "float", _INTEGERS: "int64"}
_STRING = InputPlan("", "string", False, ())
_FLOAT = InputPlan("", "float32", False, ())


def read_examples(body: bytes, servable: Servable, action: str) -> tuple[Endpoint, Chunk]:
    """Read the body of a classify or regress request.

    Args:
        body: The JSON text.
        servable: The version that answers.
        action: ``classify`` or ``regress``.

    Returns:
        The signature that is called, and what it is called with.

    Raises:
        RequestError: The body is not as TF Serving's REST interface has it.
        PreconditionError: The signature is not one for this.
    """
    document = parse(body)
    if type(document) is not dict:
        raise RequestError(f"JSON Value: {show(document)} Is not object", where="$", expected="an object")
    name = signature_name(document)
    context = b""
    if "context" in document:
        context = _serialized(document["context"], "$.context")
    if "examples" not in document:
        raise _wrong_format(document, "When method is classify, key 'examples' is expected and was not found")
    examples = document["examples"]
    if type(examples) is not list:
        raise _wrong_format(document, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise _wrong_format(document, "'examples' value is an empty array")
    serialized = [_serialized(example, f"$.examples[{index}]") for index, example in enumerate(examples)]
    endpoint = servable.endpoint(name)
    if action == "classify":
        find_classes(endpoint)
    else:
        find_values(endpoint)
    return endpoint, example_chunk(endpoint, add_context(context, serialized))


def _wrong_format(document: Any, message: str) -> RequestError:
    return RequestError(f"JSON Value: {show(document)} {message}", where="$.examples", expected="a list of examples")


def _serialized(value: Any, where: str) -> bytes:
    """Return an object of features as a serialized tf.Example."""
    if type(value) is not dict:
        raise RequestError(
            f"Example must be JSON object but got JSON {json_type(value)}",
            where=where,
            expected="an object of features",
            received=show(value),
        )
    example = message_class("tensorflow.Example")()
    features = example.features.feature
    for name, content in value.items():
        # An empty list is a feature of no kind at all.
        feature = features[name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")]
        _fill(feature, name, content if type(content) is list else [content], path(where, name))
    data: bytes = example.SerializeToString()
    return data


def _fill(feature: Any, name: str, values: list[Any], where: str) -> None:
    kind = ""
    found: list[Any] = []
    for index, value in enumerate(values):
        wanted, read = _read(value, name, f"{where}[{index}]")
        if kind not in ("", wanted):
            raise RequestError(
                f"Unexpected element type in feature: {name} expecting type: {_KIND_NAMES[kind]}",
                where=f"{where}[{index}]",
                received=show(value),
            )
        kind = wanted
        found.append(read)
    if kind:
        getattr(feature, kind).value.extend(found)


def _read(value: Any, name: str, where: str) -> tuple[str, Any]:
    """Return the kind of a value, and the value as protobuf takes it."""
    kind = type(value)
    if kind is str:
        return _BYTES, value.encode("utf-8", "surrogateescape")
    if is_base64(value):
        return _BYTES, read_value(value, _STRING, where)
    if kind is bool:
        return _INTEGERS, int(value)
    if kind is int:
        if value >= 2**63:
            raise RequestError(
                f"Feature: {name} has uint64 element. Only int64 is supported.", where=where, received=show(value)
            )
        return _INTEGERS, value
    if kind is float:
        return _FLOATS, read_value(value, _FLOAT, where)
    raise RequestError(
        f"Feature: {name} has element with unexpected JSON type: {json_type(value)}",
        where=where,
        expected="a number, a boolean or a string",
        received=show(value),
    )


def classification(outputs: Outputs, endpoint: Endpoint) -> bytes:
    """Return the body of the answer to a classify request: for each example, pairs of a label and a score."""
    classes, scores = classify_results(outputs.arrays, endpoint)
    there = classes if scores is None else scores
    if there is None or not len(there):
        raise RequestError("Cannot convert empty ClassificationResults to JSON")
    labels = np.full(there.shape, "", object) if classes is None else classes
    numbers = np.zeros(there.shape, np.float32) if scores is None else scores
    texts = iter(row_texts("", np.asarray(numbers, np.float32).reshape(-1)))
    rows = [
        b"[%b]" % b",".join([b"[%b,%b]" % (orjson.dumps(readable(label)), next(texts)) for label in names])
        for names in labels.tolist()
    ]
    return b'{"results":[%b]}' % b",".join(rows)


def regression(outputs: Outputs, endpoint: Endpoint) -> bytes:
    """Return the body of the answer to a regress request: one value for each example."""
    values = regress_results(outputs.arrays, endpoint)
    if not len(values):
        raise RequestError("Cannot convert empty RegressionResults to JSON")
    return b'{"results":' + floats_text(np.asarray(values, np.float32)) + b"}"
