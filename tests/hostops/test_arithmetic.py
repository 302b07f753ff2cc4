"""Arithmetic and casts: TensorFlow's semantics, the same bits wherever a row stands."""

import math

import numpy as np
import pytest

from mainstay.core import TensorSpec, TransformError
from mainstay.hostops import HostGraph, HostInput, HostNode

INT_MAX, INT_MIN = 2**63 - 1, -(2**63)


@pytest.mark.parametrize(
    ("op", "x", "y", "want"),
    [
        ("AddV2", [1.5, -0.0], [2.0, -0.0], [3.5, -0.0]),
        ("Sub", [1.0, math.inf], [3.0, 1.0], [-2.0, math.inf]),
        ("Mul", [1e308, -0.0], [10.0, 5.0], [math.inf, -0.0]),
        ("RealDiv", [1.0, -1.0, 0.0], [0.0, 0.0, 5.0], [math.inf, -math.inf, 0.0]),
        ("FloorDiv", [1.0, -7.0, 7.0], [0.1, 2.0, -2.0], [10.0, -4.0, -4.0]),
        ("FloorMod", [-7.0, 7.0, 5.5, -1.0], [3.0, -3.0, 2.0, math.inf], [2.0, -2.0, 1.5, math.inf]),
        ("Maximum", [1.0, math.nan, 2.0, 0.0], [2.0, 1.0, math.nan, -0.0], [2.0, math.nan, math.nan, -0.0]),
        ("Minimum", [1.0, math.nan, 2.0, -0.0], [2.0, 1.0, math.nan, 0.0], [1.0, math.nan, math.nan, 0.0]),
    ],
)
def test_floats_follow_ieee_and_tensorflow(run_op, op, x, y, want):
    got = run_op(op, ("float64", x), ("float64", y))
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


@pytest.mark.parametrize(
    ("op", "x", "y", "want"),
    [
        ("AddV2", [INT_MAX, 2**53 + 1], [1, 1], [INT_MIN, 2**53 + 2]),
        ("Mul", [2**40, -3], [2**3, 7], [2**43, -21]),
        ("FloorDiv", [-7, 7, 7, INT_MIN], [2, -2, 0, -1], [-4, -4, 0, INT_MIN]),
        ("FloorMod", [-7, 7, 7], [3, -3, 0], [2, -2, 0]),
        ("Maximum", [1, 5], [2, 3], [2, 5]),
        ("Minimum", [1, 5], [2, 3], [1, 3]),
    ],
)
def test_integers_wrap_around_and_divide_by_zero_to_zero(run_op, op, x, y, want):
    assert run_op(op, ("int64", x), ("int64", y)).tolist() == want


@pytest.mark.parametrize(
    ("op", "x", "want"),
    [
        ("Neg", [1.0, -0.0], [-1.0, 0.0]),
        ("Abs", [-1.5, -0.0], [1.5, 0.0]),
        ("Square", [-3.0, 1e200], [9.0, math.inf]),
        ("Sqrt", [9.0, -1.0], [3.0, math.nan]),
        ("Floor", [-1.5, 2.0], [-2.0, 2.0]),
        ("Log", [1.0, 0.0, -1.0], [0.0, -math.inf, math.nan]),
        ("Log1p", [0.0, -1.0, -2.0], [0.0, -math.inf, math.nan]),
        ("Exp", [0.0, -math.inf, 1000.0], [1.0, 0.0, math.inf]),
    ],
)
def test_functions_of_one_column(run_op, op, x, want):
    np.testing.assert_array_equal(run_op(op, ("float64", x)), want)


