"""Damaged models: whatever the bytes say, the reader says what is wrong with them, and nothing else happens."""

import contextlib
from pathlib import Path

import handmade_graphs as make
import numpy as np
import pytest
from handmade_graphs import BOOL, FLOAT, INT, FunctionAttr, const, node
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.core import FormatError, MainstayError
from mainstay.saved_model import load, unsupported_ops

X = node("x", "Placeholder", dtype=FLOAT)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a function, a conditional of each kind, a variable and constants."""
    square = make.function(
        "sq", [node("y", "Square", "x", T=FLOAT)], inputs={"x": FLOAT}, outputs={"y": ("y:y:0", FLOAT)}
    )
    attrs = {"then_branch": FunctionAttr("sq"), "else_branch": FunctionAttr("sq")}
    nodes = [
        X,
        node("v", "VarHandleOp", dtype=FLOAT, shape=make.ShapeAttr((2,)), shared_name=b"v"),
        node("r", "ReadVariableOp", "v", dtype=FLOAT),
        node("p", "Placeholder", dtype=BOOL),
        node("switch", "Switch", "x", "p", T=FLOAT),
        node("neg", "Neg", "switch:1", T=FLOAT),
        node("m", "Merge", "switch", "neg", T=FLOAT, N=2),
        node("i", "If", "p", "m", Tcond=BOOL, Tin=[FLOAT], Tout=[FLOAT], **attrs),
        node("call", "PartitionedCall", "i", f=FunctionAttr("sq"), Tin=[FLOAT], Tout=[FLOAT]),
        const("axis", 0),
        node("s", "Sum", "call", "axis", T=FLOAT, Tidx=INT),
        node("y", "AddV2", "s", "r", T=FLOAT),
    ]
    feeds = {"x": ("x:0", FLOAT), "p": ("p:0", BOOL)}
    graph = make.meta_graph(nodes, {"f": make.signature(feeds, {"y": ("y:0", FLOAT)})}, functions=[square])
    folder = tmp_path_factory.mktemp("original")
    return make.write(folder, graph, tensors={"v": np.float32([1, 2])})


def test_the_undamaged_model_answers(original: Path) -> None:
    run = load(original).signatures["f"]
    assert run(x=[[1.0, 2.0]], p=True)["y"].tolist() == [2, 18]


def changed(data: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    made = bytearray(data)
    for place, kind, byte in changes:
        at = place % max(len(made), 1)
        if kind == 0:
            made[at : at + 1] = bytes([byte])
        elif kind == 1:
            made[at:at] = bytes([byte])
        else:
            del made[at : at + byte]
    return bytes(made)


CHANGES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 2), st.integers(0, 255)), min_size=1, max_size=4)


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.index"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(changes=CHANGES)
def test_changed_bytes_are_refused_or_read(original: Path, tmp_path_factory, file: str, changes) -> None:
    folder = tmp_path_factory.mktemp("changed")
    for each in original.rglob("*"):
        if each.is_file():
            target = folder / each.relative_to(original)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(each.read_bytes())
    (folder / file).write_bytes(changed((original / file).read_bytes(), changes))
    with contextlib.suppress(MainstayError):
        unsupported_ops(folder)
    with contextlib.suppress(MainstayError):
        for signature in load(folder).signatures.values():
            _ = signature.program, signature.structured_outputs


def test_a_constant_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    huge = node("c", "Const", dtype=FLOAT, value=np.ones((), np.float32))
    for _ in range(4):
        huge.attr["value"].tensor.tensor_shape.dim.add(size=1 << 20)
    graph = make.meta_graph([X, huge], {"f": make.signature({"x": ("x:0", FLOAT)}, {"c": ("c:0", FLOAT)})})
    with pytest.raises(FormatError, match="too large"):
        load(make.write(tmp_path, graph))


def test_constants_are_not_unfolded_into_the_memory(tmp_path: Path) -> None:
    nodes = [
        X,
        const("shape", np.int32([1 << 15, 1 << 15, 1 << 15])),
        const("one", 1.0),
        node("big", "Fill", "shape", "one", T=FLOAT, index_type=INT),
        node("n", "Shape", "x", T=FLOAT, out_type=INT),
    ]
    graph = make.meta_graph(
        nodes, {"f": make.signature({"x": ("x:0", FLOAT)}, {"n": ("n:0", INT), "b": ("big:0", FLOAT)})}
    )
    signature = load(make.write(tmp_path, graph)).signatures["f"]
    with pytest.raises(MainstayError):
        signature([1.0])


def test_a_graph_of_many_nodes_in_a_row_needs_no_recursion(tmp_path: Path) -> None:
    nodes = [X, *(node(f"n{i}", "Neg", f"n{i - 1}" if i else "x", T=FLOAT) for i in range(3000))]
    graph = make.meta_graph(nodes, {"f": make.signature({"x": ("x:0", FLOAT)}, {"y": ("n2999:0", FLOAT)})})
    assert load(make.write(tmp_path, graph)).signatures["f"](1.5)["y"] == 1.5
