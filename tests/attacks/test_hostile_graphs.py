"""Graphs by an attacker, in SavedModels of TensorFlow: refused before they fill the memory, hang or reach outside."""

import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import handmade_graphs as make
import numpy as np
import pytest
from handmade_graphs import BOOL, FLOAT, INT, LONG, STRING, FunctionAttr, TypeAttr, const, node

from mainstay.core import FormatError, MainstayError, ModelError, message_class
from mainstay.saved_model import load
from mainstay.saved_model.graph_reading import limits

Load = Callable[..., Any]

X = node("x", "Placeholder", dtype=FLOAT)
FEED = {"x": ("x:0", FLOAT)}
BIG = np.array([2**20, 2**14], np.int32)


@pytest.fixture
def model(tmp_path: Path) -> Load:
    """Writes and loads a model whose result is ``y``."""

    def model(nodes: Sequence[Any], *, functions: Sequence[Any] = (), start: str = "", tensors: Any = None) -> Any:
        graph = make.meta_graph(nodes, {"f": make.signature(FEED, {"y": ("y:0", FLOAT)})}, functions=functions)
        if start:
            graph.collection_def["saved_model_main_op"].node_list.value.append(start)
        return load(make.write(tmp_path / "model", graph, tensors=tensors))

    return model


def splat(name: str, shape: Sequence[int], dtype: int = 1, **fields: Any) -> Any:
    """Return a constant whose message says whatever it likes of itself."""
    made = message_class("tensorflow.NodeDef")(name=name, op="Const")
    made.attr["dtype"].type = dtype
    made.attr["value"].tensor.MergeFrom(message_class("tensorflow.TensorProto")(dtype=dtype, **fields))
    for size in shape:
        made.attr["value"].tensor.tensor_shape.dim.add(size=size)
    return made


def shaped(made: Any) -> list[Any]:
    """Return nodes whose result is the shape of the node ``c``, which makes nobody need its values."""
    rest = [node("s", "Shape", "c", T=FLOAT, out_type=INT), node("y", "Cast", "s", SrcT=INT, DstT=FLOAT)]
    return [X, made, *rest]


@pytest.mark.parametrize(
    ("constants", "summary"),
    [
        ([splat("c", [2**20, 2**20], float_val=[1.0])], "too often|too large"),
        ([splat("c", [2**62, 4], float_val=[1.0])], "too large"),
        ([splat("c", [0, 2**62])], "too large"),
        ([splat("c", [1] * 70, float_val=[1.0])], "too large"),
        ([splat("c", [-2], float_val=[1.0])], "negative"),
        ([splat("c", [4], tensor_content=b"123")], "content does not follow"),
        ([splat("c", [1], float_val=[1.0, 2.0])], "more values"),
        ([splat("c", [1], dtype=20)], "no plain values"),
        ([splat("c", [1], dtype=99, float_val=[1.0])], "not known"),
        ([splat(f"{i}" if i else "c", [60_000_000], float_val=[1.0, 2.0]) for i in range(40)], "too often"),
        ([splat(f"{i}" if i else "c", [30_000_000], dtype=7, string_val=[b""]) for i in range(40)], "too often"),
    ],
)
def test_a_constant_that_lies_about_its_size_costs_nothing(model: Load, constants: list[Any], summary: str) -> None:
    tracemalloc.start()
    with pytest.raises(FormatError, match=summary):
        model([*shaped(constants[0]), *constants[1:]])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20


ONE, ZERO, VALUES = const("on", 1.0), const("off", 0.0), const("v", np.ones((1, 1), np.float32))
DIMS, IDS, LARGE = const("d", BIG), const("i", np.zeros(1, np.int32)), const("n", np.int64(2**40))


