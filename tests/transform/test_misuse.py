"""Misuse: arbitrary Python on a column ends in an error with the user's file, line and what to write instead."""

import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mainstay import transform as tft
from mainstay.core import TransformError

DATA = {
    "x": np.arange(10.0),
    "n": np.arange(10),
    "c": np.array(list("abcabcabca"), object),
    "b": np.array([True, False] * 5),
    "gap": pa.array([1, None] * 5),
}


def refusal(function) -> TransformError:
    with pytest.raises(TransformError) as caught:
        tft.analyze(DATA, function)
    return caught.value


def branch(inputs):
    x = inputs["x"]
    if x > 0:
        return {"y": x}
    return {"y": -x}


def loop(inputs):
    total = 0
    for value in inputs["x"]:
        total += value
    return {"y": total}


def assign(inputs):
    inputs["x"][0] = 1.0
    return {"y": inputs["x"]}


@pytest.mark.parametrize(
    ("function", "summary", "fix"),
    [
        (branch, "neither true nor false", r"tft\.where"),
        (loop, "iteration needs values", "operators"),
        (assign, "assignment to rows", r"tft\.where"),
        (lambda i: {"y": i["x"] > 0 and i["n"] > 0}, "neither true nor false", "&"),
        (lambda i: {"y": 0 < i["x"] < 5}, "neither true nor false", "chained"),
        (lambda i: {"y": not i["b"]}, "neither true nor false", "~"),
        (lambda i: {"y": max(i["x"], 0.0)}, "neither true nor false", r"tft\.where"),
        (lambda i: {"y": float(i["x"])}, r"float\(\) needs values", "tft"),
        (lambda i: {"y": int(i["x"])}, r"int\(\) needs values", r"tft\.cast"),
        (lambda i: {"y": complex(i["x"])}, r"complex\(\) needs values", "tft"),
        (lambda i: {"y": [1, 2][i["n"]]}, "as an index", "tft"),
        (lambda i: {"y": round(i["x"])}, r"round\(\)", "tft"),
        (lambda i: {"y": math.log(i["x"])}, r"float\(\) needs values", r"tft\.log"),
        (lambda i: {"y": math.floor(i["x"])}, r"math\.floor\(\)", r"tft\.floor"),
        (lambda i: {"y": math.ceil(i["x"])}, r"math\.ceil\(\)", r"tft\.floor"),
        (lambda i: {"y": math.trunc(i["x"])}, r"math\.trunc\(\)", r"tft\.cast"),
        (lambda i: {"y": len(i["c"])}, r"len\(\) needs values", r"tft\.size"),
        (lambda i: {"y": "a" in i["c"]}, "in needs values", "=="),
        (lambda i: {"y": i["x"][0]}, "indexing needs values", r"tft\.where"),
        (lambda i: {"y": i["x"]()}, "calling it", "tft|mainstay.transform"),
        (lambda i: {"y": np.log(i["x"])}, r"numpy\.log", r"tft\.log"),
        (lambda i: {"y": np.isnan(i["x"])}, r"numpy\.isnan", r"tft\.is_nan"),
        (lambda i: {"y": np.where(i["b"], 1, 2)}, r"numpy\.where", r"tft\.where"),
        (lambda i: {"y": np.asarray(i["x"])}, "conversion to a NumPy array", "mainstay.transform"),
        (lambda i: {"y": np.array([1.0, 2.0]) * i["x"]}, r"numpy\.multiply", "operators"),
        (lambda i: {"y": i["x"] * np.array([1.0, 2.0])}, "between a column and ndarray", "inputs"),
        (lambda i: {"y": i["x"].mean()}, "no attribute 'mean'", r"tft\.mean"),
        (lambda i: {"y": i["c"].str.lower()}, "no attribute 'str'", r"tft\.lower"),
        (lambda i: {"y": i["x"].fillna(0)}, "no attribute 'fillna'", r"tft\.fill_missing"),
        (lambda i: {"y": i["x"].foo}, "no attribute 'foo'", "mainstay.transform"),
        (lambda i: {"y": i["x"] == None}, "between a column and None", r"tft\.is_missing"),  # noqa: E711
        (lambda i: {"y": i["x"] + "a"}, "float64 and 'a'", "cast"),
        (lambda i: {"y": i["c"] + 1}, "string and 1", "cast"),
        (lambda i: {"y": i["c"] + i["x"]}, "string and one of float64", r"tft\.as_string"),
        (lambda i: {"y": i["c"] + i["c"]}, r"\+ is for numbers", r"tft\.join"),
        (lambda i: {"y": i["x"] ** 3}, "powers 2 and 0.5", r"x \* x"),
        (lambda i: {"y": i["x"] & i["b"]}, "& is for columns of booleans", "brackets"),
        (lambda i: {"y": ~i["n"]}, "~ is for columns of booleans", None),
        (lambda i: {"y": i["n"] + 2**63}, "beyond 64 bits", "float"),
        (lambda i: {"y": -i["c"]}, "is for numbers", "vocabulary"),
        (lambda i: {"y": tft.log(i["c"])}, "log is for numbers", "vocabulary"),
        (lambda i: {"y": tft.log(5.0)}, "log takes a column", None),
        (lambda i: {"y": tft.mean("x")}, "mean takes a column", None),
        (lambda i: {"y": tft.compute_and_apply_vocabulary(i["x"])}, "strings and integers", r"tft\.bucketize"),
        (lambda i: {"y": tft.lower(i["n"])}, "lower is for strings", r"tft\.as_string"),
        (lambda i: {"y": tft.lower(i["c"], "latin-1")}, "option is unknown", None),
        (lambda i: {"y": tft.join(i["c"])}, "join takes a list", None),
        (lambda i: {"y": tft.join(["a", "b"])}, "join takes a list", None),
        (lambda i: {"y": tft.cast(i["x"], "string")}, "cannot be cast", r"tft\.as_string"),
        (lambda i: {"y": tft.cast(i["x"], "int8")}, "cannot be cast", None),
        (lambda i: {"y": tft.cast(i["c"], "float32")}, "strings cannot be cast", "vocabulary"),
        (lambda i: {"y": tft.where(i["x"], 1, 2)}, "no column of booleans", r"x > 0"),
        (lambda i: {"y": tft.where(i["b"], "a", 2)}, "between a string and another", None),
        (lambda i: {"y": tft.bucketize(i["x"], 1)}, "num_buckets is out of range", None),
        (lambda i: {"y": tft.bucketize(i["x"], 10**9)}, "num_buckets is out of range", None),
        (lambda i: {"y": tft.quantiles(i["x"], 4)[3] + i["x"]}, "no such quantile", None),
        (
            lambda i: {"y": tft.apply_buckets(i["x"], list(tft.quantiles(i["x"], 4)))},
            "plain numbers",
            r"tft\.quantiles",
        ),
        (lambda i: {"y": tft.scale_by_min_max(i["x"], 1.0)}, "output_min must be less", None),
        (lambda i: {"y": tft.hash_strings(i["c"], 0)}, "hash_buckets is out of range", None),
        (lambda i: {"y": tft.hour_of_day(i["x"])}, "hour_of_day is for timestamps", None),
        (lambda i: {"y": tft.hour_of_day(i["c"])}, "hour_of_day is for timestamps", r"tft\.decode_timestamp"),
        (lambda i: {"y": tft.decode_timestamp(i["n"])}, "decode_timestamp is for strings", None),
        (lambda i: {"y": i["xx"]}, "no column 'xx'", "did you mean 'x'"),
        (lambda i: {"y": i["gap"] + 1}, "can have missing values", "fill_missing"),
        (lambda i: {"y": tft.mean(i["x"])}, "same in every row", "leave it out"),
    ],
)
def test_what_cannot_be_traced_is_refused_with_file_line_and_advice(function, summary, fix):
    error = refusal(function)
    assert re.search(summary, error.summary)
    path, _, line = error.where.rpartition(":")
    assert Path(path) == Path(__file__)
    first = function.__code__.co_firstlineno
    assert first <= int(line) <= first + 4
    assert error.received
    assert fix is None or re.search(fix, error.fix)


