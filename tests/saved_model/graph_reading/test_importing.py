"""Importing: the artifact answers as the model that it was made from, in every size, and what cannot be is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import handmade_graphs as make
import numpy as np
import pytest
from handmade_graphs import FLOAT, INT, LONG, STRING, FunctionAttr, ShapeAttr, const, node
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import FormatError, ModelError, message_class
from mainstay.io import encode_png
from mainstay.saved_model import LoadedModel, import_model, load
from mainstay.saved_model.graph_reading.graph_text import INITIALISE, STAGE
from mainstay.saved_model.graph_reading.host_stage import HostStage
from mainstay.saved_model.graphs.attributes import TypeAttr

X = node("x", "Placeholder", dtype=FLOAT)
WORDS = node("words", "Placeholder", dtype=STRING)
WEIGHT = np.float32([[1, -2], [0.5, 3], [2, 2]])
BYTE = TypeAttr(np.dtype(np.uint8))
VARIABLE = [
    node("w", "VarHandleOp", dtype=FLOAT, shape=ShapeAttr((3, 2)), shared_name=b"w"),
    node("weight", "ReadVariableOp", "w", dtype=FLOAT),
]


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., tuple[Any, LoadedModel]]:
    """Makes a model of one signature and imports it; returns it and the artifact."""

    def imported(nodes, inputs, outputs, *, shapes=None, golden=None, functions=(), init=None) -> Any:
        signature = make.signature(inputs, outputs)
        for name, shape in (shapes or {}).items():
            signature.inputs[name].tensor_shape.Clear()
            make.write_shape(signature.inputs[name].tensor_shape, shape)
        graph = make.meta_graph(nodes, {"f": signature}, functions=functions)
        if init is not None:
            graph.collection_def["saved_model_main_op"].node_list.value.append(init)
        path = make.write(tmp_path / "foreign", graph, tensors={"w": WEIGHT})
        import_model(path, tmp_path / "artifact", golden=golden)
        native = load(tmp_path / "artifact")
        assert isinstance(native, LoadedModel)
        return load(path).signatures["f"], native.signatures["f"]

    return imported


def test_a_program_answers_any_batch(imported) -> None:
    nodes = [X, *VARIABLE, node("y", "MatMul", "x", "weight", T=FLOAT)]
    foreign, native = imported(nodes, {"x": ("x:0", FLOAT)}, {"y": ("y:0", FLOAT)}, shapes={"x": (None, 3)})
    assert native.rows
    for rows in (1, 2, 9):
        x = np.random.default_rng(rows).normal(size=(rows, 3)).astype(np.float32)
        assert np.allclose(native({"x": x})["y"], foreign({"x": x})["y"], rtol=1e-5)


def test_rows_that_depend_on_each_other_are_no_rows(imported) -> None:
    nodes = [
        X,
        const("axis", 0),
        node("mean", "Mean", "x", "axis", T=FLOAT, Tidx=INT, keep_dims=True),
        node("y", "Sub", "x", "mean", T=FLOAT),
    ]
    foreign, native = imported(nodes, {"x": ("x:0", FLOAT)}, {"y": ("y:0", FLOAT)}, shapes={"x": (None, 3)})
    assert not native.rows
    for rows in (1, 5):
        x = np.random.default_rng(rows).normal(size=(rows, 3)).astype(np.float32)
        assert np.allclose(native({"x": x})["y"], foreign({"x": x})["y"], atol=1e-6)


def test_a_signature_that_parses_examples_is_tried_with_examples(imported) -> None:
    nodes = [
        node("examples", "Placeholder", dtype=STRING),
        node("same", "Identity", "examples", T=STRING),
        const("names", np.array([], object)),
        const("sparse", np.array(b"tags", object)),
        const("dense", np.array(b"x", object)),
        const("none", np.float32([])),
        node(
            "parsed",
            "ParseExample",
            *("same", "names", "sparse", "dense", "none"),
            Nsparse=1,
            Ndense=1,
            sparse_types=[STRING],
            Tdense=[FLOAT],
            dense_shapes=[ShapeAttr((2,))],
        ),
        const("two", np.float32(2)),
        node("y", "Mul", "parsed:3", "two", T=FLOAT),
    ]
    foreign, native = imported(
        nodes, {"examples": ("examples:0", STRING)}, {"y": ("y:0", FLOAT)}, shapes={"examples": (None,)}
    )
    example = message_class("tensorflow.Example")()
    example.features.feature["x"].float_list.value.extend([1.5, -3.0])
    texts = np.array([example.SerializeToString()] * 4, object)
    assert native({"examples": texts})["y"].tolist() == foreign({"examples": texts})["y"].tolist() == [[3.0, -6.0]] * 4
    assert all(len(text) > 20 for text in native.example(2)[0].values)


def test_features_of_any_length_that_are_padded_to_the_longest_are_no_rows(imported) -> None:
    nodes = [
        node("examples", "Placeholder", dtype=STRING),
        const("names", np.array([], object)),
        const("sparse", np.array(b"x", object)),
        node(
            "parsed",
            "ParseExample",
            *("examples", "names", "sparse"),
            Nsparse=1,
            Ndense=0,
            sparse_types=[FLOAT],
            Tdense=[],
            dense_shapes=[],
        ),
        const("zero", np.float32(0)),
        node("y", "SparseToDense", *("parsed:0", "parsed:2", "parsed:1", "zero"), T=FLOAT, Tindices=LONG),
    ]
    foreign, native = imported(
        nodes, {"examples": ("examples:0", STRING)}, {"y": ("y:0", FLOAT)}, shapes={"examples": (None,)}
    )
    assert not native.rows
    assert not foreign.rows


def test_a_signature_that_decodes_pictures_is_tried_with_pictures(imported) -> None:
    nodes = [
        node("picture", "Placeholder", dtype=STRING),
        node("pixels", "DecodePng", "picture", channels=3, dtype=BYTE),
        node("numbers", "Cast", "pixels", SrcT=BYTE, DstT=FLOAT),
        const("axes", np.int32([0, 1])),
        node("y", "Mean", "numbers", "axes", T=FLOAT, Tidx=INT),
    ]
    foreign, native = imported(nodes, {"picture": ("picture:0", STRING)}, {"y": ("y:0", FLOAT)}, shapes={"picture": ()})
    picture = encode_png(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    want = np.arange(48).reshape(16, 3).mean(0)
    np.testing.assert_allclose(foreign({"picture": picture})["y"], want)
    np.testing.assert_allclose(native({"picture": picture})["y"], want)


def test_linear_algebra_is_the_hosts(imported) -> None:
    nodes = [
        X,
        const("two", np.float32(2)),
        node("twice", "Mul", "x", "two", T=FLOAT),
        node("inverse", "MatrixInverse", "twice", T=FLOAT, adjoint=False),
        node("y", "Mul", "inverse", "two", T=FLOAT),
    ]
    foreign, native = imported(nodes, {"x": ("x:0", FLOAT)}, {"y": ("y:0", FLOAT)}, shapes={"x": (None, 2, 2)})
    x = np.float32([[[2, 0], [0, 4]], [[1, 1], [0, 1]], [[0, 1], [1, 0]]])
    np.testing.assert_allclose(native({"x": x})["y"], np.linalg.inv(x), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(foreign({"x": x})["y"], np.linalg.inv(x), rtol=1e-6, atol=1e-6)


def tables() -> list[Any]:
    """Words to rows of a matrix, and the sign of what that gives to a word."""
    nodes = [
        WORDS,
        *VARIABLE,
        node("table", "HashTableV2", key_dtype=STRING, value_dtype=LONG, shared_name=b"in"),
        node("labels", "HashTableV2", key_dtype=LONG, value_dtype=STRING, shared_name=b"out"),
        const("keys", np.array([b"a", "ü".encode()], object)),
        const("ids", np.int64([2, 1])),
        const("numbers", np.int64([-1, 1])),
        const("names", np.array([b"less", b"\xff more"], object)),
        node("fill", "LookupTableImportV2", "table", "keys", "ids", Tin=STRING, Tout=LONG),
        node("fill_labels", "LookupTableImportV2", "labels", "numbers", "names", Tin=LONG, Tout=STRING),
        node("init", "NoOp", "^fill", "^fill_labels"),
        const("missing", np.int64(0)),
        const("axis", 0),
        const("last", 1),
        const("nothing", np.array(b"none", object)),
    ]
    find = node("id", "LookupTableFindV2", "table", "words", "missing", Tin=STRING, Tout=LONG)
    return [
        *nodes,
        find,
        node("row", "GatherV2", "weight", "id", "axis", Tparams=FLOAT, Tindices=LONG, Taxis=INT),
        node("sum", "Sum", "row", "last", T=FLOAT, Tidx=INT),
        node("sign", "Sign", "sum", T=FLOAT),
        node("number", "Cast", "sign", SrcT=FLOAT, DstT=LONG),
        node("label", "LookupTableFindV2", "labels", "number", "nothing", Tin=LONG, Tout=STRING),
    ]


def test_strings_and_tables_become_host_stages(imported) -> None:
    outputs = {"sum": ("sum:0", FLOAT), "label": ("label:0", STRING), "id": ("id:0", LONG)}
    foreign, native = imported(
        tables(),
        {"words": ("words:0", STRING)},
        outputs,
        shapes={"words": (None,)},
        golden={"words": np.array(["a", "?", "ü"], object)},
        init="init",
    )
    assert native.rows
    for words in (["ü", "a", "nobody"], ["a"]):
        have, want = native({"words": words}), foreign({"words": words})
        assert np.allclose(have["sum"], want["sum"])
        assert have["id"].tolist() == want["id"].tolist()
        assert have["label"].tolist() == [text.decode("utf-8", "surrogateescape") for text in want["label"]]


@pytest.mark.parametrize(("other", "independent"), [("all", False), ("words", True)])
def test_strings_of_other_rows_in_an_answer_are_seen(imported, other, independent) -> None:
    nodes = [
        node("words", "Placeholder", dtype=STRING),
        const("first", 0),
        node("all", "ReduceJoin", "words", "first", keep_dims=False, separator=b" "),
        node("y", "StringJoin", "words", other, N=2, separator=b"/"),
    ]
    foreign, native = imported(nodes, {"words": ("words:0", STRING)}, {"y": ("y:0", STRING)}, shapes={"words": (None,)})
    assert (foreign.rows, native.rows) == (independent, independent)
    want = [b"a/a", b"b/b", b"c/c"] if independent else [b"a/a b c", b"b/a b c", b"c/a b c"]
    assert foreign.run(foreign.columns({"words": ["a", "b", "c"]}))["y"].tolist() == want


def test_strings_that_must_be_numbers_need_no_golden_requests(imported) -> None:
    nodes = [node("words", "Placeholder", dtype=STRING), node("y", "StringToNumber", "words", out_type=LONG)]
    _, native = imported(nodes, {"words": ("words:0", STRING)}, {"y": ("y:0", LONG)}, shapes={"words": (None,)})
    assert native.rows
    assert native({"words": ["12", "7"]})["y"].tolist() == [12, 7]


def test_shapes_that_depend_on_values_are_the_hosts(imported) -> None:
    nodes = [
        node("n", "Placeholder", dtype=INT),
        const("zero", 0),
        const("one", 1),
        node("range", "Range", "zero", "n", "one", Tidx=INT),
        node("f", "Cast", "range", SrcT=INT, DstT=FLOAT),
        node("y", "Square", "f", T=FLOAT),
    ]
    foreign, native = imported(
        nodes, {"n": ("n:0", INT)}, {"y": ("y:0", FLOAT)}, shapes={"n": ()}, golden={"n": np.int32(3)}
    )
    for n in (1, 6):
        assert native({"n": np.int32(n)})["y"].tolist() == foreign({"n": np.int32(n)})["y"].tolist()


def test_functions_that_a_host_stage_calls_are_stored(imported) -> None:
    kinds = {"i": INT, "s": STRING}
    less = [const("two", 2), node("y", "Less", "i", "two:output:0", T=INT)]
    condition = make.function("condition", less, inputs=kinds, outputs={"y": ("y:z:0", make.BOOL)})
    step = [
        const("one", 1),
        const("axis", 1),
        node("next", "AddV2", "i", "one:output:0", T=INT),
        node("y", "ConcatV2", "s", "s", "axis:output:0", T=STRING, N=2, Tidx=INT),
    ]
    outputs = {"i_out": ("next:z:0", INT), "s_out": ("y:output:0", STRING)}
    body = make.function("body", step, inputs=kinds, outputs=outputs)
    attrs = {"cond": FunctionAttr("condition"), "body": FunctionAttr("body"), "T": [INT, STRING]}
    foreign, native = imported(
        [WORDS, const("zero", 0), node("z", "While", "zero", "words", **attrs)],
        {"words": ("words:0", STRING)},
        {"z": ("z:1", STRING), "turns": ("z:0", INT)},
        shapes={"words": (None, 1)},
        golden={"words": np.array([["a"], ["b"]], object)},
        functions=[condition, body],
    )
    assert native({"words": [["é"]]})["z"].tolist() == [["é"] * 4]
    assert foreign({"words": [["é"]]})["turns"] == 2


def test_outputs_may_be_constants_and_inputs(imported) -> None:
    nodes = [X, const("c", np.float32([7, 8])), node("y", "Neg", "x", T=FLOAT)]
    outputs = {"y": ("y:0", FLOAT), "same": ("y:0", FLOAT), "c": ("c:0", FLOAT), "given": ("x:0", FLOAT)}
    _, native = imported(nodes, {"x": ("x:0", FLOAT)}, outputs, shapes={"x": (None,)})
    answer = native({"x": np.float32([1, 2, 3])})
    assert {name: value.tolist() for name, value in answer.items()} == {
        "y": [-1, -2, -3],
        "same": [-1, -2, -3],
        "c": [7, 8],
        "given": [1, 2, 3],
    }


def test_a_signature_that_writes_is_told(imported) -> None:
    nodes = [
        X,
        node("v", "VariableV2", dtype=FLOAT, shape=ShapeAttr(())),
        node("y", "Assign", "v", "x", T=FLOAT),
    ]
    with pytest.raises(ModelError, match="changes a variable"):
        imported(nodes, {"x": ("x:0", FLOAT)}, {"y": ("y:0", FLOAT)}, shapes={"x": ()})


def test_an_output_with_the_name_of_an_input_is_told(imported) -> None:
    nodes = [X, node("y", "Neg", "x", T=FLOAT)]
    with pytest.raises(ModelError, match="name of an input"):
        imported(nodes, {"x": ("x:0", FLOAT)}, {"x": ("y:0", FLOAT)}, shapes={"x": (None,)})


def stage(*functions: Any) -> bytes:
    library = message_class("tensorflow.FunctionDefLibrary")()
    library.function.extend(functions)
    return library.SerializeToString()


def test_a_stage_runs_what_is_stored() -> None:
    nothing = make.function(INITIALISE, [], inputs={}, outputs={})
    runs = make.function(
        STAGE, [node("y", "Identity", "x", T=STRING)], inputs={"x": STRING}, outputs={"y": ("y:output:0", STRING)}
    )
    assert HostStage(stage(nothing, runs), {}).run({"x": ["a", "\udcff"]})["y"].tolist() == ["a", "\udcff"]
    mystery = make.function(STAGE, [node("y", "Mystery")], inputs={}, outputs={"y": ("y:y:0", STRING)})
    for content in (stage(), stage(nothing), stage(runs, runs), stage(nothing, mystery), b"\xff"):
        with pytest.raises(FormatError):
            HostStage(content, {})


@given(st.binary(max_size=80))
def test_no_bytes_are_a_stage_by_chance(content: bytes) -> None:
    with pytest.raises(FormatError):
        HostStage(content, {})


def test_a_loop_over_any_batch_is_one_program(imported) -> None:
    kinds = {"i": INT, "n": INT, "x": FLOAT}
    condition = make.function(
        "condition", [node("y", "Less", "i", "n", T=INT)], inputs=kinds, outputs={"y": ("y:z:0", make.BOOL)}
    )
    step = [
        const("one", 1),
        const("times", np.int32([2, 1])),
        const("axis", 0),
        node("next", "AddV2", "i", "one:output:0", T=INT),
        node("twice", "Tile", "x", "times:output:0", T=FLOAT, Tmultiples=INT),
        node("parts", "Split", "axis:output:0", "twice:output:0", T=FLOAT, num_split=2),
        node("y", "AddV2", "parts:output:0", "parts:output:1", T=FLOAT),
    ]
    outputs = {"i_out": ("next:z:0", INT), "n_out": ("n", INT), "x_out": ("y:z:0", FLOAT)}
    body = make.function("body", step, inputs=kinds, outputs=outputs)
    attrs = {"cond": FunctionAttr("condition"), "body": FunctionAttr("body"), "T": list(kinds.values())}
    nodes = [X, node("n", "Placeholder", dtype=INT), const("zero", 0), node("z", "While", "zero", "n", "x", **attrs)]
    _, native = imported(
        nodes,
        {"x": ("x:0", FLOAT), "n": ("n:0", INT)},
        {"y": ("z:2", FLOAT)},
        shapes={"x": (None, 3), "n": ()},
        functions=[condition, body],
    )
    assert not any(isinstance(step, HostStage) for step in native._steps)
    for rows in (1, 4):
        answer = native({"x": np.ones((rows, 3), np.float32), "n": np.int32(3)})
        assert answer["y"].tolist() == [[8.0] * 3] * rows
