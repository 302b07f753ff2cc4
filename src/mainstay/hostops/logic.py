"""Comparisons, logic, selection and missing values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mainstay.hostops.registry import HostOp, Kernel, Site, always, register
from mainstay.hostops.signatures import ANY, FLOATS, NUMBERS, takes
from mainstay.hostops.words import Words, row_count

Array = np.ndarray[Any, Any]


def equal_words(x: Words, y: Words) -> Array:
    """Return where two columns of strings agree, `[rows]` bool."""
    rows = row_count((x, y))
    if len(x.tokens) == 1:
        x, y = y, x
    if len(y.tokens) == 1:
        token = y.tokens[0]
        same = x.pick(np.array([item == token for item in x.tokens], bool))
        return same if len(same) == rows else np.broadcast_to(same, (rows,))
    left, right = x.to_numpy(), y.to_numpy()
    return np.asarray(left == right, bool)


def select_words(condition: Array, chosen: Words, other: Words) -> Words:
    """Return a column of strings that has `chosen` where the condition holds and `other` elsewhere."""
    rows = row_count((condition, chosen, other))
    codes = np.where(condition, chosen.coded(rows), other.coded(rows) + len(chosen.tokens))
    return Words(chosen.tokens + other.tokens, codes)


def _bind_equal(site: Site) -> Kernel:
    return equal_words if site.dtypes[0] == "string" else np.equal


def _bind_not_equal(site: Site) -> Kernel:
    return (lambda x, y: ~equal_words(x, y)) if site.dtypes[0] == "string" else np.not_equal


def _bind_select(site: Site) -> Kernel:
    return select_words if site.dtypes[1] == "string" else np.where


def _is_missing(x: Any, missing: Array | None) -> Array:
    return np.zeros(len(x), bool) if missing is None else missing


def _bind_fill(site: Site) -> Kernel:
    choose: Callable[..., Any] = select_words if site.dtypes[0] == "string" else np.where

    def fill(x: Any, value: Any, missing: Array | None, also_missing: Array | None) -> Any:
        return x if missing is None else choose(missing, value, x)

    return fill


def _select_dtype(dtypes: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    takes(("bool",), ANY, ANY)(dtypes, attrs)
    return takes(ANY, ANY, alike=True)(dtypes[1:], attrs)


_EQUAL = takes(ANY, ANY, gives="bool", alike=True)
_ORDER = takes(NUMBERS, NUMBERS, gives="bool", alike=True)
_BOTH = takes(("bool",), ("bool",))

for _op in (
    HostOp("Equal", 1, _EQUAL, _bind_equal),
    HostOp("NotEqual", 1, _EQUAL, _bind_not_equal),
    HostOp("Less", 1, _ORDER, always(np.less)),
    HostOp("LessEqual", 1, _ORDER, always(np.less_equal)),
    HostOp("Greater", 1, _ORDER, always(np.greater)),
    HostOp("GreaterEqual", 1, _ORDER, always(np.greater_equal)),
    HostOp("LogicalAnd", 1, _BOTH, always(np.logical_and)),
    HostOp("LogicalOr", 1, _BOTH, always(np.logical_or)),
    HostOp("LogicalNot", 1, takes(("bool",)), always(np.logical_not)),
    HostOp("IsNan", 1, takes(FLOATS, gives="bool"), always(np.isnan)),
    HostOp("SelectV2", 1, _select_dtype, _bind_select, missing="select"),
    HostOp("IsMissing", 1, takes(ANY, gives="bool"), always(_is_missing), missing="never", reads_missing=True),
    HostOp("FillMissing", 1, takes(ANY, ANY, alike=True), _bind_fill, missing="fill", reads_missing=True),
):
    register(_op)
