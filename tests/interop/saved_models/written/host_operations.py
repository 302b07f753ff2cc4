"""A host graph with every host operation, and rows that reach the edges of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mainstay.core import TensorSpec
from mainstay.hostops import HostGraph, HostInput, HostNode

_INPUTS = {
    "s": "string", "i": "int64", "j": "int32", "x": "float64", "y": "float32", "t": "string", "raw": "string",
}  # fmt: skip
_OPTIONAL = {"o": "string", "z": "float32", "u": "string"}

ASSETS = {
    "words.txt": "a\nÜ x\nzwei".encode(),
    "odd.txt": b"a\r\n\n Hi \nlast",
    "numbers.txt": b"10\n-20\n30\n",
}

ROWS: Mapping[str, Any] = {
    "s": ["a", "Ü x", " Hi ", "", "ÄÖ straße\t", "zwei", "x" * 100, "a\r"],
    "o": ["a", None, "b", "c", "q", None, "ü", "z"],
    "i": np.array([0, 1, -1, 2, -7, 2**62, 5, -(2**63)]),
    "j": np.array([0, 3, -3, 7, -7, 2**31 - 1, 1, -(2**31)], np.int32),
    "x": np.array([0.0, 1.5, -1.5, np.nan, np.inf, -np.inf, 1e300, -0.05]),
    "y": np.array([0.0, -2.0, 0.1, np.nan, 3e38, np.inf, 2.0, -1.0], np.float32),
    "z": [1.0, None, -0.0, 2.5, None, 3.0, float("inf"), -1.0],
    "t": [
        "2024-05-31",
        "2024-02-29 13:45",
        "1970-01-01T00:00:00Z",
        "2000-02-29T23:59:59.123456789+02:30",
        "0001-01-01",
        "1969-12-31t23:59:59,5 -01:00",
        "9999-12-31 23:59:59.9",
        "2023-01-05 00:00 ",
    ],
    "u": ["2024-05-31", None, "2023-12-31", "1999-02-28", "2024-05-31", None, "2100-03-01", "1600-02-29"],
    "raw": ["\x01\x02\x03\x04", "abcd", "wxyz", "    ", "0123", "\x00\x00\x00\x00", "\x7f\x00\x7f\x00", "zzzz"],
    "m": np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32),
}


class _Nodes:
    """Nodes that are outputs too."""

    def __init__(self) -> None:
        self.nodes: list[HostNode] = []
        self.outputs: dict[str, str] = {}

    def add(self, op: str, *inputs: str, hidden: bool = False, **attrs: Any) -> str:
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append(HostNode(op, name, inputs, attrs))
        if not hidden:
            self.outputs[name] = name
        return name

    def constant(self, dtype: str, value: Any) -> str:
        return self.add("Const", hidden=True, dtype=dtype, value=value)


def every_operation() -> HostGraph:
    """The graph."""
    made = _Nodes()
    _arithmetic(made)
    less = _logic(made)
    _missing(made, less)
    _strings(made, less)
    _tables(made)
    inputs = [HostInput(TensorSpec([None], dtype, name)) for name, dtype in _INPUTS.items()]
    inputs += [HostInput(TensorSpec([None], dtype, name), optional=True) for name, dtype in _OPTIONAL.items()]
    inputs.append(HostInput(TensorSpec([None, 3], "float32", "m")))
    return HostGraph(inputs, made.nodes, made.outputs, ASSETS)


def _arithmetic(made: _Nodes) -> None:
    two, three, real = made.constant("int64", 2), made.constant("int32", 3), made.constant("float64", 1.5)
    for op in ("AddV2", "Sub", "Mul", "FloorDiv", "FloorMod", "Maximum", "Minimum"):
        for pair in (("i", two), (two, "i"), ("j", three), ("x", real), (real, "x"), ("y", "z")):
            made.add(op, *pair)
    for pair in (("x", real), (real, "x")):
        made.add("RealDiv", *pair)
    made.add("ClipByValue", "x", real, real)
    made.add("ClipByValue", "j", three, three)
    for name in "ijxy":
        for op in ("Neg", "Abs", "Square"):
            made.add(op, name)
        for dtype in ("bool", "int32", "int64", "float32", "float64"):
            made.add("Cast", name, dtype=dtype)
        made.add("Bucketize", name, boundaries=[-1.0, 0.0, 0.1, 2.0])
    for name in "xyz":
        for op in ("Sqrt", "Floor", "Log", "Log1p", "Exp"):
            made.add(op, name)
    made.add("Cast", "z", dtype="float64")
    made.add("Square", "m")
    made.add("ArgMax", "m")


def _logic(made: _Nodes) -> str:
    two, real, word = made.constant("int64", 2), made.constant("float64", 1.5), made.constant("string", "Ü x")
    for op in ("Equal", "NotEqual", "LessEqual", "Greater", "GreaterEqual"):
        made.add(op, "x", real)
        made.add(op, "i", two)
    made.add("Equal", "s", word)
    made.add("NotEqual", "s", word)
    less, few = made.add("Less", "x", real), made.add("Less", "i", two)
    made.add("LogicalAnd", less, few)
    made.add("LogicalOr", less, few)
    made.add("LogicalNot", less)
    made.add("IsNan", "x")
    return less


def _missing(made: _Nodes, less: str) -> None:
    word, real, none = made.constant("string", "Ü x"), made.constant("float32", -2.0), made.constant("int64", 0)
    made.add("SelectV2", less, "i", none)
    made.add("SelectV2", less, "s", word)
    made.add("SelectV2", less, "o", "s")
    made.add("SelectV2", less, "z", "y")
    for name in "osz":
        made.add("IsMissing", name)
    made.add("FillMissing", "o", word)
    made.add("FillMissing", "s", word)
    made.add("FillMissing", "z", real)
    made.add("AddV2", "y", "z")
    made.add("FillMissing", made.add("DecodeTimestamp", "u", hidden=True), none)
    made.add("DecodeTimestamp", "t")


def _strings(made: _Nodes, less: str) -> None:
    for name in ("i", "j", "x", "y", "z", less):
        made.add("AsString", name)
    for op in ("StringLower", "StringUpper"):
        made.add(op, "s")
        made.add(op, "s", encoding="utf-8")
    made.add("StringStrip", "s")
    made.add("StringLength", "s")
    made.add("StringLength", "s", unit="UTF8_CHAR")
    made.add("StringJoin", "s", made.constant("string", "Ü"), "o", separator="|")
    made.add("StringToHashBucketFast", "s", num_buckets=1_000_003)
    made.add("DecodeRaw", "raw", dtype="int16", shape=[2, 1])


def _tables(made: _Nodes) -> None:
    made.add("LookupTableFindV2", "s", asset="words.txt", default_value=7)
    made.add("LookupTableFindV2", "s", asset="words.txt", num_oov_buckets=5)
    made.add("LookupTableFindV2", "s", asset="odd.txt")
    place = made.add("FloorMod", "i", made.constant("int64", 3), hidden=True)
    made.add("Gather", place, asset="words.txt")
    made.add("Gather", place, asset="odd.txt")
    made.add("Gather", place, asset="numbers.txt", dtype="int64")
