"""Arithmetic, comparisons and casts, with the results that `mainstay.hostops` has where TensorFlow leaves them open."""

from __future__ import annotations

import numpy as np

from mainstay.hostops import decode_constant
from mainstay.saved_model.graph_writing.functions import Ref
from mainstay.saved_model.graph_writing.host_ops.registry import Site, lowers

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def _is_float(ref: Ref) -> bool:
    return ref.dtype in _FLOATS


@lowers("Const")
def _const(site: Site) -> Ref:
    return site.constant(decode_constant(site.attrs["value"], site.attrs["dtype"]), site.dtype)


@lowers("AddV2")
def _add(site: Site, x: Ref, y: Ref) -> Ref:
    return site.op("AddV2", x, y)


@lowers("Sub")
def _subtract(site: Site, x: Ref, y: Ref) -> Ref:
    return site.op("Sub", x, y)


@lowers("Mul")
def _multiply(site: Site, x: Ref, y: Ref) -> Ref:
    return site.op("Mul", x, y)


@lowers("RealDiv")
def _divide(site: Site, x: Ref, y: Ref) -> Ref:
    return site.op("RealDiv", x, y)


@lowers("FloorDiv")
def _floor_divide(site: Site, x: Ref, y: Ref) -> Ref:
    if _is_float(x):
        return site.op("Floor", site.op("RealDiv", x, y))
    return _unless_zero(site, "FloorDiv", x, y)


@lowers("FloorMod")
def _floor_modulo(site: Site, x: Ref, y: Ref) -> Ref:
    return site.op("FloorMod", x, y) if _is_float(x) else _unless_zero(site, "FloorMod", x, y)


def _unless_zero(site: Site, op: str, x: Ref, y: Ref) -> Ref:
    """Return 0 where integers are divided by 0, where TensorFlow refuses the whole batch."""
    by_zero = site.op("Equal", y, site.constant(0), dtype=bool)
    divisor = site.op("SelectV2", by_zero, site.constant(1), y)
    return site.op("SelectV2", by_zero, site.constant(0), site.op(op, x, divisor))


@lowers("Maximum")
def _maximum(site: Site, x: Ref, y: Ref) -> Ref:
    return _chosen(site, "Maximum", "Greater", (x, y))


@lowers("Minimum")
def _minimum(site: Site, x: Ref, y: Ref) -> Ref:
    return _chosen(site, "Minimum", "Less", (x, y))


def _chosen(site: Site, op: str, compare: str, pair: tuple[Ref, Ref]) -> Ref:
    """Return the first of two floats where it compares so or is NaN, and the other elsewhere."""
    x, y = pair
    if not _is_float(x):
        return site.op(op, x, y)
    first = site.op(compare, x, y, dtype=bool)
    unknown = site.op("IsNan", x, dtype=bool)
    return site.op("SelectV2", site.op("LogicalOr", first, unknown, dtype=bool), x, y)


@lowers("ClipByValue")
def _clip(site: Site, x: Ref, low: Ref, high: Ref) -> Ref:
    raised = site.op("SelectV2", site.op("Less", x, low, dtype=bool), low, x)
    return site.op("SelectV2", site.op("Greater", raised, high, dtype=bool), high, raised)


@lowers("Neg", "Abs", "Square", "Sqrt", "Floor", "Log", "Log1p", "Exp", "LogicalNot")
def _unary(site: Site, x: Ref) -> Ref:
    return site.op(site.name, x)


@lowers("IsNan")
def _is_nan(site: Site, x: Ref) -> Ref:
    return site.op("IsNan", x)


@lowers("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "LogicalAnd", "LogicalOr")
def _compare(site: Site, x: Ref, y: Ref) -> Ref:
    return site.op(site.name, x, y)


@lowers("SelectV2")
def _select(site: Site, condition: Ref, x: Ref, y: Ref) -> Ref:
    return site.op("SelectV2", condition, x, y)


@lowers("Cast")
def _cast(site: Site, x: Ref) -> Ref:
    target = np.dtype(site.attrs["dtype"])
    if x.dtype == target:
        return x
    if target == np.bool_:
        return site.op("NotEqual", x, site.constant(0))
    if _is_float(x) and target.kind == "i":
        return _saturating(site, x, target)
    return site.op("Cast", x)


def _saturating(site: Site, x: Ref, target: np.dtype[np.signedinteger]) -> Ref:
    """Return floats as integers: NaN becomes 0, and what is out of range the nearest end."""
    ends = np.iinfo(target)
    wide = site.cast(x, np.float64)
    above = site.op("GreaterEqual", wide, site.constant(-float(ends.min), np.float64), dtype=bool)
    below = site.op("LessEqual", wide, site.constant(float(ends.min) - 1.0, np.float64), dtype=bool)
    unknown = site.op("IsNan", wide, dtype=bool)
    outside = site.op("LogicalOr", unknown, site.op("LogicalOr", above, below, dtype=bool), dtype=bool)
    inside = site.op("SelectV2", outside, site.constant(0.0, np.float64), wide, dtype=np.float64)
    low = site.op("SelectV2", below, site.constant(ends.min, target), site.op("Cast", inside))
    return site.op("SelectV2", above, site.constant(ends.max, target), low)


@lowers("Bucketize")
def _bucketize(site: Site, x: Ref) -> Ref:
    return site.cast(site.op("Bucketize", x, dtype=np.int32, boundaries=site.attrs["boundaries"]), np.int64)


@lowers("ArgMax")
def _arg_max(site: Site, x: Ref) -> Ref:
    return site.op("ArgMax", x, site.constant(-1, np.int32), shape=site.shape, output_type=np.int64)


@lowers("IsMissing")
def _is_missing(site: Site, x: Ref) -> Ref:
    missing = site.inputs[0].missing
    return missing if missing is not None else never(site, x)


def never(site: Site, like: Ref) -> Ref:
    """Return false for every row."""
    if not like.shape:
        return site.constant(False, np.bool_)
    shape = site.op("Shape", like, dtype=np.int32, shape=(len(like.shape),), out_type=np.int32)
    return site.op("Fill", shape, site.constant(False, np.bool_), dtype=bool, shape=like.shape)


@lowers("FillMissing")
def _fill_missing(site: Site, x: Ref, value: Ref) -> Ref:
    missing = site.inputs[0].missing
    return x if missing is None else site.op("SelectV2", missing, value, x)
