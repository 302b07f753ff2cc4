"""Records in a request: the features of serialized tf.Examples, and strings of bytes read as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mainstay.core import DataError, TransformError
from mainstay.hostops.attributes import Attr, choice, constant, decode_constant, encode_constant, integer, text
from mainstay.hostops.registry import HostOp, Kernel, Site, register
from mainstay.hostops.signatures import check_count
from mainstay.hostops.words import Words, from_bytes
from mainstay.io import FixedLenFeature, decode_raw, parse_example

_MOST_VALUES = 2**24
_FEATURES = ("int64", "float32", "string")
_NUMBERS = ("bool", "uint8", "int8", "uint16", "int16", "int32", "int64", "float16", "float32", "float64")


def _lengths(value: Any) -> list[int]:
    check = integer(0, _MOST_VALUES)
    if not isinstance(value, (list, tuple)) or len(value) > 8:
        raise ValueError("a list of up to 8 lengths")
    lengths = [check(length) for length in value]
    if math.prod(lengths) > _MOST_VALUES:
        raise ValueError(f"lengths for at most {_MOST_VALUES} values")
    return lengths


def _default(value: Any) -> Any:
    return None if value is None else constant(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _of_dtype(dtypes: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    check_count(dtypes, 1)
    dtype = str(attrs["dtype"])
    if dtypes[0] != "string" or (dtype == "string" and attrs["shape"]):
        raise TransformError(
            "a host operation reads strings, and gives numbers or one string for each",
            expected="string → numbers",
            received=f"{dtypes[0]} → {dtype}{attrs['shape']}",
        )
    return dtype


def _settle(attrs: dict[str, Any]) -> dict[str, Any]:
    if attrs["default_value"] is None:
        return attrs
    try:
        return {**attrs, "default_value": encode_constant(attrs["default_value"], attrs["dtype"])}
    except ValueError as error:
        raise TransformError("a default does not fit", expected=error, received=attrs["default_value"]) from None


def _bind_feature(site: Site) -> Kernel:
    attrs = site.attrs
    default = attrs["default_value"]
    value = None if default is None else decode_constant(default, attrs["dtype"])
    value = value.encode() if isinstance(value, str) else value
    features = {attrs["key"]: FixedLenFeature(attrs["shape"], attrs["dtype"], value)}

    def parse(words: Words) -> Any:
        column = _checked(site, lambda: parse_example(_bytes(words), features)[attrs["key"]])
        if attrs["dtype"] != "string":
            return column
        return Words([from_bytes(item) for item in column.to_pylist()])

    return parse


def _bind_raw(site: Site) -> Kernel:
    attrs = site.attrs
    width = int(np.prod(attrs["shape"]))
    size = width * np.dtype(attrs["dtype"]).itemsize

    def decode(words: Words) -> Any:
        items = _bytes(words)
        wrong = next((index for index, item in enumerate(items) if len(item) != size), None)
        if wrong is not None:
            raise TransformError(
                "a string of bytes has the wrong length",
                where=f"{site.where}[{wrong}]",
                expected=f"{size} bytes",
                received=f"{len(items[wrong])} bytes",
            )
        numbers = _checked(site, lambda: decode_raw(items, attrs["dtype"], attrs["little_endian"]))
        return numbers.reshape(len(items), *attrs["shape"])

    return decode


def _bytes(words: Words) -> list[bytes]:
    return [token.encode("utf-8", "surrogateescape") for token in words.rows()]


def _checked(site: Site, work: Any) -> Any:
    try:
        return work()
    except DataError as error:
        raise TransformError(
            error.summary,
            where=f"{site.where}: {error.where}",
            expected=error.expected,
            received=error.received,
            fix=error.fix,
        ) from error


for _op in (
    HostOp(
        "ParseExample",
        1,
        _of_dtype,
        _bind_feature,
        attrs={
            "key": Attr(text),
            "dtype": Attr(choice(*_FEATURES)),
            "shape": Attr(_lengths, ()),
            "default_value": Attr(_default, None),
        },
        shape="attrs",
        settle=_settle,
    ),
    HostOp(
        "DecodeRaw",
        1,
        _of_dtype,
        _bind_raw,
        attrs={"dtype": Attr(choice(*_NUMBERS)), "shape": Attr(_lengths), "little_endian": Attr(_flag, True)},
        shape="attrs",
    ),
):
    register(_op)
