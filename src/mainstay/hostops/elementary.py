"""log, log1p and exp from IEEE-exact operations only, so that every machine gives the same bits.

NumPy takes these functions from whatever vector or C library the processor offers, and those differ in the last
bit: a feature computed on a training machine would not be the one that a server computes. Here they are FreeBSD's
msun algorithms (the freely distributable fdlibm of Sun Microsystems, 1993; error below one unit in the last
place), built from additions, multiplications, divisions and exact scaling. Numbers are float64 throughout.

A few rows are computed one by one in Python, whose float arithmetic is the same IEEE arithmetic: that is several
times faster than forty array operations on one row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FEW = 48
"""Up to this many rows are computed one by one."""

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_INVERSE_LN2 = 1.44269504088896338700e00
_SQRT_HALF = 7.07106781186547524401e-01
_LG = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)
_P = (
    1.66666666666666019037e-01,
    -2.77777777770155933842e-03,
    6.61375632143793436117e-05,
    -1.65339022054652515390e-06,
    4.13813679705723846039e-08,
)
_EXP_MAX, _EXP_MIN = 7.09782712893383973096e02, -7.45133219101941108420e02
_NAN, _INFINITY = math.nan, math.inf


def _log_of(f: Any, k: Any, correction: Any) -> Any:
    """Return log(2**k * (1 + f)) plus a correction, for floats and arrays alike."""
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    odd = w * (_LG[1] + w * (_LG[3] + w * _LG[5]))
    even = z * (_LG[0] + w * (_LG[2] + w * (_LG[4] + w * _LG[6])))
    half = 0.5 * f * f
    return s * (half + (even + odd)) + (k * _LN2_LOW + correction) - half + f + k * _LN2_HIGH


def _exp_of(r: Any, low: Any, high: Any) -> Any:
    """Return exp(high - low) for r = high - low in about [-0.35, 0.35], for floats and arrays alike."""
    t = r * r
    c = r - t * (_P[0] + t * (_P[1] + t * (_P[2] + t * (_P[3] + t * _P[4]))))
    return 1.0 + (r * c / (2.0 - c) - low + high)


def _log_one(x: float) -> float:
    if not 0.0 < x < _INFINITY:
        return -_INFINITY if x == 0.0 else _INFINITY if x > 0.0 else _NAN
    m, k = math.frexp(x)
    if m < _SQRT_HALF:
        m, k = m * 2.0, k - 1
    return float(_log_of(m - 1.0, float(k), 0.0))


def _log1p_one(x: float) -> float:
    if not -1.0 < x < _INFINITY:
        return -_INFINITY if x == -1.0 else _INFINITY if x > 0.0 else _NAN
    if x == 0.0:
        return x
    u = 1.0 + x
    m, k = math.frexp(u)
    if m < _SQRT_HALF:
        m, k = m * 2.0, k - 1
    if k == 0:
        return float(_log_of(x, 0.0, 0.0))
    lost = (1.0 - (u - x) if k >= 2 else x - (u - 1.0)) / u
    return float(_log_of(m - 1.0, float(k), lost if k < 54 else 0.0))


def _exp_one(x: float) -> float:
    if not _EXP_MIN <= x <= _EXP_MAX:
        return _INFINITY if x > 0.0 else 0.0 if x < 0.0 else _NAN
    k = math.floor(x * _INVERSE_LN2 + 0.5)
    high, low = x - k * _LN2_HIGH, k * _LN2_LOW
    return math.ldexp(_exp_of(high - low, low, high), k)


def _split(x: Array) -> tuple[Array, Array]:
    """Return m and k with x = m * 2**k and m in [sqrt(1/2), sqrt(2))."""
    m, exponent = np.frexp(x)
    small = m < _SQRT_HALF
    return np.where(small, m * 2.0, m), exponent.astype(np.float64) - small


def _log_many(x: Array) -> Array:
    m, k = _split(x)
    result = _log_of(m - 1.0, k, 0.0)
    if not ((x > 0.0) & (x < _INFINITY)).all():
        result = np.where(x > 0.0, np.where(x < _INFINITY, result, x), np.where(x == 0.0, -_INFINITY, _NAN))
    return np.asarray(result)


def _log1p_many(x: Array) -> Array:
    u = 1.0 + x
    m, k = _split(u)
    lost = np.where(k >= 2.0, 1.0 - (u - x), x - (u - 1.0)) / u
    near = k == 0.0
    result = _log_of(np.where(near, x, m - 1.0), k, np.where(near | (k >= 54.0), 0.0, lost))
    plain = (x > -1.0) & (x < _INFINITY) & (x != 0.0)
    if not plain.all():
        special = np.where(x == -1.0, -_INFINITY, np.where(x >= 0.0, x, _NAN))
        result = np.where(plain, result, special)
    return np.asarray(result)


def _exp_many(x: Array) -> Array:
    inside = (x >= _EXP_MIN) & (x <= _EXP_MAX)
    y = x if inside.all() else np.where(inside, x, 0.0)
    k = np.floor(y * _INVERSE_LN2 + 0.5)
    high, low = y - k * _LN2_HIGH, k * _LN2_LOW
    result = np.ldexp(_exp_of(high - low, low, high), k.astype(np.intc))
    if y is not x:
        result = np.where(inside, result, np.where(x > 0.0, _INFINITY, np.where(x < 0.0, 0.0, _NAN)))
    return np.asarray(result)


def _function(one: Callable[[float], float], many: Callable[[Array], Array]) -> Callable[[Array], Array]:
    def function(x: Array) -> Array:
        if x.size <= FEW:
            return np.array([one(value) for value in x.ravel().tolist()], x.dtype).reshape(x.shape)
        return many(x.astype(np.float64, copy=False)).astype(x.dtype, copy=False)

    return function


log = _function(_log_one, _log_many)
log1p = _function(_log1p_one, _log1p_many)
exp = _function(_exp_one, _exp_many)
