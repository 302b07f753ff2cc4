"""Tables: vocabularies, labels, buckets, and the winner of a row of scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mainstay.core import TransformError
from mainstay.hostops.attributes import INT64_MAX, INT64_MIN, Attr, asset_name, boundaries, choice, integer, is_int64
from mainstay.hostops.registry import HostOp, Kernel, Site, register
from mainstay.hostops.signatures import INTEGERS, NUMBERS, takes
from mainstay.hostops.strings import hash_buckets
from mainstay.hostops.words import Words, from_bytes

Array = np.ndarray[Any, Any]

_MAX_OOV_BUCKETS = 2**62


def read_tokens(site: Site) -> list[str]:
    """Return the lines of the asset that an operation names, one token each; only a line feed ends a line.

    Raises:
        TransformError: The asset is not there or is empty.
    """
    name = site.attrs["asset"]
    data = site.assets.get(name)
    if data is None:
        raise TransformError("the asset of a host operation is not there", expected=name)
    if not data:
        raise TransformError("an asset has no lines", where=name, expected="one token per line")
    lines = bytes(data).split(b"\n")
    return [from_bytes(line) for line in (lines if lines[-1] else lines[:-1])]


def _bind_find(site: Site) -> Kernel:
    tokens = read_tokens(site)
    table = {token: index for index, token in enumerate(tokens)}
    if len(table) != len(tokens):
        twice = next(token for index, token in enumerate(tokens) if table[token] != index)
        raise TransformError(
            "a vocabulary has a token twice", where=site.attrs["asset"], expected="unique lines", received=repr(twice)
        )
    default, buckets, size = site.attrs["default_value"], site.attrs["num_oov_buckets"], len(tokens)

    def find(x: Words) -> Array:
        ids = np.fromiter((table.get(token, default) for token in x.tokens), np.int64, len(x.tokens))
        return x.pick(ids)

    def find_or_hash(x: Words) -> Array:
        unknown = [token for token in x.tokens if token not in table]
        ids = np.fromiter((table.get(token, -1) for token in x.tokens), np.int64, len(x.tokens))
        if unknown:
            ids[ids < 0] = hash_buckets(unknown, buckets) + size
        return x.pick(ids)

    return find_or_hash if buckets else find


def _bind_gather(site: Site) -> Kernel:
    tokens = read_tokens(site)
    is_string, size = site.attrs["dtype"] == "string", len(tokens)
    numbers = None if is_string else _numbers(tokens, site.attrs["asset"])

    def gather(ids: Array, missing: Array | None) -> Any:
        if missing is not None:
            ids = np.where(missing, 0, ids)
        outside = (ids < 0) | (ids >= size)
        if outside.any():
            row = int(np.argmax(outside))
            raise TransformError(
                "an id has no label",
                where=f"{site.where}[{row}]",
                expected=f"an id from 0 to {size - 1}",
                received=int(ids[row]),
            )
        return Words(tokens, ids) if numbers is None else numbers.take(ids)

    return gather


def _numbers(tokens: list[str], asset: str) -> Array:
    wrong = next((token for token in tokens if not is_int64(token)), None)
    if wrong is not None:
        raise TransformError(
            "the labels of an asset are no numbers", where=asset, expected="an int64 per line", received=repr(wrong)
        )
    return np.array([int(token) for token in tokens], np.int64)


def _bind_bucketize(site: Site) -> Kernel:
    edges = np.array(site.attrs["boundaries"], np.float32)
    if site.dtypes[0] == "float64":
        edges = edges.astype(np.float64)
    elif site.dtypes[0] != "float32":
        return lambda x: edges.searchsorted(x.astype(np.float32), "right")
    return lambda x: edges.searchsorted(x, "right")


def _bind_arg_max(site: Site) -> Kernel:
    def arg_max(x: Array) -> Array:
        if not x.shape[-1]:
            raise TransformError("there is no largest of no scores", where=site.where, expected="one class or more")
        return np.asarray(x.argmax(axis=-1))

    return arg_max


def _label_dtype(dtypes: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    return takes(INTEGERS, gives=str(attrs["dtype"]))(dtypes, attrs)


_ASSET = Attr(asset_name)

for _op in (
    HostOp(
        "LookupTableFindV2",
        1,
        takes(("string",), gives="int64"),
        _bind_find,
        attrs={
            "asset": _ASSET,
            "default_value": Attr(integer(INT64_MIN, INT64_MAX), -1),
            "num_oov_buckets": Attr(integer(0, _MAX_OOV_BUCKETS), 0),
        },
        shape="rows",
    ),
    HostOp(
        "Gather",
        1,
        _label_dtype,
        _bind_gather,
        attrs={"asset": _ASSET, "dtype": Attr(choice("string", "int64"), "string")},
        reads_missing=True,
        shape="rows",
    ),
    HostOp("Bucketize", 1, takes(NUMBERS, gives="int64"), _bind_bucketize, attrs={"boundaries": Attr(boundaries)}),
    HostOp("ArgMax", 1, takes(NUMBERS, gives="int64"), _bind_arg_max, shape="last"),
):
    register(_op)