def test_clip_keeps_nan_and_prefers_the_upper_bound(run_op):
    got = run_op(
        "ClipByValue",
        ("float32", [-1.0, 0.5, 9.0, math.nan, 5.0]),
        ("float32", [0.0, 0.0, 0.0, 0.0, 10.0]),
        ("float32", [1.0] * 5),
    )
    np.testing.assert_array_equal(got, np.float32([0.0, 0.5, 1.0, math.nan, 1.0]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("target", "low", "high"), [("int64", INT_MIN, INT_MAX), ("int32", -(2**31), 2**31 - 1)])
def test_floats_are_truncated_and_saturate_as_integers(run_op, dtype, target, low, high):
    x = [1.9, -1.9, -0.5, math.nan, math.inf, -math.inf, 1e30, -1e30]
    got = run_op("Cast", (dtype, x), attrs={"dtype": target})
    assert got.dtype == target
    assert got.tolist() == [1, -1, 0, 0, high, low, high, low]


def test_the_ends_of_the_integer_range_are_cast_exactly(run_op):
    x = [2.0**63, -(2.0**63), np.nextafter(2.0**63, 0), 2.0**31, 2.0**31 - 1, -(2.0**31) - 0.5]
    assert run_op("Cast", ("float64", x[:3]), attrs={"dtype": "int64"}).tolist() == [INT_MAX, INT_MIN, 2**63 - 1024]
    assert run_op("Cast", ("float64", x[3:]), attrs={"dtype": "int32"}).tolist() == [2**31 - 1, 2**31 - 1, -(2**31)]


def test_casts_between_other_dtypes(run_op):
    assert run_op("Cast", ("int64", [2**40 + 5, -1]), attrs={"dtype": "int32"}).tolist() == [5, -1]
    assert run_op("Cast", ("float64", [0.0, -0.0, 2.0, math.nan]), attrs={"dtype": "bool"}).tolist() == [
        False,
        False,
        True,
        True,
    ]
    assert run_op("Cast", ("bool", [True, False]), attrs={"dtype": "float32"}).tolist() == [1.0, 0.0]
    assert run_op("Cast", ("float64", [1e39, 0.1]), attrs={"dtype": "float32"}).tolist() == [math.inf, np.float32(0.1)]
    assert run_op("Cast", ("int64", [2**53 + 1]), attrs={"dtype": "float64"}).tolist() == [2.0**53]


@pytest.mark.parametrize("op", ["AddV2", "Mul", "RealDiv", "FloorDiv", "FloorMod", "Maximum", "Minimum"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_batch_size_and_offset_gives_the_same_bits(op, dtype):
    rng = np.random.default_rng(1)
    special = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, -1.0, 1e-40])
    x = np.concatenate([np.repeat(special, 8), rng.normal(size=60)]).astype(dtype)
    y = np.concatenate([np.tile(special, 8), rng.normal(size=60)]).astype(dtype)
    inputs = [HostInput(TensorSpec([None], dtype, name)) for name in "xy"]
    graph = HostGraph(inputs, [HostNode(op, "z", ("x", "y"))], {"z": "z"})
    whole = graph({"x": x, "y": y})["z"]
    for size in range(1, 71):
        for offset in (0, 1, 3, 5, 50):
            part = graph({"x": x[offset : offset + size], "y": y[offset : offset + size].tolist()})["z"]
            assert part.tobytes() == whole[offset : offset + size].tobytes()


def test_a_constant_stands_for_every_row():
    nodes = [
        HostNode("Const", "two", (), {"dtype": "float64", "value": 2}),
        HostNode("Const", "half", (), {"dtype": "float64", "value": 0.5}),
        HostNode("Mul", "one", ("two", "half")),
        HostNode("AddV2", "y", ("one", "x")),
    ]
    graph = HostGraph([HostInput(TensorSpec([None], "float64", "x"))], nodes, {"y": "y"})
    for rows in (0, 1, 2, 100):
        assert graph({"x": np.arange(rows, dtype=float)})["y"].tolist() == [1.0 + i for i in range(rows)]


@pytest.mark.parametrize(
    ("dtype", "value", "stored"),
    [
        ("float64", math.nan, "NaN"),
        ("float64", -math.inf, "-Infinity"),
        ("float64", "Infinity", "Infinity"),
        ("float32", 1e300, "Infinity"),
        ("float32", 0.1, float(np.float32(0.1))),
        ("int64", 2**53 + 1, str(2**53 + 1)),
        ("int64", "-9223372036854775808", "-9223372036854775808"),
        ("int64", 7, 7),
        ("string", "ÄÖ", "ÄÖ"),
        ("bool", True, True),
    ],
)
def test_constants_have_one_form_in_json(dtype, value, stored):
    nodes = [HostNode("Const", "c", (), {"dtype": dtype, "value": value}), HostNode("Equal", "y", ("x", "c"))]
    graph = HostGraph([HostInput(TensorSpec([None], dtype, "x"))], nodes, {"y": "y"})
    assert graph.to_json()["nodes"][0]["attrs"]["value"] == stored


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int64", 2**63),
        ("int64", 1.5),
        ("int64", "1e3"),
        ("int64", "9" * 30),
        ("int32", 2**31),
        ("float64", 10**400),
        ("float64", "nan"),
        ("float64", True),
        ("float64", None),
        ("bool", 1),
        ("string", 5),
        ("string", "\ud800"),
        ("complex64", 1),
        ("string", ["a"]),
    ],
)
def test_a_constant_that_does_not_fit_is_refused(dtype, value):
    with pytest.raises(TransformError, match=r"\$\.nodes\.c"):
        HostGraph([], [HostNode("Const", "c", (), {"dtype": dtype, "value": value})], {})


def test_inputs_of_two_dtypes_are_refused_rather_than_cast(run_op):
    with pytest.raises(TransformError, match="differ in dtype"):
        run_op("AddV2", ("float64", [1.0]), ("float32", [1.0]))
    with pytest.raises(TransformError, match="does not take"):
        run_op("RealDiv", ("int64", [1]), ("int64", [1]))
    with pytest.raises(TransformError, match="wrong number of inputs"):
        run_op("Neg", ("float64", [1.0]), ("float64", [1.0]))
