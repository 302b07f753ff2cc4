"""Arithmetic, comparisons, functions and conversions, as cases for real TensorFlow."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.interop.saved_models.plain.graphs import Case
from tests.interop.saved_models.plain.inputs import EDGES, FLOATS, INTEGERS, RNG, integers, normal, rows


def unary() -> list[Case]:
    names = [
        "abs",
        "ceil",
        "cos",
        "cosh",
        "erf",
        "erf_inv",
        "erfc",
        "exp",
        "exp2",
        "expm1",
        "floor",
        "is_finite",
        "log",
        "log1p",
        "logistic",
        "neg",
        "rsqrt",
        "sign",
        "sin",
        "sinh",
        "sqrt",
        "square",
        "tan",
        "tanh",
        "asinh",
        "acosh",
        "atanh",
        "asin",
        "acos",
        "atan",
        "cbrt",
    ]
    found = [rows(f"unary_{name}", getattr(lax, name), np.concatenate([EDGES, normal(20)])) for name in names]
    for name in ("lgamma", "digamma", "bessel_i0e", "bessel_i1e"):
        found.append(rows(f"unary_{name}", getattr(lax, name), np.abs(normal(20)) + 0.2))
    for label, dtype in FLOATS.items():
        if label == "float32":
            continue
        tolerance = {"float16": 4e-3, "bfloat16": 2e-2}[label]
        for name in [
            "abs",
            "ceil",
            "cos",
            "erf",
            "exp",
            "expm1",
            "floor",
            "log",
            "log1p",
            "logistic",
            "neg",
            "rsqrt",
            "sign",
            "sin",
            "sqrt",
            "square",
            "tanh",
        ]:
            found.append(
                rows(f"unary_{name}_{label}", getattr(lax, name), np.abs(normal(16)).astype(dtype), tolerance=tolerance)
            )
    for method in (lax.RoundingMethod.TO_NEAREST_EVEN, lax.RoundingMethod.AWAY_FROM_ZERO):
        halves = np.array([0.5, 1.5, -0.5, -2.5, 0.49999997, 7.3, np.inf, np.nan, -0.0], np.float32)
        found.append(rows(f"round_{method.name.lower()}", lambda x, m=method: lax.round(x, m), halves))
    for exponent in (-3, -1, 0, 1, 2, 3, 7):
        found.append(
            rows(f"integer_pow_{exponent}", lambda x, e=exponent: lax.integer_pow(x, e), EDGES[[3, 5, 6, 7, 8]])
        )
    found.append(rows("relu", jax.nn.relu, EDGES))
    found.append(rows("relu6", jax.nn.relu6, EDGES))
    found.append(rows("gelu", lambda x: jax.nn.gelu(x, approximate=False), normal(64) * 4))
    found.append(rows("gelu_tanh", jax.nn.gelu, normal(64) * 4))
    found.append(rows("erfc_of_large", lambda x: jnp.log(lax.erfc(x)), np.linspace(0, 8, 40, dtype=np.float32)))
    found.append(rows("softmax", lambda x: jax.nn.softmax(x), normal(5, 9)))
    found.append(rows("log_softmax", lambda x: jax.nn.log_softmax(x), normal(5, 9)))
    found.append(rows("logsumexp", lambda x: jax.nn.logsumexp(x, axis=-1), normal(5, 9)))
    found.append(rows("reduce_precision", lambda x: lax.reduce_precision(x, 8, 7), normal(9)))
    return found


def binary() -> list[Case]:
    found = []
    left, right = (each.ravel() for each in np.meshgrid(EDGES, EDGES))
    for name in [
        "add",
        "sub",
        "mul",
        "div",
        "max",
        "min",
        "rem",
        "pow",
        "atan2",
        "nextafter",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
    ]:
        x, y = left, right
        if name == "pow":
            x, y = (np.clip(each, -30, 30) for each in (left, right))
        found.append(rows(f"binary_{name}", getattr(lax, name), x, y))
    for label, dtype in FLOATS.items():
        if label != "float32":
            for name in ["add", "sub", "mul", "div", "max", "min", "rem", "pow", "atan2", "lt", "eq"]:
                x, y = np.abs(normal(9)).astype(dtype), np.abs(normal(9)).astype(dtype)
                tolerance = {"float16": 4e-3, "bfloat16": 2e-2}[label]
                found.append(rows(f"binary_{name}_{label}", getattr(lax, name), x, y, tolerance=tolerance))
    found.append(rows("clamp", lambda x: lax.clamp(-1.0, x, 1.0), EDGES))
    found.append(rows("clip", lambda x, low: jnp.clip(x, low, low + 1), EDGES, normal(12)))
    found.append(rows("pow_of_integer_exponent", lambda x, y: lax.pow(x, y), normal(6), integers(0, 4, 6)))
    found.append(rows("floor_divide", lambda x, y: x // y, normal(20), normal(20)))
    found.append(rows("remainder", lambda x, y: x % y, normal(20), normal(20)))
    found.append(rows("select", lambda c, x, y: jnp.where(c > 0, x, y), normal(8), EDGES[:8], normal(8)))
    found.append(rows("select_many", lambda i, x: lax.select_n(i, x, x * 2, -x), integers(0, 3, 6), normal(6)))
    found.append(rows("igamma", lax.igamma, np.abs(normal(9)) + 0.1, np.abs(normal(9)) + 0.1, tolerance=1e-4))
    found.append(rows("igammac", lax.igammac, np.abs(normal(9)) + 0.1, np.abs(normal(9)) + 0.1, tolerance=1e-4))
    found.append(
        rows(
            "betainc",
            lax.betainc,
            np.abs(normal(9)) + 0.1,
            np.abs(normal(9)) + 0.1,
            RNG.random(9).astype(np.float32),
            tolerance=1e-4,
        )
    )
    found.append(
        rows("zeta", lambda x, q: lax.zeta(x + 1.5, q), np.abs(normal(9)), np.abs(normal(9)) + 1, tolerance=1e-4)
    )
    found.append(
        rows(
            "complex",
            lambda x, y: (lambda z: (jnp.abs(z), jnp.real(z * z), jnp.imag(jnp.conj(z))))(lax.complex(x, y)),
            normal(9),
            normal(9),
        )
    )
    return found


def integer_arithmetic() -> list[Case]:
    found = []
    for label, dtype in INTEGERS.items():
        limits = np.iinfo(dtype)
        values = np.array([0, 1, 2, 3, 7, 100, limits.max, limits.max - 1, limits.min, limits.min + 1, 5, 64]).astype(
            dtype
        )
        x, y = (each.ravel() for each in np.meshgrid(values, values))
        for name in [
            "add",
            "sub",
            "mul",
            "div",
            "rem",
            "max",
            "min",
            "bitwise_and",
            "bitwise_or",
            "bitwise_xor",
            "eq",
            "lt",
            "ge",
        ]:
            if name == "div" and limits.min < 0:
                keep = ~((x == limits.min) & (y.astype(np.int64) == -1))
                found.append(rows(f"{label}_{name}", lax.div, x[keep], y[keep]))
            else:
                found.append(rows(f"{label}_{name}", getattr(lax, name), x, y))
        found.append(rows(f"{label}_not", lax.bitwise_not, values))
        found.append(rows(f"{label}_population", lambda x: (lax.population_count(x), lax.clz(x)), values))
        found.append(rows(f"{label}_sign", lambda x: (lax.sign(x), jnp.abs(x), lax.neg(x)), values))
        distance = np.array([0, 1, 3, 7, 8, 15, 16, 31, 32, 40, 2, 5], dtype)
        for name in ("shift_left", "shift_right_arithmetic", "shift_right_logical"):
            found.append(rows(f"{label}_{name}", getattr(lax, name), values, distance))
        found.append(rows(f"{label}_shift_by_two", lambda x: (x << 2, x >> 2), values))
        found.append(rows(f"{label}_floor_divide", lambda x: (x // 3, x % 3), values))
    flags = np.array([True, False, True, False]), np.array([True, True, False, False])
    found.append(
        rows(
            "logic",
            lambda x, y: (x & y, x | y, x ^ y, ~x, x == y, x != y, x < y, x >= y, lax.max(x, y), lax.min(x, y)),
            *flags,
        )
    )
    found.append(rows("integer_power", lambda x: (lax.integer_pow(x, 3), jnp.power(x, 4)), integers(-5, 5, 9)))
    return found


def conversions() -> list[Case]:
    found = []
    dtypes: dict[str, Any] = INTEGERS | FLOATS | {"bool": np.bool_}
    numbers = np.array(
        [
            0,
            1,
            -1,
            3.7,
            -3.7,
            100,
            254.9,
            300,
            -200,
            70000,
            -70000,
            2.0**31,
            -(2.0**31),
            4.2e9,
            1e20,
            -1e20,
            np.nan,
            np.inf,
            -np.inf,
        ],
        np.float32,
    )
    for label, dtype in dtypes.items():
        found.append(rows(f"from_float32_to_{label}", lambda x, d=dtype: x.astype(d), numbers))
        source = integers(0, 100, 9).astype(dtype)
        found.append(rows(f"from_{label}", lambda x: tuple(x.astype(d) for d in dtypes.values()), source))
    found.append(
        rows(
            "narrow_integers",
            lambda x: (x.astype(np.int8), x.astype(np.uint16)),
            np.array([0, 300, -1, 70000, 2**31 - 1], np.int32),
        )
    )
    found.append(rows("bitcast", lambda x: lax.bitcast_convert_type(x, np.int32), EDGES))
    found.append(rows("bitcast_narrow", lambda x: lax.bitcast_convert_type(x, np.uint8), EDGES))
    return found
