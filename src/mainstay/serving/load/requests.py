"""The request of a load: rows made up from a signature, or a body from a file, as the bytes of either protocol."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import hpack
import numpy as np

from mainstay.core import ArgumentError, Signature, TensorSpec
from mainstay.serving.client.address import Address
from mainstay.serving.client.arrays import Array, request_json
from mainstay.serving.client.protocols import Target, predict_message
from mainstay.serving.load.connections import GrpcLoadConnection, HttpLoadConnection
from mainstay.serving.load.generator import LoadTarget

_PREDICT = "/tensorflow.serving.PredictionService/Predict"


def made_up(signature: Signature, rows: int, *, axis: int = 1, seed: int = 0) -> dict[str, Array]:
    """Return inputs for a signature: random floats from 0 to 1, small whole numbers, short words.

    Args:
        signature: What it takes.
        rows: The length of first axes that are open.
        axis: The length of other open axes.
        seed: Chooses the values.
    """
    random = np.random.default_rng(seed)
    return {spec.name: _values(spec, rows, axis, random) for spec in signature.inputs}


def _values(spec: TensorSpec, rows: int, axis: int, random: np.random.Generator) -> Array:
    sizes = [size if size is not None else rows if place == 0 else axis for place, size in enumerate(spec.shape)]
    if spec.dtype == "string":
        return np.full(sizes, "word", object)
    if spec.dtype == "bool":
        return random.random(sizes) < 0.5
    if "float" in spec.dtype:
        return random.random(sizes).astype(spec.dtype)
    return random.integers(0, 10, sizes).astype(spec.dtype)


def rest_target(
    address: Address,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    content_type: str = "application/json",
    tls: ssl.SSLContext | None = None,
) -> LoadTarget:
    """Return what sends a body over HTTP/1.1.

    Args:
        address: The server.
        path: Where the body goes.
        body: The body.
        headers: Further headers.
        content_type: What the body is.
        tls: How the server is spoken to over TLS.
    """
    lines = [f"POST {address.prefix}{path} HTTP/1.1", f"host: {address.authority}", f"content-type: {content_type}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    request = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode("latin-1") + body
    return LoadTarget(address, lambda answered: HttpLoadConnection(answered, request), tls)


def grpc_target(
    address: Address,
    message: bytes,
    headers: Mapping[str, str],
    *,
    path: str = _PREDICT,
    tls: ssl.SSLContext | None = None,
) -> LoadTarget:
    """Return what sends a message over gRPC.

    Args:
        address: The server.
        message: The message.
        headers: Further metadata.
        path: The method.
        tls: How the server is spoken to over TLS.
    """
    fields = [
        (":method", "POST"),
        (":scheme", "https" if address.secure else "http"),
        (":path", path),
        (":authority", address.authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *headers.items(),
    ]
    # Never indexed: the same block serves every connection, whatever its table holds.
    block = hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*pair) for pair in fields])
    framed = b"\0" + len(message).to_bytes(4, "big") + message
    return LoadTarget(address, lambda answered: GrpcLoadConnection(answered, block, framed), tls)


def predict_target(
    address: Address,
    place: Target,
    arrays: Mapping[str, Array],
    *,
    tls: ssl.SSLContext | None = None,
) -> LoadTarget:
    """Return what sends a predict request over the protocol of an address.

    Args:
        address: The server.
        place: The `client.protocols.Target` of the request.
        arrays: Its inputs.
        tls: How the server is spoken to over TLS.

    Raises:
        ArgumentError: The message is too large for gRPC.
    """
    headers = dict(place.headers)
    if address.protocol == "rest":
        return rest_target(address, f"{place.path}:predict", request_json(arrays, place.signature), headers, tls=tls)
    message = predict_message(place, arrays)
    if len(message) >= 1 << 31:
        raise ArgumentError("the request is too large for gRPC", received=f"{len(message):,} bytes")
    return grpc_target(address, message, headers, tls=tls)
