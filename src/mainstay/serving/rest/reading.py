"""From the body of a request to its rows and to what writes its answer, whatever formats they have."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from mainstay.serving.bodies.formats import Reading, answer_as, body_format, read_body
from mainstay.serving.bodies.npy import is_archive
from mainstay.serving.calls import Call
from mainstay.serving.models.snapshot import Servable
from mainstay.serving.rest.answers import JSON
from mainstay.serving.rest.encode import columns, predictions
from mainstay.serving.rest.example_json import classification, read_examples, regression
from mainstay.serving.rest.requests import read_prediction

_PLAIN = (None, b"*/*", b"application/json", b"application/json, */*")
_MOST_TEXT = 256 << 10


def is_slow(body: bytes, call: Call) -> bool:
    """Whether reading a body takes so long that another thread had better do it: much JSON does, and what has to be
    unpacked, but arrays never do."""
    if len(body) < _MOST_TEXT:
        return False
    return body_format(call.headers.get(b"content-type", b"")) is None or is_archive(body)


def read_call(body: bytes, call: Call, servable: Servable, action: str, *, query: str, most_bytes: int) -> Reading:
    """Read the body of a call that has been routed. It may run on any thread.

    Args:
        body: The body.
        call: The call; its headers tell the formats of the body and of the answer.
        servable: The version that answers.
        action: ``predict``, ``classify`` or ``regress``.
        query: The query of the request's target.
        most_bytes: How large a body may be once unpacked.

    Raises:
        RequestError: The body is not as its format or the signature says.
    """
    if action != "predict":
        endpoint, chunk = read_examples(body, servable, action)
        results = classification if action == "classify" else regression
        return Reading(endpoint, chunk, partial(results, endpoint=endpoint), JSON)
    headers: Mapping[bytes, bytes] = call.headers
    content_type = headers.get(b"content-type")
    if content_type is not None:
        kind = body_format(content_type)
        if kind is not None:
            return read_body(body, kind, call, query=query, most_bytes=most_bytes)
    endpoint, chunk, in_rows = read_prediction(body, servable)
    accept = headers.get(b"accept")
    if accept not in _PLAIN:
        encode, kind = answer_as(accept or b"", JSON, servable, endpoint)
        if kind != JSON:
            return Reading(endpoint, chunk, encode, kind)
    return Reading(endpoint, chunk, predictions if in_rows else columns, JSON)