@pytest.mark.parametrize(
    ("op", "nodes"),
    [
        ("Fill", [node("c", "Fill", "d", "on", T=FLOAT, index_type=INT), DIMS, ONE]),
        ("Range", [node("c", "Range", "off", "k", "on", Tidx=FLOAT), ZERO, ONE, const("k", 1e30)]),
        ("Tile", [node("c", "Tile", "v", "d", T=FLOAT, Tmultiples=INT), DIMS, VALUES]),
        ("BroadcastTo", [node("c", "BroadcastTo", "v", "d", T=FLOAT, Tidx=INT), DIMS, VALUES]),
        ("Pad", [node("c", "Pad", "v", "p", T=FLOAT), VALUES, const("p", np.array([[0, 2**20], [0, 2**20]]))]),
        (
            "OneHot",
            [node("c", "OneHot", "i", "k", "on", "off", T=FLOAT, TI=INT), IDS, ONE, ZERO, const("k", 2**31 - 1)],
        ),
        ("LinSpace", [node("c", "LinSpace", "off", "on", "n", T=FLOAT, Tidx=LONG), ZERO, ONE, LARGE]),
        ("RandomUniform", [node("c", "RandomUniform", "d", T=INT, dtype=FLOAT), DIMS]),
        ("StatelessRandomUniform", [node("c", "StatelessRandomUniform", "d", "d", dtype=FLOAT, T=INT), DIMS]),
        ("Empty", [node("c", "Empty", "d", dtype=FLOAT, init=True), DIMS]),
        (
            "UnsortedSegmentSum",
            [node("c", "UnsortedSegmentSum", "on", "i", "n", T=FLOAT, Tnumsegments=LONG), IDS, LARGE, ONE],
        ),
        (
            "ResizeBilinear",
            [node("c", "ResizeBilinear", "m", "d", T=FLOAT), DIMS, const("m", np.ones((1, 2, 2, 1), np.float32))],
        ),
        ("MatrixDiag", [node("c", "MatrixDiag", "m", T=FLOAT), const("m", np.ones(2**18, np.float32))]),
        (
            "Mul",
            [
                node("c", "Mul", "a", "b", T=FLOAT),
                const("a", np.ones((2**18, 1), np.float32)),
                const("b", np.ones((1, 2**18), np.float32)),
            ],
        ),
    ],
)
def test_an_op_that_asks_for_more_than_there_is_is_refused_by_name(model: Load, op: str, nodes: list[Any]) -> None:
    given = [_with_defaults(each) for each in nodes]
    with pytest.raises(ModelError, match="too large") as failure:
        model([*shaped(given[0]), *given[1:]]).signatures["f"](1.0)
    assert failure.value.where == f"c ({op})"


def _with_defaults(made: Any) -> Any:
    if made.op == "Pad":
        made.attr["T"].type, made.attr["Tpaddings"].type = 1, 9
    if made.op == "UnsortedSegmentSum":
        made.attr["Tindices"].type = 3
    if made.op == "StatelessRandomUniform":
        made.attr["Tseed"].type = 3
    return made


