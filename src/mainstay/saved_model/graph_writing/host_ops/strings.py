"""Strings: TensorFlow has each of these operations, some with other numbers."""

from __future__ import annotations

import numpy as np

from mainstay.saved_model.graph_writing.functions import Ref
from mainstay.saved_model.graph_writing.host_ops.registry import Site, lowers


@lowers("AsString", "StringStrip")
def _plain(site: Site, x: Ref) -> Ref:
    return site.op(site.name, x)


@lowers("StringLower", "StringUpper")
def _change_case(site: Site, x: Ref) -> Ref:
    return site.op(site.name, x, encoding=site.attrs["encoding"])


@lowers("StringLength")
def _length(site: Site, x: Ref) -> Ref:
    return site.cast(site.op("StringLength", x, dtype=np.int32, unit=site.attrs["unit"]), np.int64)


@lowers("StringJoin")
def _join(site: Site, *parts: Ref) -> Ref:
    return site.op("StringJoin", *parts, separator=site.attrs["separator"])


@lowers("StringToHashBucketFast")
def _hash(site: Site, x: Ref) -> Ref:
    return site.op("StringToHashBucketFast", x, num_buckets=site.attrs["num_buckets"])
