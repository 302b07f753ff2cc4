"""Strings as the bytes of numbers, in base 64, as stored tensors and as stored examples."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np

from mainstay.core import message_class
from mainstay.saved_model.graph_reading.graph_ops.byte_strings import (
    check_bytes,
    damaged,
    flat,
    mapped,
    refused,
    scalar_string,
    strings,
)
from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value
from mainstay.saved_model.graphs.tensors import read_tensor_proto, write_tensor_proto


def _ordered(node: OpNode) -> Any:
    dtype = node.dtype("out_type")
    little = node.attr("little_endian", True)
    return dtype if dtype.itemsize == 1 or dtype.name == "bfloat16" else dtype.newbyteorder("<" if little else ">")


def _numbers(node: OpNode, data: bytes) -> Any:
    ordered, dtype = _ordered(node), node.dtype("out_type")
    if dtype.kind == "b":
        return np.frombuffer(data, np.uint8) != 0
    if dtype.name == "bfloat16":
        return np.frombuffer(data, "<u2" if node.attr("little_endian", True) else ">u2").astype(np.uint16).view(dtype)
    return np.frombuffer(data, ordered).astype(dtype)


@graph_op("DecodeRaw", kind="host")
def decode_raw(node: OpNode, text: Value) -> Value:
    """Read strings of one length as numbers."""
    elements, size = flat(text), node.dtype("out_type").itemsize
    lengths = set(map(len, elements))
    if len(lengths) > 1:
        raise damaged(node, "the strings differ in length", received=sorted(lengths)[:4])
    width = lengths.pop() if lengths else 0
    if width % size:
        raise damaged(node, "a string is no whole number of values", expected=f"a multiple of {size}", received=width)
    return _numbers(node, b"".join(elements)).reshape(*np.shape(text), width // size)


@graph_op("DecodePaddedRaw", kind="host")
def decode_padded_raw(node: OpNode, text: Value, length: Value) -> Value:
    """Read strings as numbers, cut or filled up with zero bytes to one length."""
    elements, size, width = flat(text), node.dtype("out_type").itemsize, int(flat(length)[0])
    if width < 1 or width % size:
        raise refused(node, "no such length", expected=f"a multiple of {size}", received=width)
    check_bytes(node, width * max(len(elements), 1))
    joined = b"".join(element[:width].ljust(width, b"\0") for element in elements)
    return _numbers(node, joined).reshape(*np.shape(text), width // size)


@graph_op("EncodeBase64", kind="host")
def encode_base64(node: OpNode, text: Value) -> Value:
    """Write strings in the alphabet of base 64 for addresses."""
    pad = node.attr("pad", False)

    def encoded(element: bytes) -> bytes:
        written = base64.urlsafe_b64encode(element)
        return written if pad else written.rstrip(b"=")

    return mapped(encoded, text)


_STANDARD = bytes.maketrans(b"-_", b"+/")


@graph_op("DecodeBase64", kind="host")
def decode_base64(node: OpNode, text: Value) -> Value:
    """Read strings in the alphabet of base 64 for addresses, filled up or not."""

    def decoded(element: bytes) -> bytes:
        bare = element.removesuffix(b"=").removesuffix(b"=")
        is_filled = len(bare) < len(element)
        try:
            if any(letter in bare for letter in (b"+", b"/", b"=")) or (is_filled and len(element) % 4):
                raise binascii.Error("a letter or a filling that is not of this alphabet")
            whole = bare.translate(_STANDARD) + b"=" * (-len(bare) % 4)
            return binascii.a2b_base64(whole, strict_mode=True)
        except binascii.Error as error:
            raise damaged(node, "a string is not in base 64", received=f"{element[:40]!r}: {error}") from error

    return mapped(decoded, text)


@graph_op("ParseTensor", kind="host")
def parse_tensor(node: OpNode, serialized: Value) -> Value:
    """Read a serialized `TensorProto`."""
    from google.protobuf.message import DecodeError

    try:
        proto = message_class("tensorflow.TensorProto").FromString(scalar_string(node, serialized, "serialized"))
    except DecodeError as error:
        raise damaged(node, "a string is no tensor", received=error) from error
    found = read_tensor_proto(proto, where=node.name)
    if found.dtype != node.dtype("out_type"):
        raise damaged(node, "a tensor has another dtype", expected=node.dtype("out_type"), received=found.dtype)
    return found


@graph_op("SerializeTensor", kind="host")
def serialize_tensor(_: OpNode, tensor: Value) -> Value:
    """Write a `TensorProto`."""
    return strings([write_tensor_proto(np.asarray(tensor)).SerializeToString(deterministic=True)], ())


@graph_op("DecodeJSONExample", kind="host")
def decode_json_example(node: OpNode, text: Value) -> Value:
    """Turn examples in JSON into serialized ones."""
    from google.protobuf import json_format

    def decoded(element: bytes) -> bytes:
        example = message_class("tensorflow.Example")()
        try:
            json_format.Parse(element.decode(), example, max_recursion_depth=20)
        except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
            raise damaged(node, "a string is no example in JSON", received=error) from error
        written: bytes = example.SerializeToString(deterministic=True)
        return written

    return mapped(decoded, text)
