"""Vocabularies and labels: tables that are filled from the model's asset files."""

from __future__ import annotations

import numpy as np

from mainstay.saved_model.graph_writing.functions import Ref
from mainstay.saved_model.graph_writing.host_ops.registry import Site, lowers
from mainstay.saved_model.graph_writing.lookup_tables import lines_of


@lowers("LookupTableFindV2")
def _find(site: Site, x: Ref) -> Ref:
    table = site.captures.hold(site.model.table(site.attrs["asset"], by_token=True))
    buckets = site.attrs["num_oov_buckets"]
    default = -1 if buckets else site.attrs["default_value"]
    found = site.op("LookupTableFindV2", table, x, site.constant(default, np.int64))
    if not buckets:
        return found
    size = len(lines_of(site.model.assets[site.attrs["asset"]]))
    hashed = site.op("StringToHashBucketFast", x, num_buckets=buckets)
    beyond = site.op("AddV2", hashed, site.constant(size, np.int64))
    known = site.op("GreaterEqual", found, site.constant(0, np.int64), dtype=bool)
    return site.op("SelectV2", known, found, beyond)


@lowers("Gather")
def _gather(site: Site, ids: Ref) -> Ref:
    lines = lines_of(site.model.assets[site.attrs["asset"]])
    missing = site.inputs[0].missing
    wide = site.cast(ids, np.int64)
    if missing is not None:
        wide = site.op("SelectV2", missing, site.constant(0, np.int64), wide, dtype=np.int64)
    low = site.op("GreaterEqual", wide, site.constant(0, np.int64), dtype=bool)
    high = site.op("Less", wide, site.constant(len(lines), np.int64), dtype=bool)
    site.check(site.op("LogicalAnd", low, high, dtype=bool), "an id has no label", wide)
    if site.attrs["dtype"] == "string":
        table = site.captures.hold(site.model.table(site.attrs["asset"], by_token=False))
        return site.op("LookupTableFindV2", table, wide, site.constant(b""))
    labels = site.builder.constant(np.array([int(line) for line in lines], np.int64))
    return site.op("GatherV2", labels, wide, site.constant(0, np.int32), shape=site.shape)
