"""Records in a request: serialised tf.Examples and strings of bytes."""

from __future__ import annotations

import math

import numpy as np

from mainstay.hostops import decode_constant
from mainstay.saved_model.graph_writing.functions import Ref
from mainstay.saved_model.graph_writing.host_ops.registry import Site, lowers


@lowers("ParseExample")
def _parse(site: Site, serialized: Ref) -> Ref:
    attrs = site.attrs
    default = attrs["default_value"]
    values = [] if default is None else [decode_constant(default, attrs["dtype"])] * math.prod(attrs["shape"])
    if attrs["dtype"] == "string":
        filled = np.empty(len(values), object)
        filled[:] = [value.encode() for value in values]
    else:
        filled = np.array(values, attrs["dtype"])
    none = site.builder.constant(np.empty(0, object))
    key = site.builder.constant(np.array([attrs["key"].encode()], object))
    inputs = [serialized, none, none, key, none, site.builder.constant(filled if values else filled[:0])]
    shape = tuple(attrs["shape"])
    if values:
        inputs[-1] = site.builder.constant(filled.reshape(shape))
    parsed = site.builder.op(
        "ParseExampleV2",
        inputs,
        [(site.dtype, site.shape)],
        attrs={
            "num_sparse": 0,
            "sparse_types": [],
            "ragged_value_types": [],
            "ragged_split_types": [],
            "dense_shapes": [shape],
            "Tdense": [site.dtype],
        },
    )
    return parsed[0]


@lowers("DecodeRaw")
def _decode(site: Site, x: Ref) -> Ref:
    shape = tuple(site.attrs["shape"])
    flat = (*(x.shape or ()), math.prod(shape))
    numbers = site.op("DecodeRaw", x, shape=flat, little_endian=site.attrs["little_endian"], out_type=site.dtype)
    return site.op("Reshape", numbers, site.builder.constant(np.array([-1, *shape], np.int32)), shape=site.shape)
