"""The body of a prediction request: which signature it calls, and its rows."""

from __future__ import annotations

from typing import Any, NamedTuple

from mainstay.core import RequestError
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.models.snapshot import Endpoint, Servable
from mainstay.serving.rest.json_text import parse_first, show
from mainstay.serving.rest.tensor_json import TensorReader

_MEMO = "json_reader"
_ABSENT: Any = object()


class Prediction(NamedTuple):
    """A prediction request that has been read.

    Args:
        endpoint: The signature that it calls.
        chunk: What it sends.
        in_rows: Whether it sends rows (``instances``) and is answered with rows; else columns (``inputs``).
    """

    endpoint: Endpoint
    chunk: Chunk
    in_rows: bool


def read_prediction(body: bytes, servable: Servable) -> Prediction:
    """Read the body of a prediction request.

    Args:
        body: The JSON text.
        servable: The version that answers.

    Raises:
        RequestError: It is not as TF Serving's REST interface has it, or not as the signature says.
    """
    endpoint = servable.default_endpoint
    if endpoint is not None:
        found = _read_fast(body, endpoint)
        if type(found) is str:
            endpoint = servable.endpoint(found)
            found = _read_fast(body, endpoint)
        if type(found) is tuple:
            return Prediction(endpoint, *found)
    document = parse_object(body)
    endpoint = servable.endpoint(signature_name(document))
    instances = document.get("instances", _ABSENT)
    inputs = document.get("inputs", _ABSENT)
    if instances is _ABSENT:
        if inputs is _ABSENT:
            raise RequestError("Missing 'inputs' or 'instances' key", where="$", fix='send {"instances": [...]}')
        return Prediction(endpoint, endpoint.decoder.columns(inputs), False)
    if inputs is not _ABSENT:
        raise _wrong_format(
            document,
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
            where="$",
            expected="either 'instances' or 'inputs'",
            received="both",
        )
    if type(instances) is not list:
        raise _wrong_format(
            document,
            "Excepting 'instances' to be an list/array",
            where="$.instances",
            expected="a list of rows",
            received=show(instances),
        )
    if not instances:
        raise _wrong_format(
            document, "No values in 'instances' array", where="$.instances", expected="at least one row"
        )
    return Prediction(endpoint, endpoint.decoder.rows(instances), True)


def _read_fast(body: bytes, endpoint: Endpoint) -> tuple[Chunk, bool] | str | None:
    """Return what the C library reads at once, the name of another signature, or None for all the rest."""
    memo = endpoint.memo
    reader: TensorReader | None = memo.get(_MEMO, _ABSENT)
    if reader is _ABSENT:
        reader = TensorReader.of(endpoint.name, endpoint.plans, batched=endpoint.decoder.batched)
        memo[_MEMO] = reader
    return None if reader is None else reader.read(body)


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the object that a body is.

    Raises:
        RequestError: It is no JSON, or no object.
    """
    document = parse_first(body)
    if type(document) is not dict:
        raise _wrong_format(document, "Is not object", where="$", expected="an object", received=show(document))
    return document


def signature_name(document: dict[str, Any]) -> str:
    """Return the name of the signature that a request calls; empty for the default one.

    Raises:
        RequestError: It is no string.
    """
    name = document.get("signature_name", "")
    if type(name) is not str:
        raise _wrong_format(
            document,
            "not formatted correctly. 'signature_name' key must be a string value.",
            where="$.signature_name",
            expected="a string",
            received=show(name),
        )
    return name


def _wrong_format(document: Any, message: str, **more: Any) -> RequestError:
    return RequestError(f"JSON Value: {show(document)} {message}", **more)
