"""Columns in a preprocessing function: operators and functions give what NumPy gives on the values."""

import operator

import numpy as np
import pytest

from mainstay import transform as tft
from mainstay.hostops import Column

X = np.array([-2.5, -0.0, 0.0, 1.0, 3.5, np.nan, np.inf])
Y = np.array([2.0, 3.0, -1.5, 1.0, 0.5, 1.0, 2.0])
N = np.array([-7, 0, 3, 2**53 + 1, 5, -1, 2])
M = np.array([2, 5, -2, 3, 7, 4, 9])
B = np.array([True, False, True, True, False, False, True])
DATA = {"x": X, "y": Y, "n": N, "m": M, "b": B, "f": X.astype(np.float32)}


def run(function):
    with np.errstate(all="ignore"):
        return tft.analyze(DATA, lambda inputs: {"out": function(inputs)})(DATA)["out"]


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv])
def test_operators_between_columns_and_numbers(op):
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(run(lambda i: op(i["x"], i["y"])), op(X, Y))
        np.testing.assert_array_equal(run(lambda i: op(i["x"], 2.5)), op(X, 2.5))
        np.testing.assert_array_equal(run(lambda i: op(2.5, i["x"])), op(2.5, X))
        np.testing.assert_array_equal(run(lambda i: op(np.float64(2.5), i["x"])), op(2.5, X))
        np.testing.assert_array_equal(run(lambda i: op(i["n"], i["m"])), op(N, M))
        np.testing.assert_array_equal(run(lambda i: op(i["n"], i["x"])), op(N, X))
        np.testing.assert_array_equal(run(lambda i: op(3, i["m"])), op(3, M))


@pytest.mark.parametrize("op", [operator.floordiv, operator.mod])
def test_whole_division_of_integers(op):
    np.testing.assert_array_equal(run(lambda i: op(i["n"], i["m"])), op(N, M))
    np.testing.assert_array_equal(run(lambda i: op(i["n"], -3)), op(N, -3))
    np.testing.assert_array_equal(run(lambda i: op(100, i["m"])), op(100, M))


@pytest.mark.parametrize("op", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne])
def test_comparisons(op):
    np.testing.assert_array_equal(run(lambda i: op(i["x"], i["y"])), op(X, Y))
    np.testing.assert_array_equal(run(lambda i: op(i["n"], 3)), op(N, 3))
    np.testing.assert_array_equal(run(lambda i: op(np.int64(3), i["n"])), op(3, N))
    np.testing.assert_array_equal(run(lambda i: op(i["b"], True)), op(B, True))


def test_logic_and_signs():
    np.testing.assert_array_equal(run(lambda i: (i["x"] > 0) & ~i["b"]), (X > 0) & ~B)
    np.testing.assert_array_equal(run(lambda i: (i["x"] > 0) | i["b"]), (X > 0) | B)
    np.testing.assert_array_equal(run(lambda i: True & i["b"]), B)
    np.testing.assert_array_equal(run(lambda i: False | i["b"]), B)
    np.testing.assert_array_equal(run(lambda i: i["b"] ^ (i["x"] > 0)), B ^ (X > 0))
    np.testing.assert_array_equal(run(lambda i: -i["x"] + abs(i["n"])), -X + np.abs(N))
    np.testing.assert_array_equal(run(lambda i: +i["b"]), B.astype(np.int64))
    np.testing.assert_array_equal(run(lambda i: i["x"] ** 2), X**2)
    np.testing.assert_array_equal(run(lambda i: i["y"] ** 0.5), np.sqrt(Y, where=Y >= 0, out=np.full(7, np.nan)))


def test_dtypes_follow_numpy_and_plain_numbers_follow_the_column():
    dtypes = {
        "float32": lambda i: i["f"] * 2 + 0.5,
        "float64": lambda i: i["f"] + i["n"],
        "int64": lambda i: i["b"] + i["b"],
        "bool": lambda i: i["n"] == 0.5,
    }
    for dtype, function in dtypes.items():
        assert run(function).dtype == dtype
    assert run(lambda i: i["n"] / i["m"]).dtype == np.float64
    assert run(lambda i: i["n"] + 0.5).dtype == np.float64


def test_functions():
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(run(lambda i: tft.log(i["y"])), np.log(Y), rtol=1e-15)
        np.testing.assert_allclose(run(lambda i: tft.log1p(i["x"])), np.log1p(X), rtol=1e-15)
        np.testing.assert_allclose(run(lambda i: tft.exp(i["n"] % 5)), np.exp(N % 5), rtol=1e-15)
        np.testing.assert_array_equal(run(lambda i: tft.sqrt(i["x"])), np.sqrt(X))
        np.testing.assert_array_equal(run(lambda i: tft.square(i["n"])), N * N)
        np.testing.assert_array_equal(run(lambda i: tft.abs(i["x"])), np.abs(X))
        np.testing.assert_array_equal(run(lambda i: tft.floor(i["x"])), np.floor(X))
        np.testing.assert_array_equal(run(lambda i: tft.is_nan(i["x"])), np.isnan(X))
        np.testing.assert_array_equal(run(lambda i: tft.is_nan(i["n"])), np.zeros(7, bool))
        np.testing.assert_array_equal(run(lambda i: tft.maximum(i["x"], 0)), np.maximum(X, 0))
        np.testing.assert_array_equal(run(lambda i: tft.minimum(1.5, i["n"])), np.minimum(1.5, N))
        np.testing.assert_array_equal(run(lambda i: tft.clip(i["x"], -1, 2)), np.clip(X, -1, 2))
        np.testing.assert_array_equal(run(lambda i: tft.clip(i["n"], 0, 3.5)), np.clip(N, 0, 3.5))
        np.testing.assert_array_equal(run(lambda i: tft.where(i["b"], i["x"], 0)), np.where(B, X, 0))
        np.testing.assert_array_equal(run(lambda i: tft.where(i["b"], 1, 2)), np.where(B, 1, 2))
        np.testing.assert_array_equal(run(lambda i: tft.cast(i["n"], "int32")), N.astype(np.int32))
        np.testing.assert_array_equal(run(lambda i: tft.cast(i["y"], np.int64)), Y.astype(np.int64))
        np.testing.assert_array_equal(run(lambda i: tft.cast(i["y"], float)), Y)
    assert run(lambda i: tft.where(i["b"], "ja", "nein")).tolist() == ["ja" if b else "nein" for b in B]
    assert run(lambda i: tft.as_string(i["n"])).tolist() == [str(n) for n in N]


def test_buckets_of_given_boundaries():
    np.testing.assert_array_equal(
        run(lambda i: tft.apply_buckets(i["n"], [0, 3.5])), np.searchsorted([0, 3.5], N, side="right")
    )


def test_filling_with_another_column():
    data = {"a": [1, None, None], "b": [5, 6, None]}
    graph = tft.analyze(data, lambda i: {"y": tft.fill_missing(tft.fill_missing(i["a"], i["b"]), -1)})
    assert graph(data)["y"].tolist() == [1, 6, -1]
    assert graph({"a": Column(np.array([3])), "b": [None]})["y"].tolist() == [3]


def test_a_long_chain_of_operations_is_no_problem():
    def function(inputs):
        x = inputs["x"]
        for _ in range(3000):
            x = x + 1.0
        return {"out": x + tft.mean(x) * 0.0}

    assert tft.analyze({"x": [1.0]}, function)({"x": [1.0]})["out"].tolist() == [3001.0]
