"""Stages: what goes to the host and what to the device."""

from typing import Any

import handmade_graphs as make
import numpy as np
from handmade_graphs import FLOAT, INT, LONG, STRING, const, node


def stages(signature: Any) -> list[tuple[str, list[str]]]:
    graph = signature.graph
    return [
        ("device" if stage.on_device else "host", [graph.nodes[index].op.op for index in stage.nodes])
        for stage in signature.program.partition.stages
    ]


WORDS = node("words", "Placeholder", dtype=STRING)
X = node("x", "Placeholder", dtype=FLOAT)


def test_numbers_alone_are_one_program(loaded) -> None:
    nodes = [
        X,
        node("n", "Shape", "x", T=FLOAT, out_type=INT),
        node("flat", "Reshape", "x", "minus", T=FLOAT, Tshape=INT),
        const("minus", np.int32([-1])),
        node("back", "Reshape", "flat", "n", T=FLOAT, Tshape=INT),
        node("y", "Identity", "back", T=FLOAT),
    ]
    run = loaded(nodes, {"x": ("x:0", FLOAT)}, {"y": ("y:0", FLOAT)})
    assert [place for place, _ in stages(run)] == ["device"]
    assert run([[1.0, 2.0]])["y"].tolist() == [[1, 2]]


def test_the_shape_of_strings_is_known_to_programs(loaded) -> None:
    nodes = [
        WORDS,
        node("n", "Shape", "words", T=STRING, out_type=INT),
        X,
        node("y", "BroadcastTo", "x", "n", T=FLOAT, Tidx=INT),
        node("z", "Exp", "y", T=FLOAT),
    ]
    run = loaded(nodes, {"words": ("words:0", STRING), "x": ("x:0", FLOAT)}, {"z": ("z:0", FLOAT)})
    for words in (["a", "b"], ["a"] * 5):
        assert run(words=words, x=0.0)["z"].tolist() == [1] * len(words)
    assert ("device", ["BroadcastTo", "Exp"]) in stages(run)


def test_host_and_device_take_turns(loaded) -> None:
    nodes = [
        WORDS,
        node("lower", "StringLength", "words"),
        node("f", "Cast", "lower", SrcT=INT, DstT=FLOAT),
        const("axis", 1),
        node("column", "ExpandDims", "f", "axis", T=FLOAT, Tdim=INT),
        const("two", np.float32([[2]])),
        node("e", "MatMul", "column", "two", T=FLOAT),
        node("sign", "Sign", "e", T=FLOAT),
        node("i", "Cast", "sign", SrcT=FLOAT, DstT=INT),
        node("text", "AsString", "i", T=INT),
        node("y", "Identity", "text", T=STRING),
    ]
    run = loaded(nodes, {"words": ("words:0", STRING)}, {"y": ("y:0", STRING), "e": ("e:0", FLOAT)})
    answer = run(["abc", "é"])
    assert answer["y"].tolist() == [[b"1"], [b"1"]]
    assert answer["e"].tolist() == [[6], [4]]
    assert [place for place, _ in stages(run)] == ["host", "device", "host"]
    assert stages(run)[1][1] == ["MatMul", "Sign", "Cast"]


def test_constants_are_computed_once(loaded) -> None:
    nodes = [
        X,
        const("a", np.float32([1, 2])),
        node("b", "Square", "a", T=FLOAT),
        node("c", "AddV2", "b", "a", T=FLOAT),
        node("y", "AddV2", "x", "c", T=FLOAT),
    ]
    run = loaded(nodes, {"x": ("x:0", FLOAT)}, {"y": ("y:0", FLOAT)})
    assert stages(run) == [("device", ["AddV2"])]
    assert run(1.0)["y"].tolist() == [3, 7]


def test_large_constants_are_arguments_of_programs(loaded) -> None:
    large = np.arange(100_000, dtype=np.float32)
    nodes = [X, const("c", large), node("y", "AddV2", "x", "c", T=FLOAT)]
    run = loaded(nodes, {"x": ("x:0", FLOAT)}, {"y": ("y:0", FLOAT)})
    assert np.array_equal(run(1.0)["y"], large + 1)
    (stage,) = run.program.device_stages.values()
    assert len(stage.roots) == 1


def test_a_weight_that_several_stages_read_is_handed_to_none(loaded) -> None:
    nodes = [
        WORDS,
        node("v", "VarHandleOp", dtype=FLOAT, shape=make.ShapeAttr((1,)), shared_name=b"v"),
        node("r", "ReadVariableOp", "v", dtype=FLOAT),
        X,
        node("a", "Mul", "x", "r", T=FLOAT),
        node("n", "Cast", "a", SrcT=FLOAT, DstT=LONG),
        node("text", "AsString", "n", T=LONG),
        node("length", "StringLength", "text"),
        node("f", "Cast", "length", SrcT=INT, DstT=FLOAT),
        node("y", "Mul", "f", "r", T=FLOAT),
    ]
    run = loaded(nodes, {"x": ("x:0", FLOAT)}, {"y": ("y:0", FLOAT)}, tensors={"v": np.float32([10])})
    assert run([12.0])["y"].tolist() == [30]
    read = [index for index, each in enumerate(run.graph.nodes) if each.op.op == "ReadVariableOp"]
    assert not [s for stage in run.program.partition.stages for s in stage.outputs if s[0] in read]
