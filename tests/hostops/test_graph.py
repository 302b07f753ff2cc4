"""The host graph: what it refuses when it is made, how it reads rows, and how it is cut down."""

import math
import pickle
import threading

import numpy as np
import pyarrow as pa
import pytest

from mainstay.core import TensorSpec, TransformError
from mainstay.hostops import Column, HostGraph, HostInput, HostNode, Program


def spec(name: str, dtype: str = "float64", optional: bool = False) -> HostInput:
    return HostInput(TensorSpec([None], dtype, name), optional)


def doubled(optional: bool = False) -> HostGraph:
    nodes = [HostNode("AddV2", "twice", ("x", "x")), HostNode("StringLength", "n", ("s",))]
    return HostGraph([spec("x", optional=optional), spec("s", "string")], nodes, {"x2": "twice", "n": "n"})


def test_a_graph_runs_on_lists_arrays_and_batches():
    graph = doubled()
    rows = {"x": [1.0, 2.0], "s": ["a", "bc"], "unread": [0, 0, 0]}
    forms = [rows, {"x": np.array([1.0, 2.0]), "s": pa.array(["a", "bc"])}]
    forms.append(pa.record_batch({"s": ["a", "bc"], "x": [1.0, 2.0]}))
    for form in forms:
        got = graph(form)
        assert list(got) == ["x2", "n"]
        assert got["x2"].tolist() == [2.0, 4.0]
        assert got["n"].tolist() == [1, 2]


def test_no_rows_give_no_rows():
    got = doubled()({"x": [], "s": []})
    assert [len(values) for values in got.values()] == [0, 0]
    assert got["x2"].dtype == np.float64
    assert got["n"].dtype == np.int64


def test_an_optional_input_may_be_left_out():
    got = doubled(optional=True)({"s": ["a", "b"]})
    np.testing.assert_array_equal(got["x2"], [math.nan, math.nan])
    got = doubled(optional=True)(pa.record_batch({"s": ["a"]}))
    assert len(got["x2"]) == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"s": ["a"]}, r"\$\.x: an input is not there"),
        ({"x": [1.0], "s": ["a", "b"]}, r"\$\.s: the inputs differ in length"),
        ({"x": [1.0, None], "s": ["a", "b"]}, r"\$\.x\[1\]: a required input has a missing value"),
        ({"x": ["1"], "s": ["a"]}, r"\$\.x: a column has the wrong type"),
        ({"x": [[1.0]], "s": ["a"]}, r"\$\.x: an input has the wrong shape"),
        ({"x": 5.0, "s": ["a"]}, r"\$\.x: a column is no sequence"),
        ({"x": [1.0], "s": "a"}, r"\$\.s: a column is no sequence"),
        ({"x": [1.0], "s": [1]}, r"\$\.s: a column has the wrong type"),
    ],
)
def test_rows_that_do_not_fit_are_refused_naming_the_place(rows, message):
    with pytest.raises(TransformError, match=message):
        doubled()(rows)


X = spec("x")


@pytest.mark.parametrize(
    ("inputs", "nodes", "outputs", "message"),
    [
        ([X], [HostNode("Nope", "y", ("x",))], {}, "unknown host operation"),
        ([X], [HostNode("Neg", "y", ("z",))], {}, "no earlier one makes"),
        ([X], [HostNode("Neg", "a", ("b",)), HostNode("Neg", "b", ("a",))], {}, "no earlier one makes"),
        ([X], [HostNode("Neg", "y", ("y",))], {}, "no earlier one makes"),
        ([X], [HostNode("Neg", "x", ("x",))], {}, "one name"),
        ([X, X], [], {}, "one name"),
        ([X], [HostNode("Neg", "y", ("x",), {"axis": 1})], {}, "unknown attribute"),
        ([X], [HostNode("Cast", "y", ("x",))], {}, "is not there"),
        ([X], [HostNode("Cast", "y", ("x",), {"dtype": "int8"})], {}, "does not fit"),
        ([X], [HostNode("Cast", "y", ("x",), {"dtype": ["bool"]})], {}, "does not fit"),
        ([X], [HostNode("Neg", "", ("x",))], {}, "name"),
        ([X], [HostNode("Neg", "\ud800", ("x",))], {}, "name"),
        ([X], [], {"y": "z"}, "does not make"),
        ([X], [], {"": "x"}, "proper name"),
        ([X], [HostNode("Const", "c", (), {"dtype": "bool", "value": True})], {"y": "c"}, "same in every row"),
        ([HostInput(TensorSpec([None], "int8", "x"))], [], {}, "dtype that host operations do not have"),
        ([HostInput(TensorSpec([], "int64", "x"))], [], {}, "no batch axis"),
        ([HostInput(TensorSpec([3], "int64", "x"))], [], {}, "no batch axis"),
        ([HostInput(TensorSpec([None, 2], "string", "x"))], [], {}, "more than one axis"),
        ([HostInput(TensorSpec([None, 2], "float32", "x"), True)], [], {}, "more than one axis"),
        ([spec("s", "string")], [HostNode("Log", "y", ("s",))], {}, "does not take"),
        ([spec("s", "string")], [HostNode("DecodeTimestamp", "t", ("s",))], {"s": "s"}, "raw time"),
        ([X], [HostNode("ArgMax", "y", ("x",))], {}, "rows of scores"),
        (
            [HostInput(TensorSpec([None, 2], "int64", "x"))],
            [HostNode("AsString", "y", ("x",))],
            {},
            "one value per row",
        ),
        (
            [X, HostInput(TensorSpec([None, 2], "float64", "m"))],
            [HostNode("AddV2", "y", ("x", "m"))],
            {},
            "differ in shape",
        ),
    ],
)
def test_a_graph_that_does_not_hold_together_is_refused(inputs, nodes, outputs, message):
    with pytest.raises(TransformError, match=message):
        HostGraph(inputs, nodes, outputs)


