"""Small SavedModels that hold a bit of everything which is read of a stranger's model: what fuzzing starts from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import golden_artifact
import handmade_graphs as make
import numpy as np
from handmade_graphs import BOOL, FLOAT, INT, LONG, STRING, FunctionAttr, const, node

from mainstay.core import TensorSpec, message_class
from mainstay.saved_model import ServingFunction, save

X = node("x", "Placeholder", dtype=FLOAT)
FEED = {"x": ("x:0", FLOAT)}


def numbers(folder: Path) -> Path:
    """Write a model with variables, a call, a conditional, a loop and a list."""
    square = make.function(
        "square", [node("y", "Square", "x", T=FLOAT)], inputs={"x": FLOAT}, outputs={"y": ("y:y:0", FLOAT)}
    )
    negative = make.function(
        "negative", [node("y", "Neg", "x", T=FLOAT)], inputs={"x": FLOAT}, outputs={"y": ("y:y:0", FLOAT)}
    )
    going = make.function(
        "going",
        [const("most", 3), node("y", "Less", "i", "most:output:0", T=INT)],
        inputs={"i": INT, "x": FLOAT},
        outputs={"y": ("y:z:0", BOOL)},
    )
    turn = make.function(
        "turn",
        [
            const("one", 1),
            node("next", "AddV2", "i", "one:output:0", T=INT),
            node("call", "PartitionedCall", "x", f=FunctionAttr("square"), Tin=[FLOAT], Tout=[FLOAT]),
        ],
        inputs={"i": INT, "x": FLOAT},
        outputs={"i": ("next:z:0", INT), "x": ("call:output:0", FLOAT)},
    )
    branches = {"then_branch": FunctionAttr("square"), "else_branch": FunctionAttr("negative")}
    nodes = [
        X,
        node("w", "VarHandleOp", dtype=FLOAT, shape=make_shape((2,)), shared_name="w"),
        node("read", "ReadVariableOp", "w", dtype=FLOAT),
        node("scaled", "Mul", "x", "read", T=FLOAT),
        const("dims", [2, 1]),
        const("value", 0.5),
        node("fill", "Fill", "dims", "value", T=FLOAT, index_type=INT),
        node("product", "MatMul", "scaled", "fill", T=FLOAT, transpose_a=False, transpose_b=False),
        const("repeats", [1, 2]),
        node("tile", "Tile", "product", "repeats", T=FLOAT, Tmultiples=INT),
        const("truth", np.True_),
        node("if", "If", "truth", "tile", Tcond=BOOL, Tin=[FLOAT], Tout=[FLOAT], **branches),
        const("zero", 0),
        node("while", "While", "zero", "if", T=[INT, FLOAT], cond=FunctionAttr("going"), body=FunctionAttr("turn")),
    ]
    graph = make.meta_graph(
        nodes, {"f": make.signature(FEED, {"y": ("while:1", FLOAT)})}, functions=[square, negative, going, turn]
    )
    return make.write(folder, graph, tensors={"w": np.array([2.0, 3.0], np.float32)})


def make_shape(shape: tuple[int, ...]) -> Any:
    """Return a shape as an attribute."""
    from mainstay.saved_model.graphs.attributes import ShapeAttr

    return ShapeAttr(shape)


def texts(folder: Path) -> Path:
    """Write a model with a table from an asset, a table from constants, and strings."""
    table = {"key_dtype": STRING, "value_dtype": LONG}
    text = {"key_index": -2, "value_index": -1, "vocab_size": 3, "delimiter": "\t"}
    nodes = [
        node("x", "Placeholder", dtype=STRING),
        node("table", "HashTableV2", shared_name="table", **table),
        node("other", "HashTableV2", shared_name="other", **table),
        const("file", b"elsewhere/words.txt"),
        node("fill", "InitializeTableFromTextFileV2", "table", "file", **text),
        const("keys", np.array([b"a", b"b"], object)),
        const("values", np.array([5, 6])),
        node("fill_other", "InitializeTableV2", "other", "keys", "values", Tkey=STRING, Tval=LONG),
        node("init", "NoOp", "^fill", "^fill_other"),
        const("default", np.int64(-1)),
        node("lower", "StringLower", "x", encoding=""),
        node("found", "LookupTableFindV2", "table", "lower", "default", Tin=STRING, Tout=LONG),
        node("further", "LookupTableFindV2", "other", "lower", "default", Tin=STRING, Tout=LONG),
        node("sum", "AddV2", "found", "further", T=LONG),
        const("pattern", b"[aeiou]+"),
        const("rewrite", b"-"),
        node("replaced", "RegexReplace", "x", "pattern", "rewrite", replace_global=True),
    ]
    feed = {"x": ("x:0", STRING)}
    outputs = {"ids": ("sum:0", LONG), "texts": ("replaced:0", STRING)}
    graph = make.meta_graph(nodes, {"f": make.signature(feed, outputs)})
    asset = graph.asset_file_def.add(filename="words.txt")
    asset.tensor_info.name = "file:0"
    graph.collection_def["saved_model_main_op"].node_list.value.append("init")
    (folder / "assets").mkdir(parents=True)
    (folder / "assets" / "words.txt").write_bytes(b"one\ntwo\nthree\n")
    return make.write(folder, graph)


def loops(folder: Path) -> Path:
    """Write a model with a loop and a conditional of TensorFlow 1."""
    nodes = [
        X,
        const("zero", 0),
        node("enter", "Enter", "zero", T=INT, frame_name="loop", is_constant=False, parallel_iterations=10),
        node("enter_x", "Enter", "x", T=FLOAT, frame_name="loop", is_constant=False, parallel_iterations=10),
        node("merge", "Merge", "enter", "next", T=INT, N=2),
        node("merge_x", "Merge", "enter_x", "next_x", T=FLOAT, N=2),
        const("most", 4, "^merge"),
        node("less", "Less", "merge", "most", T=INT),
        node("cond", "LoopCond", "less"),
        node("switch", "Switch", "merge", "cond", T=INT),
        node("switch_x", "Switch", "merge_x", "cond", T=FLOAT),
        node("identity", "Identity", "switch:1", T=INT),
        const("one", 1, "^identity"),
        node("add", "AddV2", "identity", "one", T=INT),
        node("double", "AddV2", "switch_x:1", "switch_x:1", T=FLOAT),
        node("next", "NextIteration", "add", T=INT),
        node("next_x", "NextIteration", "double", T=FLOAT),
        node("exit_x", "Exit", "switch_x", T=FLOAT),
        const("p", np.True_),
        node("branch", "Switch", "exit_x", "p", T=FLOAT),
        node("left", "Neg", "branch", T=FLOAT),
        node("right", "Square", "branch:1", T=FLOAT),
        node("joined", "Merge", "left", "right", T=FLOAT, N=2),
    ]
    graph = make.meta_graph(nodes, {"f": make.signature(FEED, {"y": ("joined:0", FLOAT)})})
    return make.write(folder, graph)


def restored(folder: Path) -> Path:
    """Write a model whose variables are found by the graph that restores it, with TensorFlow 1's handles."""
    attrs = {"dtype": FLOAT, "shape": make_shape((2,)), "container": "", "shared_name": ""}
    nodes = [
        X,
        node("v", "VariableV2", **attrs),
        node("v/read", "Identity", "v", T=FLOAT),
        node("y", "Mul", "x", "v/read", T=FLOAT),
        const("save/Const", b"checkpoint"),
        const("save/names", np.array([b"stored"], object)),
        const("save/slices", np.array([b""], object)),
        node("save/restore", "RestoreV2", "save/Const", "save/names", "save/slices", dtypes=[FLOAT]),
        node("save/assign", "Assign", "v", "save/restore", T=FLOAT, validate_shape=True, use_locking=True),
        node("save/all", "NoOp", "^save/assign"),
    ]
    graph = make.meta_graph(nodes, {"f": make.signature(FEED, {"y": ("y:0", FLOAT)})})
    graph.saver_def.restore_op_name = "save/all"
    graph.saver_def.filename_tensor_name = "save/Const:0"
    return make.write(folder, graph, tensors={"stored": np.array([2.0, 3.0], np.float32)})