def test_what_is_computed_beforehand_is_bounded_as_a_whole(model: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstay.saved_model.graph_reading.programs._MOST_FOLDED_BYTES", 10_000)
    fills = [node(f"f{i}", "Fill", "d", "on", T=FLOAT, index_type=INT) for i in range(5)]
    joined = node("s", "AddN", *(f"f{i}" for i in range(5)), T=FLOAT, N=5)
    nodes = [X, ONE, const("d", np.array([1000], np.int32)), *fills, joined, node("y", "AddV2", "s", "x", T=FLOAT)]
    signature = model(nodes).signatures["f"]
    assert signature(1.0)["y"].tolist() == [6.0] * 1000
    folded = [value for values in signature.program.constants.values() for value in values]
    assert sum(value.nbytes for value in folded) < 20_000


def endless(condition: bool = True) -> list[Any]:
    """Return the functions of a loop, which ends only if it does not begin."""
    going = make.function(
        "going",
        [const("t", np.bool_(condition)), node("y", "Identity", "t:output:0", T=BOOL)],
        inputs={"i": FLOAT},
        outputs={"y": ("y:output:0", BOOL)},
    )
    turn = make.function("turn", [node("y", "Neg", "i", T=FLOAT)], inputs={"i": FLOAT}, outputs={"y": ("y:y:0", FLOAT)})
    return [going, turn]


def test_a_loop_without_an_end_does_not_keep_a_model_from_being_refused(
    model: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_MOST_STARTING_NODES", 1000)
    loop = node("w", "While", "on", T=[FLOAT], cond=FunctionAttr("going"), body=FunctionAttr("turn"))
    nodes = [X, ONE, loop, node("y", "Neg", "x", T=FLOAT)]
    with pytest.raises(ModelError, match="too much before it answers"):
        model(nodes, functions=endless(), start="w")


def test_a_loop_is_not_computed_beforehand(model: Load) -> None:
    loop = node("w", "While", "on", T=[FLOAT], cond=FunctionAttr("going"), body=FunctionAttr("turn"))
    nodes = [X, ONE, loop, node("y", "Mul", "x", "w", T=FLOAT)]
    assert model(nodes, functions=endless()).signatures["f"].program is not None


def branching(name: str, callee: str, times: int) -> Any:
    """Return a function that calls another in both branches of so many conditionals."""
    attrs = {"then_branch": FunctionAttr(callee), "else_branch": FunctionAttr(callee)}
    chain = ["x", *(f"i{index}:output:0" for index in range(times))]
    nodes = [
        node(f"i{index}", "If", "t:output:0", chain[index], Tcond=BOOL, Tin=[FLOAT], Tout=[FLOAT], **attrs)
        for index in range(times)
    ]
    return make.function(name, [const("t", np.True_), *nodes], inputs={"x": FLOAT}, outputs={"y": (chain[-1], FLOAT)})


@pytest.mark.parametrize(
    ("functions", "summary"),
    [
        ([branching("f", "f", 1)], "calls itself"),
        ([branching("f", "g", 1), branching("g", "f", 1)], "calls itself"),
        (
            [branching("f", "f29", 1), *(branching(f"f{i}", f"f{i - 1}", 2) for i in range(1, 30)), endless()[1]],
            "too many",
        ),
        (
            [branching("f", "f299", 1), *(branching(f"f{i}", f"f{i - 1}", 1) for i in range(1, 300)), endless()[1]],
            "deeply",
        ),
    ],
)
def test_functions_that_call_each_other_by_conditionals_without_an_end(
    model: Load, functions: list[Any], summary: str
) -> None:
    functions[-1].signature.name = functions[-1].signature.name.replace("turn", "f0")
    attrs = {"then_branch": FunctionAttr("f"), "else_branch": FunctionAttr("f")}
    call = node("y", "If", "t", "x", Tcond=BOOL, Tin=[FLOAT], Tout=[FLOAT], **attrs)
    with pytest.raises(FormatError, match=summary):
        model([X, const("t", np.True_), call], functions=functions)


OUTSIDE = [
    node("r", "ReadFile", "t"),
    node("r", "MatchingFiles", "t"),
    node("r", "PyFunc", "t", Tin=[STRING], Tout=[STRING], token=b"token"),
    node("r", "EagerPyFunc", "t", Tin=[STRING], Tout=[STRING], token=b"token"),
    node("r", "WriteFile", "t", "t"),
    node("r", "SaveV2", "t", "t", "t", dtypes=[FLOAT]),
    node("r", "RestoreV2", "t", "t", "t", dtypes=[STRING]),
    node("r", "RemoteCall", "t", f=FunctionAttr("f"), Tin=[STRING], Tout=[STRING]),
    node("r", "IteratorGetNext", "t", output_types=[STRING], output_shapes=[]),
    node("r", "TextLineReaderV2"),
    node("r", "TextLineDataset", "t", "t", "t"),
    node("r", "LoadLibrary", "t"),
]


@pytest.mark.parametrize("made", OUTSIDE, ids=[each.op for each in OUTSIDE])
def test_an_op_that_reaches_out_of_the_graph_is_refused_by_name(model: Load, made: Any) -> None:
    nodes = [X, const("t", b"/etc/passwd"), made, node("y", "Neg", "x", "^r", T=FLOAT)]
    wanted = node("z", "Identity", "r", T=STRING)
    nodes = nodes if made.op in ("WriteFile", "SaveV2") else [*nodes, wanted]
    with pytest.raises(MainstayError, match=made.op):
        model(nodes, functions=[branching("f", "g", 0)], start="r")


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "a/../../secret.txt", "", ".", "a\\b", "missing.txt"])
def test_an_asset_outside_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "model" / "assets").mkdir(parents=True)
    (tmp_path / "model" / "secret.txt").write_bytes(b"secret")
    graph = make.meta_graph([X, const("file", b"")], {"f": make.signature(FEED, {"y": ("x:0", FLOAT)})})
    graph.asset_file_def.add(filename=name).tensor_info.name = "file:0"
    with pytest.raises(FormatError, match="asset"):
        load(make.write(tmp_path / "model", graph))


