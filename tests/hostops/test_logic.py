"""Comparisons, logic, selection, and how missing values travel."""

import math

import numpy as np
import pytest

from mainstay.core import TensorSpec, TransformError
from mainstay.hostops import HostGraph, HostInput, HostNode


def graph_of(inputs: dict[str, str], nodes: list[HostNode], output: str = "y") -> HostGraph:
    specs = [HostInput(TensorSpec([None], dtype, name), True) for name, dtype in inputs.items()]
    return HostGraph(specs, nodes, {"y": output})


@pytest.mark.parametrize(
    ("op", "want"),
    [
        ("Equal", [False, True, False, False]),
        ("NotEqual", [True, False, True, True]),
        ("Less", [True, False, False, False]),
        ("LessEqual", [True, True, False, False]),
        ("Greater", [False, False, True, False]),
        ("GreaterEqual", [False, True, True, False]),
    ],
)
def test_comparisons_of_numbers(run_op, op, want):
    got = run_op(op, ("float64", [1.0, -0.0, 3.0, math.nan]), ("float64", [2.0, 0.0, 2.0, math.nan]))
    assert got.tolist() == want


def test_strings_are_compared_whatever_their_form(run_op):
    left, right = ["a", "b", "ä", ""] * 40, ["a", "c", "ä", ""] * 40
    want = [True, False, True, True] * 40
    assert run_op("Equal", ("string", left), ("string", right)).tolist() == want
    assert run_op("Equal", ("string", left[:4]), ("string", right[:4])).tolist() == want[:4]
    assert run_op("NotEqual", ("string", left), ("string", right)).tolist() == [not same for same in want]


@pytest.mark.parametrize("rows", [0, 1, 2, 63, 64, 65, 200])
def test_strings_are_compared_with_a_constant(rows):
    nodes = [
        HostNode("Const", "c", (), {"dtype": "string", "value": "v0"}),
        HostNode("FillMissing", "f", ("x", "c")),
        HostNode("Equal", "left", ("f", "c")),
        HostNode("Equal", "y", ("c", "f")),
        HostNode("LogicalAnd", "both", ("left", "y")),
    ]
    graph = graph_of({"x": "string"}, nodes, "both")
    values = [None if i % 4 == 3 else f"v{i % 3}" for i in range(rows)]
    assert graph({"x": values})["y"].tolist() == [value in ("v0", None) for value in values]
    same = ["v0"] * rows
    assert graph({"x": same})["y"].tolist() == [True] * rows


def test_logic(run_op):
    x, y = [True, True, False, False], [True, False, True, False]
    assert run_op("LogicalAnd", ("bool", x), ("bool", y)).tolist() == [True, False, False, False]
    assert run_op("LogicalOr", ("bool", x), ("bool", y)).tolist() == [True, True, True, False]
    assert run_op("LogicalNot", ("bool", x)).tolist() == [False, False, True, True]
    assert run_op("IsNan", ("float32", [math.nan, math.inf, 0.0])).tolist() == [True, False, False]


def test_selection_takes_numbers_and_strings(run_op):
    condition = [True, False, True]
    assert run_op("SelectV2", ("bool", condition), ("int64", [1, 2, 3]), ("int64", [-1, -2, -3])).tolist() == [1, -2, 3]
    got = run_op(
        "SelectV2", ("bool", condition * 50), ("string", ["a", "b", "c"] * 50), ("string", ["x", "y", "z"] * 50)
    )
    assert got.tolist() == ["a", "y", "c"] * 50


def test_missing_values_pass_through_and_show_as_nan_and_empty_strings():
    add = graph_of({"x": "float32", "z": "float32"}, [HostNode("AddV2", "y", ("x", "z"))])
    np.testing.assert_array_equal(add({"x": [1.0, None, 3.0], "z": [1.0, 1.0, None]})["y"], [2.0, math.nan, math.nan])
    upper = graph_of({"x": "string"}, [HostNode("StringUpper", "y", ("x",))])
    assert upper({"x": ["a", None]})["y"].tolist() == ["A", ""]


def test_is_missing_and_fill_missing_read_the_mask_of_what_they_are_given():
    nodes = [
        HostNode("AddV2", "sum", ("x", "z")),
        HostNode("IsMissing", "gone", ("sum",)),
        HostNode("Cast", "flag", ("gone",), {"dtype": "float64"}),
        HostNode("FillMissing", "filled", ("x", "z")),
        HostNode("SelectV2", "y", ("gone", "filled", "flag")),
    ]
    graph = graph_of({"x": "float64", "z": "float64"}, nodes)
    got = graph({"x": [1.0, None, 3.0, None], "z": [1.0, 2.0, None, None]})["y"]
    np.testing.assert_array_equal(got, [0.0, 2.0, 3.0, math.nan])
    np.testing.assert_array_equal(graph({"x": [1.0], "z": [2.0]})["y"], [0.0])


def test_a_selection_is_missing_only_where_the_branch_taken_is():
    nodes = [
        HostNode("IsMissing", "gone", ("x",)),
        HostNode("Const", "nine", (), {"dtype": "float64", "value": 9}),
        HostNode("SelectV2", "y", ("gone", "nine", "x")),
    ]
    graph = graph_of({"x": "float64"}, nodes)
    assert graph({"x": [1.0, None]})["y"].tolist() == [1.0, 9.0]


def test_a_selection_by_a_missing_condition_is_missing():
    nodes = [HostNode("SelectV2", "y", ("c", "x", "z"))]
    graph = graph_of({"c": "bool", "x": "float64", "z": "float64"}, nodes)
    got = graph({"c": [True, None, False, True], "x": [1.0, 1.0, None, None], "z": [2.0, 2.0, 2.0, 2.0]})["y"]
    np.testing.assert_array_equal(got, [1.0, math.nan, 2.0, math.nan])


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_an_output_that_cannot_show_a_missing_value_is_refused_when_the_graph_is_made(dtype):
    with pytest.raises(TransformError, match="fill it with fill_missing"):
        graph_of({"x": dtype}, [], "x")
    nodes = [
        HostNode("Const", "zero", (), {"dtype": dtype, "value": False if dtype == "bool" else 0}),
        HostNode("FillMissing", "y", ("x", "zero")),
    ]
    assert graph_of({"x": dtype}, nodes)({"x": [None, None]})["y"].tolist() == [0, 0]


def test_every_nan_comes_out_with_the_same_bits():
    payload = np.array([0xFFF8000000000001, 0x7FF8000000000000], np.uint64).view(np.float64)
    graph = graph_of({"x": "float64", "z": "float64"}, [HostNode("AddV2", "y", ("x", "z"))])
    want = np.full(2, np.nan).tobytes()
    assert graph({"x": payload, "z": payload[::-1]})["y"].tobytes() == want
    assert graph({"x": [math.inf, None], "z": [-math.inf, 1.0]})["y"].tobytes() == want
    assert graph({"x": payload[:1], "z": [0.0]})["y"].tobytes() == want[:8]
