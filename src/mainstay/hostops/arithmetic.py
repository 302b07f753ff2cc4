"""Constants, arithmetic and casts with TensorFlow's names.

Every result is the IEEE one or built from such: equal in every batch size and on every machine. NumPy's maximum
and minimum are not used for floats, since they give either zero of two with different signs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mainstay.core import TransformError
from mainstay.hostops import elementary
from mainstay.hostops.attributes import Attr, choice, constant, decode_constant, encode_constant
from mainstay.hostops.registry import HostOp, Kernel, Site, always, register
from mainstay.hostops.signatures import ANY, FLOATS, NUMBERS, check_count, takes
from mainstay.hostops.words import Words

Array = np.ndarray[Any, Any]

_CASTS = ("bool", *NUMBERS)


def _constant_dtype(dtypes: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    check_count(dtypes, 0)
    return str(attrs["dtype"])


def _settle_constant(attrs: dict[str, Any]) -> dict[str, Any]:
    try:
        return {**attrs, "value": encode_constant(attrs["value"], attrs["dtype"])}
    except ValueError as error:
        raise TransformError(
            "a constant does not fit its dtype", expected=error, received=repr(attrs["value"])
        ) from None


def _bind_constant(site: Site) -> Kernel:
    dtype = site.attrs["dtype"]
    value = decode_constant(site.attrs["value"], dtype)
    held = Words([value]) if dtype == "string" else np.array([value], dtype)
    return lambda: held


def saturating_cast(x: Array, dtype: np.dtype[Any]) -> Array:
    """Return floats as integers: truncated towards zero, NaN to 0, what is out of range to the nearest end.

    C leaves the last two open and processors differ; this is what XLA does.
    """
    low, high = float(np.iinfo(dtype).min), -float(np.iinfo(dtype).min)
    wide = x.astype(np.float64, copy=False)
    truncated = np.trunc(wide)
    fits = (truncated >= low) & (truncated < high)
    if fits.all():
        return truncated.astype(dtype)
    result = np.where(fits, truncated, 0.0).astype(dtype)
    result[wide >= high] = np.iinfo(dtype).max
    result[wide < low] = np.iinfo(dtype).min
    return result


def _bind_cast(site: Site) -> Kernel:
    source, target = site.dtypes[0], np.dtype(site.attrs["dtype"])
    if source == target:
        return lambda x: x
    if target == np.bool_:
        zero = np.zeros(1, source)
        return lambda x: np.not_equal(x, zero)
    if source in FLOATS and target.kind == "i":
        return lambda x: saturating_cast(x, target)
    return lambda x: x.astype(target)


def _maximum(x: Array, y: Array) -> Array:
    return np.where((x > y) | (x != x), x, y)


def _minimum(x: Array, y: Array) -> Array:
    return np.where((x < y) | (x != x), x, y)


def _clip(x: Array, low: Array, high: Array) -> Array:
    raised = np.where(x < low, low, x)
    return np.where(raised > high, high, raised)


def _floor_div(x: Array, y: Array) -> Array:
    return np.asarray(np.floor(x / y))


def _floor_mod(x: Array, y: Array) -> Array:
    remainder = np.fmod(x, y)
    turned = (remainder != 0) & ((y < 0) != (remainder < 0))
    return np.where(turned, remainder + y, remainder)


def _by_kind(integers: Callable[..., Any], floats: Callable[..., Any]) -> Callable[[Site], Kernel]:
    return lambda site: floats if site.dtypes[0] in FLOATS else integers


_BINARY = takes(NUMBERS, NUMBERS, alike=True)
_UNARY_FLOAT = takes(FLOATS)

for _op in (
    HostOp(
        "Const",
        1,
        _constant_dtype,
        _bind_constant,
        attrs={"dtype": Attr(choice(*ANY)), "value": Attr(constant)},
        settle=_settle_constant,
    ),
    HostOp(
        "Cast",
        1,
        lambda dtypes, attrs: takes(_CASTS, gives=str(attrs["dtype"]))(dtypes, attrs),
        _bind_cast,
        attrs={"dtype": Attr(choice(*_CASTS))},
    ),
    HostOp("AddV2", 1, _BINARY, always(np.add)),
    HostOp("Sub", 1, _BINARY, always(np.subtract)),
    HostOp("Mul", 1, _BINARY, always(np.multiply)),
    HostOp("RealDiv", 1, takes(FLOATS, FLOATS, alike=True), always(np.divide)),
    HostOp("FloorDiv", 1, _BINARY, _by_kind(np.floor_divide, _floor_div)),
    HostOp("FloorMod", 1, _BINARY, _by_kind(np.remainder, _floor_mod)),
    HostOp("Maximum", 1, _BINARY, _by_kind(np.maximum, _maximum)),
    HostOp("Minimum", 1, _BINARY, _by_kind(np.minimum, _minimum)),
    HostOp("ClipByValue", 1, takes(NUMBERS, NUMBERS, NUMBERS, alike=True), always(_clip)),
    HostOp("Neg", 1, takes(NUMBERS), always(np.negative)),
    HostOp("Abs", 1, takes(NUMBERS), always(np.absolute)),
    HostOp("Square", 1, takes(NUMBERS), always(np.square)),
    HostOp("Sqrt", 1, _UNARY_FLOAT, always(np.sqrt)),
    HostOp("Floor", 1, _UNARY_FLOAT, always(np.floor)),
    HostOp("Log", 1, _UNARY_FLOAT, always(elementary.log)),
    HostOp("Log1p", 1, _UNARY_FLOAT, always(elementary.log1p)),
    HostOp("Exp", 1, _UNARY_FLOAT, always(elementary.exp)),
):
    register(_op)
