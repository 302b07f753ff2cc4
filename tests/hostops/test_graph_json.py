"""The JSON form: it comes back as it went, and a stranger's JSON ends in a clear error and nothing else."""

import copy
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import FormatError, MainstayError, TensorSpec
from mainstay.hostops import GRAPH_VERSION, HostGraph, HostInput, HostNode, op_names, op_version

ASSETS = {"v.txt": "b\na\nÄ\n".encode(), "unused.txt": b"x\n"}


def example() -> HostGraph:
    inputs = [
        HostInput(TensorSpec([None], "float64", "x"), True),
        HostInput(TensorSpec([None], "string", "sträng")),
        HostInput(TensorSpec([None], "string", "t")),
    ]
    nodes = [
        HostNode("Const", "inf", (), {"dtype": "float64", "value": math.inf}),
        HostNode("FillMissing", "f", ("x", "inf")),
        HostNode("Cast", "c", ("f",), {"dtype": "float32"}),
        HostNode("Bucketize", "b", ("c",), {"boundaries": [0.1, 1, 2.5]}),
        HostNode("LookupTableFindV2", "ids", ("sträng",), {"asset": "v.txt", "num_oov_buckets": 2}),
        HostNode("DecodeTimestamp", "us", ("t",)),
    ]
    return HostGraph(inputs, nodes, {"b": "b", "ids": "ids", "us": "us"}, {"v.txt": ASSETS["v.txt"]})


ROWS = {"x": [1.0, None], "sträng": ["a", "Ö"], "t": ["2024-01-01", "1970-01-01"]}


def test_a_graph_comes_back_as_it_went():
    graph = example()
    text = json.dumps(graph.to_json(), allow_nan=False)
    again = HostGraph.from_json(json.loads(text), ASSETS)
    assert json.dumps(again.to_json()) == text
    want = graph(ROWS)
    for name, values in again(ROWS).items():
        assert values.tobytes() == want[name].tobytes()


def test_defaults_are_written_out():
    (node,) = [node for node in example().to_json()["nodes"] if node["op"] == "LookupTableFindV2"]
    assert node["attrs"] == {"asset": "v.txt", "default_value": -1, "num_oov_buckets": 2}
    assert node["version"] == op_version("LookupTableFindV2") == 1


def changed(path: list, value: object) -> dict:
    graph = copy.deepcopy(example().to_json())
    place = graph
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return graph


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (["version"], GRAPH_VERSION + 1, r"\$\.version"),
        (["version"], True, r"\$\.version"),
        (["version"], "1", r"\$\.version"),
        (["version"], KeyError, r"\$\.version"),
        (["assets"], KeyError, r"\$: "),
        (["more"], 1, r"\$: "),
        (["inputs"], {}, r"\$\.inputs"),
        (["inputs", 0], "x", r"\$\.inputs\[0\]"),
        (["inputs", 0, "shape"], "None", r"\$\.inputs\[0\]\.shape"),
        (["inputs", 0, "shape"], [None, -1], r"\$\.inputs\[0\]\.shape"),
        (["inputs", 0, "shape"], [1.0], r"\$\.inputs\[0\]\.shape"),
        (["inputs", 0, "dtype"], "complex64", r"\$\.inputs\[0\]"),
        (["inputs", 0, "dtype"], None, r"\$\.inputs\[0\]\.dtype"),
        (["inputs", 0, "name"], 5, r"\$\.inputs\[0\]\.name"),
        (["inputs", 0, "optional"], 1, r"\$\.inputs\[0\]\.optional"),
        (["nodes"], None, r"\$\.nodes"),
        (["nodes", 0, "op"], "Pickle", r"\$\.nodes\[0\]\.op"),
        (["nodes", 0, "op"], ["Neg"], r"\$\.nodes\[0\]\.op"),
        (["nodes", 0, "version"], 2, r"\$\.nodes\[0\]\.version"),
        (["nodes", 0, "version"], 1.0, r"\$\.nodes\[0\]\.version"),
        (["nodes", 0, "name"], None, r"\$\.nodes\[0\]\.name"),
        (["nodes", 0, "inputs"], "ab", r"\$\.nodes\[0\]\.inputs"),
        (["nodes", 1, "inputs"], [1, 2], r"\$\.nodes\[1\]\.inputs"),
        (["nodes", 0, "attrs"], [], r"\$\.nodes\[0\]\.attrs"),
        (["nodes", 0, "code"], "import os", r"\$\.nodes\[0\]"),
        (["outputs"], {"b": "b"}, r"\$\.outputs"),
        (["outputs", 0], ["b"], r"\$\.outputs\[0\]"),
        (["outputs", 1], ["b", "b"], r"\$\.outputs\[1\]"),
        (["outputs", 0], "bb", r"\$\.outputs\[0\]"),
        (["assets"], ["v.txt", "v.txt"], r"\$\.assets\[1\]"),
        (["assets"], ["w.txt"], r"\$\.assets\[0\]"),
        (["assets"], [1], r"\$\.assets\[0\]"),
    ],
)
def test_a_key_that_is_not_as_specified_is_refused_naming_its_path(path, value, where):
    with pytest.raises(FormatError, match=where):
        HostGraph.from_json(changed(path, value), ASSETS)