def test_the_line_is_that_of_the_mistake():
    error = refusal(branch)
    assert error.where == f"{__file__}:{branch.__code__.co_firstlineno + 2}"
    assert error.received == "if x > 0:"


@pytest.mark.parametrize("result", [None, {}, [], 5, {"y": 3}, {"y": np.ones(3)}, {1: None}, {"": None}])
def test_a_function_that_returns_no_columns_is_refused(result):
    assert "test_misuse.py" in refusal(lambda inputs: result).where


def test_an_error_of_the_function_itself_is_told_with_its_line():
    def divide(inputs):
        return {"y": inputs["x"] * (1 / 0)}

    error = refusal(divide)
    assert error.summary == "preprocessing_fn raised ZeroDivisionError: division by zero"
    assert error.where == f"{__file__}:{divide.__code__.co_firstlineno + 1}"
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_what_is_no_function_is_refused():
    with pytest.raises(TransformError, match="no function"):
        tft.analyze(DATA, {"x": "z_score"})


def test_a_column_of_a_type_that_cannot_be_computed_with_says_so():
    data = pa.table({"x": [1.0], "tags": [["a"]]})
    with pytest.raises(TransformError, match="'tags' has a type") as caught:
        tft.analyze(data, lambda inputs: {"y": inputs["tags"]})
    assert "list<" in caught.value.received
    assert tft.analyze(data, dict).outputs == {"x": "x"}


def test_looking_at_a_column_is_allowed():
    def function(inputs):
        assert "float64" in repr(inputs["x"])
        assert not hasattr(inputs["x"], "__array_interface__")
        assert inputs.get("nope") is None
        assert {inputs["x"], inputs["x"]} == {inputs["x"]}
        return {"y": inputs["x"]}

    tft.analyze(DATA, function)
