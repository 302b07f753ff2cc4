"""The formats of bodies beside JSON: which one a request has, which one its answer has, and both put together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qs

from mainstay.core import RequestError
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.bodies.arrow import read_stream, write_stream
from mainstay.serving.bodies.npy import is_archive, read_archive, read_array, write_archive, write_array
from mainstay.serving.bodies.protobuf import read_message, read_tensors, write_message
from mainstay.serving.bodies.tensors import Tensor, chunk_of
from mainstay.serving.calls import Call
from mainstay.serving.grpc.predict_response import filtered
from mainstay.serving.models.snapshot import Endpoint, Servable
from mainstay.serving.rest.answers import JSON
from mainstay.serving.rest.encode import columns
from mainstay.serving.tensors import tensor_chunk

NPY = "application/x-npy"
NPZ = "application/x-npz"
PROTOBUF = "application/x-protobuf"
ARROW = "application/vnd.apache.arrow.stream"

_NAMES = {
    **{name: name for name in (NPY, NPZ, PROTOBUF, ARROW)},
    "application/x-npy-archive": NPZ,
    "application/protobuf": PROTOBUF,
    "application/vnd.google.protobuf": PROTOBUF,
}

Encode: TypeAlias = Callable[[Outputs], bytes]
"""Writes the body of an answer."""


class Reading(NamedTuple):
    """A request that has been read.

    Attributes:
        endpoint: The signature that it is for.
        chunk: Its rows.
        encode: Writes its answer.
        content_type: What the answer is.
    """

    endpoint: Endpoint
    chunk: Chunk
    encode: Encode
    content_type: str


@functools.lru_cache(256)
def body_format(content_type: bytes) -> str | None:
    """Return the format of a body by its ``Content-Type``, or None where it is JSON, as TF Serving takes any to be.

    >>> body_format(b"Application/X-NPY"), body_format(b"text/plain")
    ('application/x-npy', None)
    """
    return _NAMES.get(content_type.partition(b";")[0].strip().lower().decode("latin-1"))


@functools.lru_cache(256)
def answer_format(accept: bytes, default: str) -> str:
    """Return the format of an answer by the request's ``Accept``: of those that it likes best the first that is known.

    Args:
        accept: The header; empty where there is none.
        default: The format where it says nothing, or that it takes anything.

    >>> answer_format(b"text/html;q=0.1, application/json;q=0.5, application/x-npy", "application/json")
    'application/x-npy'
    """
    best, choice = 0.0, default
    for item in accept.decode("latin-1").lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        known = default if name in ("*/*", "application/*") else JSON if name == JSON else _NAMES.get(name)
        quality = _quality(parameters)
        if known is not None and quality > best:
            best, choice = quality, known
    return choice


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def read_body(body: bytes, kind: str, call: Call, *, query: str = "", most_bytes: int = 1 << 24) -> Reading:
    """Read the body of a predict request that has been routed.

    Args:
        body: The body.
        kind: Its format.
        call: The call; its headers say what the answer is to be.
        query: The query of the request's target: ``signature_name`` names the signature, where the body cannot.
        most_bytes: How large a body may be once unpacked.

    Raises:
        RequestError: The body is not as its format or the signature says.
    """
    servable = call.servable
    if servable is None:
        raise RequestError("the call has not been routed")
    signature = parse_qs(query).get("signature_name", [""])[-1] if query else ""
    accept = call.headers.get(b"accept", b"")
    if kind == PROTOBUF:
        protos, head = read_message(body, call)
        endpoint = servable.endpoint(head.signature or signature)
        chunk = tensor_chunk(endpoint, read_tensors(protos, endpoint))
        return Reading(endpoint, chunk, *answer_as(accept, kind, servable, endpoint, outputs=head.outputs))
    endpoint = servable.endpoint(signature)
    chunk = chunk_of(_tensors(body, kind, endpoint, most_bytes), endpoint)
    return Reading(endpoint, chunk, *answer_as(accept, kind, servable, endpoint))


def _tensors(body: bytes, kind: str, endpoint: Endpoint, most_bytes: int) -> dict[str, Tensor]:
    if kind == ARROW:
        return read_stream(body)
    if is_archive(body):
        return dict(read_archive(body, most_bytes))
    plans = [plan for plan in endpoint.plans if not plan.optional] or list(endpoint.plans)
    if len(plans) != 1:
        raise RequestError(
            "one array does not say which input it is for",
            where="$",
            expected=f"arrays named {', '.join(plan.name for plan in plans)}",
            received="a .npy file",
            fix="send a .npz file, as numpy.savez writes it",
        )
    return {plans[0].name: read_array(body)}


def answer_as(
    accept: bytes, default: str, servable: Servable, endpoint: Endpoint, *, outputs: tuple[str, ...] = ()
) -> tuple[Encode, str]:
    """Return what writes an answer, and its media type.

    Args:
        accept: The request's ``Accept``; empty where there is none.
        default: The format where it says nothing, or that it takes anything.
        servable: The version that answers.
        endpoint: The signature that answers.
        outputs: The outputs that are asked for; empty for all.

    Raises:
        RequestError: An output is asked for that the signature does not have.
    """
    kind = answer_format(accept, default)
    names = filtered(endpoint.signature, outputs)
    if kind == PROTOBUF:
        return lambda result: write_message(result.arrays, servable, endpoint, outputs), kind
    if kind == NPY and len(names) > 1:
        kind = NPZ

    def encode(result: Outputs) -> bytes:
        arrays = {name: result.arrays[name] for name in names}
        if kind == JSON:
            return columns(Outputs(arrays, result.run, result.whole))
        if kind == ARROW:
            return write_stream(arrays)
        return write_array(arrays[names[0]]) if kind == NPY else write_archive(arrays)

    return encode, kind