@pytest.mark.parametrize(
    "name", ["../v.txt", "a/b", "a\\b", "", ".", "..", ".hidden", "a\0", "ä.txt", "x" * 200, "a\n"]
)
def test_an_asset_cannot_lead_out_of_its_folder(name):
    node = HostNode("LookupTableFindV2", "y", ("s",), {"asset": name})
    with pytest.raises(TransformError, match=r"asset|attribute"):
        HostGraph([spec("s", "string")], [node], {}, {name: b"a\n"})


def test_assets_are_bytes_that_are_read_and_differ_in_more_than_case():
    with pytest.raises(TransformError, match="no operation of a host graph reads an asset"):
        HostGraph([X], [], {}, {"v.txt": b"a\n"})
    with pytest.raises(TransformError, match="no bytes"):
        HostGraph([X], [], {}, {"v.txt": "a\n"})
    with pytest.raises(TransformError, match="case"):
        HostGraph([X], [], {}, {"v.txt": b"a\n", "V.txt": b"a\n"})


@pytest.mark.parametrize("number", [0, -1, 2**63, 10**30, 1.0, True, "5", None, math.nan])
def test_a_number_of_buckets_that_is_none_is_refused(number):
    node = HostNode("StringToHashBucketFast", "y", ("s",), {"num_buckets": number})
    with pytest.raises(TransformError, match="num_buckets"):
        HostGraph([spec("s", "string")], [node], {})


def test_pruning_keeps_what_the_outputs_need():
    nodes = [
        HostNode("Neg", "a", ("x",)),
        HostNode("LookupTableFindV2", "ids", ("s",), {"asset": "v.txt"}),
        HostNode("Abs", "b", ("a",)),
    ]
    graph = HostGraph([X, spec("s", "string")], nodes, {"b": "b", "ids": "ids"}, {"v.txt": b"q\n"})
    small = graph.prune(["b"])
    assert [item.spec.name for item in small.inputs] == ["x"]
    assert [node.name for node in small.nodes] == ["a", "b"]
    assert small.assets == {}
    assert small({"x": [-2.0]}) == {"b": np.array([2.0])}
    assert graph.prune(["ids", "b"]).to_json()["outputs"] == [["ids", "ids"], ["b", "b"]]
    with pytest.raises(TransformError, match="no such output"):
        graph.prune(["c"])


def test_a_deep_graph_runs():
    nodes = [HostNode("Neg", "n0", ("x",))]
    nodes += [HostNode("Neg", f"n{i}", (f"n{i - 1}",)) for i in range(1, 5000)]
    graph = HostGraph([spec("x", optional=True)], nodes, {"y": "n4999"})
    assert graph({"x": [3.0]})["y"].tolist() == [3.0]


def test_running_never_writes_into_what_was_handed_in():
    nodes = [
        HostNode("Const", "c", (), {"dtype": "float64", "value": 1.0}),
        HostNode("FillMissing", "f", ("x", "c")),
        HostNode("AddV2", "g", ("f", "f")),
        HostNode("Mul", "h", ("g", "x")),
        HostNode("AddV2", "y", ("h", "f")),
    ]
    graph = HostGraph([spec("x", optional=True)], nodes, {"y": "y", "f": "f", "x": "x"})
    values, missing = np.array([1.0, 2.0, np.nan]), np.array([False, True, False])
    values.flags.writeable = missing.flags.writeable = False
    got = graph.run([Column(values, missing)])
    np.testing.assert_array_equal(got["y"], [3.0, math.nan, math.nan])
    np.testing.assert_array_equal(got["f"], [1.0, 1.0, math.nan])
    np.testing.assert_array_equal(got["x"], [1.0, math.nan, math.nan])


def test_one_graph_serves_many_threads():
    graph = doubled()
    wrong: list[int] = []

    def work(seed: int) -> None:
        for i in range(200):
            got = graph({"x": [float(seed), float(i)], "s": ["a" * seed, ""]})
            if got["x2"].tolist() != [2.0 * seed, 2.0 * i] or got["n"].tolist() != [seed, 0]:
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_program_keeps_missing_values():
    program = Program([spec("x", "int64", True)], [HostNode("Neg", "y", ("x",))], {"y": "y"}, {})
    assert program.may_miss == {"y"}
    column = program.run([Column(np.array([1, 2]), np.array([True, False]))])["y"]
    assert column.values[1] == -2
    assert column.missing.tolist() == [True, False]


def test_an_error_of_a_graph_survives_a_process_boundary():
    with pytest.raises(TransformError) as caught:
        doubled()({"s": ["a"]})
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
