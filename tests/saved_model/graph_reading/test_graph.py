"""Graphs: order, references, and what is refused."""

import handmade_graphs as make
import pytest
from handmade_graphs import FLOAT, INT, const, node

from mainstay.core import FormatError, ModelError
from mainstay.saved_model import unsupported_ops

X = node("x", "Placeholder", dtype=FLOAT)


def add(name: str, *inputs: str):
    return node(name, "AddV2", *inputs, T=FLOAT)


def test_nodes_may_come_in_any_order(loaded) -> None:
    nodes = [add("z", "y", "one"), add("y", "x", "one:0"), const("one", 1.0), X]
    answer = loaded(nodes, {"x": ("x:0", FLOAT)}, {"z": ("z:0", FLOAT)})
    assert answer(3.0)["z"] == 5


@pytest.mark.parametrize(
    ("nodes", "summary"),
    [
        ([X, X], "one name"),
        ([X, add("z", "x", "y")], "not there"),
        ([X, add("z", "x", "^y")], "not there"),
        ([X, add("z", "x", "x:1")], "not there"),
        ([X, add("z", "x", "x:0:0:0")], "malformed"),
        ([X, add("z", "x", "y"), add("y", "z", "x")], "circle"),
        ([X, node("z", "AddV2", "x", "x")], "lacks"),
        ([X, node("z", "PartitionedCall", "x", f=make.FunctionAttr("nobody"), Tin=[FLOAT], Tout=[FLOAT])], "not there"),
        ([X, node("z", "PartitionedCall", "x", Tin=[FLOAT], Tout=[FLOAT])], "what it calls"),
    ],
)
def test_a_malformed_graph_is_refused(loaded, nodes, summary: str) -> None:
    with pytest.raises(FormatError, match=summary):
        loaded(nodes, {"x": ("x:0", FLOAT)}, {"z": ("z:0", FLOAT)})


def calling(name: str, callee: str):
    call = node("call", "PartitionedCall", "x", f=make.FunctionAttr(callee), Tin=[FLOAT], Tout=[FLOAT])
    return make.function(name, [call], inputs={"x": FLOAT}, outputs={"y": ("call:output:0", FLOAT)})


def test_functions_that_call_each_other_in_a_circle_are_refused(loaded) -> None:
    call = node("z", "PartitionedCall", "x", f=make.FunctionAttr("one"), Tin=[FLOAT], Tout=[FLOAT])
    with pytest.raises(FormatError, match="calls itself"):
        loaded(
            [X, call],
            {"x": ("x:0", FLOAT)},
            {"z": ("z:0", FLOAT)},
            functions=[calling("one", "two"), calling("two", "one")],
        )


def test_functions_that_double_their_nodes_again_and_again_are_refused(loaded, monkeypatch) -> None:
    monkeypatch.setattr("mainstay.saved_model.graph_reading.library._MOST_NODES", 1000)
    functions = [
        make.function("f0", [add("y", "x", "x")], inputs={"x": FLOAT}, outputs={"y": ("y:z:0", FLOAT)}),
    ]
    for level in range(1, 40):
        attrs = {"f": make.FunctionAttr(f"f{level - 1}"), "Tin": [FLOAT], "Tout": [FLOAT]}
        calls = [
            node("a", "PartitionedCall", "x", **attrs),
            node("b", "PartitionedCall", "a:output:0", **attrs),
        ]
        functions.append(make.function(f"f{level}", calls, inputs={"x": FLOAT}, outputs={"y": ("b:output:0", FLOAT)}))
    call = node("z", "PartitionedCall", "x", f=make.FunctionAttr("f39"), Tin=[FLOAT], Tout=[FLOAT])
    with pytest.raises(FormatError, match="too many nodes"):
        loaded([X, call], {"x": ("x:0", FLOAT)}, {"z": ("z:0", FLOAT)}, functions=functions)


def test_a_function_is_put_in_the_place_of_its_call(loaded) -> None:
    nodes = [add("sum", "a", "b"), node("both", "IdentityN", "sum:z:0", "a", T=[FLOAT, FLOAT])]
    called = make.function(
        "called",
        nodes,
        inputs={"a": FLOAT, "b": FLOAT},
        outputs={"s": ("both:output:0", FLOAT), "a_again": ("both:output:1", FLOAT)},
    )
    call = node("call", "PartitionedCall", "x", "x", f=make.FunctionAttr("called"), Tin=[FLOAT] * 2, Tout=[FLOAT] * 2)
    answer = loaded(
        [X, call], {"x": ("x:0", FLOAT)}, {"s": ("call:0", FLOAT), "a": ("call:1", FLOAT)}, functions=[called]
    )([1.5, 2.0])
    assert answer["s"].tolist() == [3, 4]
    assert answer["a"].tolist() == [1.5, 2]


def test_a_function_of_tensorflow_1_is_an_op(loaded) -> None:
    called = make.function("Twice", [add("sum", "a", "a")], inputs={"a": FLOAT}, outputs={"s": ("sum:z:0", FLOAT)})
    answer = loaded([X, node("z", "Twice", "x")], {"x": ("x:0", FLOAT)}, {"z": ("z:0", FLOAT)}, functions=[called])
    assert answer([2.0])["z"].tolist() == [4]


def test_ops_that_are_not_read_are_named_with_their_nodes(loaded, tmp_path) -> None:
    nodes = [X, node("z", "Mystery", "x"), node("y", "Mystery", "z"), node("w", "CudnnRNNV9", "y"), node("v", "Other")]
    with pytest.raises(ModelError, match=r"CudnnRNNV9 \(1 times, such as w\); Mystery \(2 times, such as z\)"):
        loaded(nodes, {"x": ("x:0", FLOAT)}, {"w": ("w:0", FLOAT)})
    found = unsupported_ops(tmp_path / "model")
    assert [(each.op, each.node, each.count) for each in found] == [("CudnnRNNV9", "w", 1), ("Mystery", "z", 2)]


def test_what_a_signature_does_not_need_may_be_anything(loaded) -> None:
    nodes = [X, add("z", "x", "x"), node("y", "Mystery", "z")]
    assert loaded(nodes, {"x": ("x:0", FLOAT)}, {"z": ("z:0", FLOAT)})(1.0)["z"] == 2


def test_any_tensor_can_be_fed(loaded) -> None:
    nodes = [X, add("y", "x", "x"), add("z", "y", "y"), node("n", "Shape", "y", T=FLOAT, out_type=INT)]
    answer = loaded(nodes, {"y": ("y:0", FLOAT)}, {"z": ("z:0", FLOAT), "n": ("n:0", INT)})([1.0, 2.0])
    assert answer["z"].tolist() == [2, 4]
    assert answer["n"].tolist() == [2]