def test_a_table_reads_no_file_that_is_no_asset(model: Load, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_bytes(b"secret\n")
    table = node("t", "HashTableV2", key_dtype=STRING, value_dtype=LONG)
    fill = node("i", "InitializeTableFromTextFileV2", "t", "p", key_index=-2, value_index=-1)
    with pytest.raises(FormatError, match="does not belong to the model"):
        model(
            [X, table, const("p", str(tmp_path / "secret.txt").encode()), fill, node("y", "Neg", "x", T=FLOAT)],
            start="i",
        )


def test_a_module_inside_of_a_graph_calls_no_foreign_code(model: Load) -> None:
    import jax
    import jax.numpy as jnp
    from jax import export

    def spy(x: Any) -> Any:
        return jax.ffi.ffi_call("run_this", jax.ShapeDtypeStruct((2,), jnp.float32))(x)

    unchecked = [export.DisabledSafetyCheck.custom_call("run_this")]
    spec = jax.ShapeDtypeStruct((2,), jnp.float32)
    hostile = export.export(jax.jit(spy), disabled_checks=unchecked)(spec).mlir_module_serialized
    attrs = {"module": hostile, "Sout": [make.ShapeAttr((2,))], "Tout": [FLOAT], "Tin": [FLOAT], "version": 9}
    nodes = [X, node("y", "XlaCallModule", "x", platforms=[b"CPU"], **attrs)]
    with pytest.raises(MainstayError, match="not run here"):
        model(nodes).signatures["f"]([1.0, 2.0])


@pytest.mark.parametrize(
    "tensors",
    [{"v": np.ones(3, np.float32)}, {"v": np.ones(2, np.int32)}, {"other": np.ones(2, np.float32)}, None],
    ids=["shape", "dtype", "name", "none"],
)
def test_a_variable_that_is_stored_otherwise_is_refused(model: Load, tensors: Any) -> None:
    handle = node("v", "VarHandleOp", dtype=FLOAT, shape=make.ShapeAttr((2,)), shared_name="v")
    nodes = [X, handle, node("r", "ReadVariableOp", "v", dtype=FLOAT), node("y", "AddV2", "x", "r", T=FLOAT)]
    with pytest.raises(MainstayError):
        model(nodes, tensors=tensors).signatures["f"]([1.0, 2.0])


@pytest.mark.parametrize(
    "made",
    [
        node("y", "AddV2", "x", T=FLOAT),
        node("y", "AddV2", "x", "x", "x", T=FLOAT),
        node("y", "AddV2", "x", "s", T=FLOAT),
        node("y", "AddV2", "x", "x", T=STRING),
        node("y", "Cast", "x", SrcT=FLOAT, DstT=TypeAttr("resource")),
    ],
)
def test_an_op_with_other_inputs_than_it_takes_is_refused(model: Load, made: Any) -> None:
    with pytest.raises(MainstayError):
        model([X, const("s", b"text"), made]).signatures["f"]([1.0, 2.0])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 64,
        b"\x12",
        b"\x12\xff\xff\xff\xff\x0f",
        b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x12\x00" * 2,
    ],
)
def test_a_file_that_is_no_saved_model_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "saved_model.pb").write_bytes(data)
    with pytest.raises(MainstayError):
        load(tmp_path)