def _stranger(folder: Path, functions: Any, **options: Any) -> Path:
    """Write a model of Mainstay, and take away what makes it more than a SavedModel of TensorFlow."""
    save(functions, folder, **options)
    shutil.rmtree(folder / "assets.extra")
    model = read_model(folder)
    for graph in model.meta_graphs:
        graph.signature_def.pop("serving_examples", None)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString(deterministic=True))
    return folder


def objects(folder: Path) -> Path:
    """Write a model with an object graph, tables and signatures, as the writer of Mainstay makes it."""
    return _stranger(folder, golden_artifact.functions(), golden=golden_artifact.rows())


def module(folder: Path) -> Path:
    """Write a model with StableHLO inside of its graph."""
    spec = TensorSpec([None, 2], "float32", "x")
    function = ServingFunction(lambda w, x: {"y": x["x"] * w["w"]}, (spec,), {"w": np.array(2, np.float32)})
    return _stranger(folder, function, tensorflow="xla")


FOREIGN: Mapping[str, Callable[[Path], Path]] = {
    "loops": loops,
    "module": module,
    "numbers": numbers,
    "objects": objects,
    "restored": restored,
    "texts": texts,
}
"""Writers of SavedModels as TensorFlow makes them, by name."""


def read_model(folder: Path) -> Any:
    """Return the `SavedModel` message of a folder."""
    return message_class("tensorflow.SavedModel").FromString((folder / "saved_model.pb").read_bytes())


def host_stage() -> Any:
    """Return the `FunctionDefLibrary` of a host stage with a table."""
    library = message_class("tensorflow.FunctionDefLibrary")()
    table = {"key_dtype": STRING, "value_dtype": LONG, "shared_name": "t", "use_node_name_sharing": False}
    fill = [
        node("t", "HashTableV2", **table),
        const("keys", np.array([b"a", b"b"], object)),
        const("values", np.array([5, 6])),
        node(
            "fill", "InitializeTableV2", "t:table_handle:0", "keys:output:0", "values:output:0", Tkey=STRING, Tval=LONG
        ),
    ]
    look = [
        node("t", "HashTableV2", **table),
        const("default", np.int64(-1)),
        node("found", "LookupTableFindV2", "t:table_handle:0", "x", "default:output:0", Tin=STRING, Tout=LONG),
    ]
    library.function.add().CopyFrom(make.function("initialise", fill, inputs={}, outputs={}, control=["fill"]))
    library.function.add().CopyFrom(
        make.function("stage", look, inputs={"x": STRING}, outputs={"y": ("found:values:0", LONG)})
    )
    return library