@pytest.mark.parametrize("value", [None, 5, "graph", [], [["version", 1]], {}])
def test_what_is_no_graph_is_refused(value):
    with pytest.raises(FormatError, match="unknown version"):
        HostGraph.from_json(value, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
NAMES = st.sampled_from(["x", "s", "b", "t", "m", "n0", "n1", "n2", "n3", "y", "v.txt", "../v.txt", ""])
ATTRS = {
    "dtype": st.sampled_from(["bool", "int32", "int64", "float32", "float64", "string", "int8"]) | JSON,
    "value": JSON,
    "asset": st.sampled_from(["v.txt", "empty.txt", "double.txt", "numbers.txt", "nope"]) | JSON,
    "default_value": st.integers() | JSON,
    "num_oov_buckets": st.integers(-1, 2**64) | JSON,
    "num_buckets": st.integers(-1, 2**64) | JSON,
    "boundaries": st.lists(st.floats(), max_size=3) | JSON,
    "separator": st.text(max_size=2) | JSON,
    "unit": st.sampled_from(["BYTE", "UTF8_CHAR", "CHAR"]) | JSON,
    "encoding": st.sampled_from(["", "utf-8", "latin-1"]) | JSON,
}
BINARY = {"AddV2", "Sub", "Mul", "RealDiv", "FloorDiv", "FloorMod", "Maximum", "Minimum", "Equal", "NotEqual", "Less"}
BINARY |= {"LessEqual", "Greater", "GreaterEqual", "LogicalAnd", "LogicalOr", "FillMissing", "StringJoin"}
FUZZ_ASSETS = {"v.txt": b"a\nb\n", "empty.txt": b"", "double.txt": b"a\na\n", "numbers.txt": b"3\n4\n"}


@st.composite
def likely_nodes(draw: st.DrawFn, number: int) -> dict:
    """A node that is nearly right, so that the fuzz reaches the operations."""
    op = draw(st.sampled_from(op_names()))
    names = draw(st.sets(st.sampled_from(sorted(ATTRS)), max_size=3))
    known = {"Const": {"dtype", "value"}, "Cast": {"dtype"}, "Bucketize": {"boundaries"}, "Gather": {"asset", "dtype"}}
    known |= {"LookupTableFindV2": {"asset"}, "StringToHashBucketFast": {"num_buckets"}}
    attrs = {name: draw(ATTRS[name]) for name in known.get(op, draw(st.sampled_from([set(), names])))}
    kind = (
        "s"
        if op.startswith("String") or op in ("DecodeTimestamp", "LookupTableFindV2")
        else "b"
        if "Logical" in op
        else "x"
    )
    count = 0 if op == "Const" else 3 if op in ("SelectV2", "ClipByValue") else 2 if op in BINARY else 1
    usual = ["b", "x", "x"] if op == "SelectV2" else ["m" if op == "ArgMax" else kind] * count
    inputs = [draw(st.just(name) | NAMES) if draw(st.integers(0, 3)) == 0 else name for name in usual]
    return {"op": op, "version": 1, "name": f"n{number}", "inputs": inputs, "attrs": attrs}


@st.composite
def likely_graphs(draw: st.DrawFn) -> dict:
    dtypes = {"x": "float64", "s": "string", "b": "bool", "t": "string", "m": "float32"}
    inputs = [
        {
            "name": name,
            "dtype": dtype,
            "shape": [None, 3] if name == "m" else [None],
            "optional": name != "m" and draw(st.booleans()),
        }
        for name, dtype in dtypes.items()
    ]
    nodes = [draw(likely_nodes(i)) for i in range(draw(st.integers(0, 4)))]
    outputs = [[f"o{i}", node["name"]] for i, node in enumerate(nodes)] if draw(st.booleans()) else []
    outputs += draw(st.lists(st.tuples(NAMES, NAMES).map(list), max_size=1))
    assets = [node["attrs"].get("asset") for node in nodes if isinstance(node["attrs"].get("asset"), str)]
    graph = {"version": 1, "inputs": inputs, "nodes": nodes, "outputs": outputs, "assets": sorted(set(assets))}
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        place = graph
        while isinstance(place, (dict, list)) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if draw(st.booleans()):
                place[key] = draw(JSON)
                break
            place = place[key]
    return graph


@given(likely_graphs())
def test_a_strangers_graph_is_refused_with_an_error_of_ours_or_runs(value):
    try:
        graph = HostGraph.from_json(value, FUZZ_ASSETS)
    except MainstayError:
        return
    rows = {
        "x": [1.5, -0.0],
        "s": ["a", "ä"],
        "b": [True, False],
        "t": ["2024-01-01", "1970-01-01"],
        "m": [[1.0, 2.0, 3.0]] * 2,
    }
    try:
        got = graph(rows)
    except MainstayError:
        return
    assert all(len(values) == 2 for values in got.values())
    again = HostGraph.from_json(json.loads(json.dumps(graph.to_json(), allow_nan=False)), FUZZ_ASSETS)
    assert all(
        values.tobytes() == again(rows)[name].tobytes() for name, values in got.items() if values.dtype != object
    )


@given(JSON, st.dictionaries(st.text(max_size=5), st.binary(max_size=5), max_size=2))
def test_any_json_at_all_is_refused_with_an_error_of_ours(value, assets):
    for candidate in (value, {"version": 1, "inputs": value, "nodes": value, "outputs": value, "assets": value}):
        try:
            HostGraph.from_json(candidate, assets)
        except MainstayError:
            continue
