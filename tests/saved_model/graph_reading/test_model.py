"""Models whole: variables of both TensorFlows, tables, assets, tags, objects, and what callers hand in."""

from pathlib import Path
from typing import Any

import handmade_graphs as make
import numpy as np
import pytest
from handmade_graphs import BOOL, FLOAT, LONG, RESOURCE, STRING, const, node

from mainstay.core import ArgumentError, FormatError, ModelError, RequestError, message_class
from mainstay.hostops import Column
from mainstay.saved_model import load

X = node("x", "Placeholder", dtype=FLOAT)
FEED = {"x": ("x:0", FLOAT)}
GIVE = {"y": ("y:0", FLOAT)}


def reference(name: str = "v") -> list[Any]:
    """A variable of TensorFlow 1, and ``y = x + v``."""
    shape = make.ShapeAttr((2,))
    return [X, node(name, "VariableV2", dtype=FLOAT, shape=shape), node("y", "AddV2", "x", name, T=FLOAT)]


def restoring(variable: str, key: str, part: str = "", op: str = "Assign") -> list[Any]:
    names, parts = np.array([key.encode()], object), np.array([part.encode()], object)
    attrs = {"dtype": FLOAT} if op == "AssignVariableOp" else {"T": FLOAT}
    return [
        const("file", b"somewhere"),
        const("names", names),
        const("parts", parts),
        node("restore", "RestoreV2", "file", "names", "parts", dtypes=[FLOAT]),
        node("set", op, variable, "restore", **attrs),
        node("restore_all", "NoOp", "^set"),
    ]


def restored(graph: Any) -> Any:
    graph.saver_def.restore_op_name = "restore_all"
    return graph


def test_a_variable_of_tensorflow_1_is_what_the_graph_restores(tmp_path: Path) -> None:
    stored = {"other name": np.float32([[1, 2, 3], [4, 5, 6]])}
    nodes = [*reference(), *restoring("v", "other name", "2 3 1,1:1,2")]
    graph = restored(make.meta_graph(nodes, {"f": make.signature(FEED, GIVE)}))
    model = load(make.write(tmp_path, graph, tensors=stored))
    assert model.signatures["f"]([10.0, 20.0])["y"].tolist() == [[15, 26]]


def test_a_variable_that_is_an_output_is_read(tmp_path: Path) -> None:
    graph = make.meta_graph(reference(), {"f": make.signature({}, {"v": ("v:0", FLOAT)})})
    assert load(make.write(tmp_path, graph, tensors={"v": np.float32([3, 4])})).signatures["f"]()["v"].tolist() == [
        3,
        4,
    ]


def test_a_variable_without_a_value_is_told(tmp_path: Path) -> None:
    graph = make.meta_graph(reference(), {"f": make.signature(FEED, GIVE)})
    signature = load(make.write(tmp_path, graph)).signatures["f"]
    with pytest.raises(ModelError, match="has no value"):
        signature([1.0, 2.0])


def test_an_initialiser_gives_values_and_fills_tables(tmp_path: Path) -> None:
    table = {"key_dtype": STRING, "value_dtype": LONG, "shared_name": "t"}
    nodes = [
        *reference(),
        node("set", "Assign", "v", "start", T=FLOAT),
        const("start", np.float32([5, 6])),
        node("table", "HashTableV2", **table),
        node("same table", "HashTableV2", **table),
        const("keys", np.array([b"a", b"\xff"], object)),
        const("values", np.int64([7, 8])),
        node("fill", "LookupTableImportV2", "table", "keys", "values", Tin=STRING, Tout=LONG),
        node("init", "NoOp", "^fill", "^set"),
        node("words", "Placeholder", dtype=STRING),
        const("missing", np.int64(-1)),
        node("ids", "LookupTableFindV2", "same table", "words", "missing", Tin=STRING, Tout=LONG),
    ]
    signatures = {
        "f": make.signature(FEED, GIVE),
        "look_up": make.signature({"words": ("words:0", STRING)}, {"ids": ("ids:0", LONG)}),
    }
    graph = make.meta_graph(nodes, signatures)
    graph.collection_def["saved_model_main_op"].node_list.value.append("init")
    model = load(make.write(tmp_path, graph))
    assert model.signatures["f"]([1.0, 1.0])["y"].tolist() == [6, 7]
    look_up = model.signatures["look_up"]
    assert look_up(["a", "b"])["ids"].tolist() == [7, -1]
    assert look_up(np.array([[b"\xff"]], object))["ids"].tolist() == [[8]]
    assert look_up(Column(np.array(["\udcff"], object)))["ids"].tolist() == [8]


def asset_model(tmp_path: Path, name: str) -> Path:
    nodes = [
        node("table", "HashTableV2", key_dtype=STRING, value_dtype=LONG),
        const("path", b"/etc/passwd"),
        node("fill", "InitializeTableFromTextFileV2", "table", "path", key_index=-2, value_index=-1),
        node("init", "NoOp", "^fill"),
        node("words", "Placeholder", dtype=STRING),
        const("missing", np.int64(-1)),
        node("ids", "LookupTableFindV2", "table", "words", "missing", Tin=STRING, Tout=LONG),
    ]
    graph = make.meta_graph(nodes, {"f": make.signature({"words": ("words:0", STRING)}, {"ids": ("ids:0", LONG)})})
    graph.collection_def["legacy_init_op"].node_list.value.append("init")
    if name:
        asset = graph.asset_file_def.add(filename=name)
        asset.tensor_info.name = "path:0"
    (tmp_path / "assets" / "in").mkdir(parents=True)
    (tmp_path / "assets" / "in" / "words.txt").write_bytes("pear\nplüm\n".encode())
    (tmp_path / "secret.txt").write_text("secret\n")
    return make.write(tmp_path, graph)


def test_a_table_is_filled_from_an_asset(tmp_path: Path) -> None:
    model = load(asset_model(tmp_path, "in/words.txt"))
    assert model.signatures["f"](["plüm", "x"])["ids"].tolist() == [1, -1]
    assert [path.name for path in model.assets.values()] == ["words.txt"]


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "in/../../secret.txt", "none.txt", "in", ".", "a\\b"])
def test_an_asset_outside_of_the_model_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError, match="asset"):
        load(asset_model(tmp_path, name))


def test_a_link_out_of_the_model_is_no_asset(tmp_path: Path) -> None:
    path = asset_model(tmp_path, "link.txt")
    (path / "assets" / "link.txt").symlink_to(path / "secret.txt")
    with pytest.raises(FormatError, match="asset"):
        load(path)


def test_a_table_reads_no_file_that_is_no_asset(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="does not belong"):
        load(asset_model(tmp_path, ""))


def test_tags_choose_the_graph(tmp_path: Path) -> None:
    graphs = [
        make.meta_graph([X, node("y", op, "x", T=FLOAT)], {"f": make.signature(FEED, GIVE)}, tags=tags)
        for op, tags in (("Neg", ["serve"]), ("Abs", ["serve", "gpu"]), ("Square", []))
    ]
    path = make.write(tmp_path, *graphs)
    for tags, answer in ((None, 2), ("serve", 2), (["gpu", "serve"], 2), ((), 4)):
        assert load(path, tags=tags).signatures["f"](-2.0)["y"] == answer
    with pytest.raises(ArgumentError, match="these tags") as caught:
        load(path, tags="train")
    assert "gpu, serve" in caught.value.expected


@pytest.mark.parametrize("content", [b"", b"no protobuf", b"\x08\x02"])
def test_a_file_that_is_no_savedmodel_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(FormatError):
        load(tmp_path)


def both(loaded: Any) -> Any:
    nodes = [X, node("n", "Placeholder", dtype=LONG), node("f", "Cast", "n", SrcT=LONG, DstT=FLOAT)]
    nodes.append(node("y", "AddV2", "x", "f", T=FLOAT))
    return loaded(nodes, {**FEED, "n": ("n:0", LONG)}, GIVE)


def test_requests_come_in_every_form(loaded) -> None:
    run = both(loaded)
    for answer in (run(x=[1, 2], n=2**40), run({"x": np.float64([1, 2]), "n": np.int64(2**40)})):
        assert answer["y"].dtype == np.float32
        assert answer["y"].tolist() == [2**40, 2**40]
    columns = run.columns({"x": [1.5], "n": [2]})
    assert run.run(columns)["y"].tolist() == [3.5]
    assert [item.spec.name for item in run.inputs] == ["n", "x"]


@pytest.mark.parametrize(
    ("inputs", "where", "summary"),
    [
        ({"x": [1.0]}, "$.n", "not there"),
        ({"x": ["a"], "n": 1}, "$.x", "wrong dtype"),
        ({"x": [1.0], "n": 1.5}, "$.n", "wrong dtype"),
        ({"x": [[1.0], [1.0, 2.0]], "n": 1}, "$.x", "one array"),
        ({"x": [1.0], "n": np.uint64(2**63)}, "$.n", "out of range"),
    ],
)
def test_wrong_requests_are_told(loaded, inputs: dict, where: str, summary: str) -> None:
    with pytest.raises(RequestError, match=summary) as caught:
        both(loaded)(inputs)
    assert caught.value.where == where


def test_one_positional_value_needs_one_input(loaded) -> None:
    with pytest.raises(ArgumentError, match="by name"):
        both(loaded)([1.0])


def test_an_input_with_a_default_may_be_left_out(tmp_path: Path) -> None:
    signature = make.signature({**FEED, "z": ("z:0", FLOAT)}, GIVE)
    signature.defaults["z"].CopyFrom(make.write_tensor_proto(np.float32(3)))
    nodes = [X, node("z", "Placeholder", dtype=FLOAT), node("y", "Mul", "x", "z", T=FLOAT)]
    run = load(make.write(tmp_path, make.meta_graph(nodes, {"f": signature}))).signatures["f"]
    assert run({"x": 2.0})["y"] == 6
    assert run(x=2.0, z=5.0)["y"] == 10
    assert [item.optional for item in run.inputs] == [False, True]


def test_a_value_that_decides_a_shape_is_computed_first(loaded) -> None:
    nodes = [
        node("n", "Placeholder", dtype=LONG),
        const("zero", np.int64(0)),
        const("one", np.int64(1)),
        node("more", "AddV2", "n", "one", T=LONG),
        node("range", "Range", "zero", "more", "one", Tidx=LONG),
        node("f", "Cast", "range", SrcT=LONG, DstT=FLOAT),
        node("y", "Square", "f", T=FLOAT),
    ]
    run = loaded(nodes, {"n": ("n:0", LONG)}, GIVE)
    for n in (2, 4):
        assert run(n)["y"].tolist() == [i * i for i in range(n + 1)]


def counting(tmp_path: Path) -> Any:
    """A module of TensorFlow 2 with a variable ``count``, a function ``add`` in two forms and a list of functions."""
    read = [
        node("set", "AssignAddVariableOp", "v", "by", dtype=FLOAT),
        node("read", "ReadVariableOp", "v", "^set", dtype=FLOAT),
    ]
    inputs = {"by": FLOAT, "v": RESOURCE}
    add = make.function("add", read, inputs=inputs, outputs={"now": ("read:value:0", FLOAT)}, control=["set"])
    double = make.function(
        "double",
        [node("y", "AddV2", "by", "by", T=FLOAT)],
        inputs={"by": FLOAT},
        outputs={"y": ("y:z:0", FLOAT)},
    )
    graph = make.meta_graph([], {}, functions=[add, double])
    objects = graph.object_graph_def
    root, variable, function, inner = (objects.nodes.add() for _ in range(4))
    for name, child in (("count", 1), ("add", 2), ("parts", 3)):
        root.children.add(local_name=name, node_id=child)
    inner.children.add(local_name="0", node_id=2)
    root.user_object.identifier = inner.user_object.identifier = "_generic_user_object"
    variable.variable.dtype = 1
    function.function.concrete_functions.extend(["add", "double"])
    spec = function.function.function_spec
    spec.is_method = True
    for key, values in {"args": ["self", "by", "twice"], "defaults": [False], "kwonlyargs": []}.items():
        pair = spec.fullargspec.named_tuple_value.values.add(key=key)
        pair.value.list_value.SetInParent()
        for value in values:
            item = pair.value.list_value.values.add()
            if isinstance(value, bool):
                item.bool_value = value
            else:
                item.string_value = value
    for key in ("varargs", "varkw", "kwonlydefaults", "annotations"):
        spec.fullargspec.named_tuple_value.values.add(key=key).value.none_value.SetInParent()
    for name, twice in (("add", False), ("double", True)):
        form = objects.concrete_functions[name]
        form.bound_inputs.extend([1] if name == "add" else [])
        arguments, keywords = (form.canonicalized_input_signature.tuple_value.values.add() for _ in range(2))
        keywords.dict_value.SetInParent()
        tensor = arguments.tuple_value.values.add().tensor_spec_value
        tensor.dtype, tensor.name = 1, "by"
        make.write_shape(tensor.shape, (None,) if twice else ())
        arguments.tuple_value.values.add().bool_value = twice
        result = form.output_signature.dict_value.fields["out"].list_value.values.add()
        result.tensor_spec_value.dtype = 1
    tracked = message_class("tensorflow.TrackableObjectGraph")()
    first, second = tracked.nodes.add(), tracked.nodes.add()
    first.children.add(local_name="count", node_id=1)
    second.attributes.add(name="VARIABLE_VALUE", checkpoint_key="count/value")
    stored = np.empty((), object)
    stored[()] = tracked.SerializeToString()
    tensors = {"count/value": np.float32(10), "_CHECKPOINTABLE_OBJECT_GRAPH": stored}
    return load(make.write(tmp_path, graph, tensors=tensors))


def test_functions_of_a_module_are_restored_with_their_state(tmp_path: Path) -> None:
    model = counting(tmp_path)
    assert model.count.numpy() == 10
    assert model.add(np.float32(2))["out"][0] == 12
    assert model.add(by=3)["out"][0] == 15
    assert model.count.numpy() == 15
    assert model.add([1.0, 4.0], True)["out"][0].tolist() == [2, 8]
    assert model.parts[0] is model.add
    assert len(model.parts) == 1
    assert [variable.name for variable in model.variables] == ["count"]


def test_arguments_that_fit_no_form_are_told(tmp_path: Path) -> None:
    model = counting(tmp_path)
    for arguments in (([1.0],), (1.0, True), ("a",), (1.0, 2.0, 3.0), ()):
        with pytest.raises(ArgumentError):
            model.add(*arguments)
    with pytest.raises(AttributeError, match="count"):
        _ = model.nothing
    with pytest.raises(TypeError, match="cannot be called"):
        model.parts()


@pytest.mark.parametrize("change", ["child", "bound"])
def test_an_object_graph_that_leads_nowhere_is_refused(tmp_path: Path, change: str) -> None:
    counting(tmp_path)
    path = tmp_path / "saved_model.pb"
    message = message_class("tensorflow.SavedModel").FromString(path.read_bytes())
    objects = message.meta_graphs[0].object_graph_def
    if change == "child":
        objects.nodes[0].children[0].node_id = 99
    else:
        objects.concrete_functions["add"].bound_inputs[0] = 99
    path.write_bytes(message.SerializeToString())
    with pytest.raises(FormatError, match="not there"):
        load(tmp_path).add(1.0)


def test_a_conditional_of_tensorflow_1_that_writes_is_refused(tmp_path: Path) -> None:
    nodes = [
        *reference()[:2],
        node("p", "Placeholder", dtype=BOOL),
        node("switch", "Switch", "x", "p", T=FLOAT),
        node("set", "Assign", "v", "switch:1", T=FLOAT),
        node("abs", "Abs", "switch", T=FLOAT),
        node("y", "Merge", "abs", "set", T=FLOAT, N=2),
    ]
    graph = make.meta_graph(nodes, {"f": make.signature({**FEED, "p": ("p:0", BOOL)}, GIVE)})
    with pytest.raises(FormatError, match="changes a variable"):
        load(make.write(tmp_path, graph))


def test_a_model_of_signatures_only_has_no_function(tmp_path: Path) -> None:
    graph = make.meta_graph([X, node("y", "Neg", "x", T=FLOAT)], {"f": make.signature(FEED, GIVE)})
    model = load(make.write(tmp_path, graph))
    with pytest.raises(ModelError, match="signatures only"):
        model(1.0)
    assert "f" in repr(model)


def batched(tmp_path: Path, *nodes: Any) -> Any:
    signature = make.signature(FEED, GIVE)
    for info in (signature.inputs["x"], signature.outputs["y"]):
        info.tensor_shape.Clear()
        make.write_shape(info.tensor_shape, (None, 2))
    return load(make.write(tmp_path, make.meta_graph([X, *nodes], {"f": signature}))).signatures["f"]


def test_a_server_asks_in_batches_of_few_sizes(tmp_path: Path) -> None:
    run = batched(tmp_path, node("y", "Square", "x", T=FLOAT))
    assert run.works_on_rows
    for rows in (1, 3, 64, 131):
        x = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
        assert np.array_equal(run.run(run.columns({"x": x}))["y"], x * x)
    compiled = {value[-1][0][0] for stage in run.program.device_stages.values() for value in stage._programs}
    assert compiled <= set(run.buckets) | {2}


def test_rows_that_change_each_other_are_not_padded(tmp_path: Path) -> None:
    mean = node("mean", "Mean", "x", "axis", T=FLOAT, Tidx=make.INT, keep_dims=True)
    run = batched(tmp_path, const("axis", 0), mean, node("y", "Sub", "x", "mean", T=FLOAT))
    assert not run.works_on_rows
    assert run.run(run.columns({"x": [[1.0, 2.0], [3.0, 4.0], [5.0, 0.0]]}))["y"].tolist() == [[-2, 0], [0, 2], [2, -2]]


def test_whether_rows_change_each_other_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def seen(signature: Any) -> bool:
        tried.append(signature.name)
        return False

    monkeypatch.setattr("mainstay.saved_model.graph_reading.signatures.rows_seem_independent", seen)
    run = batched(tmp_path, node("y", "Square", "x", T=FLOAT))
    assert [(run.rows, run.works_on_rows) for _ in range(2)] == [(False, False)] * 2
    assert tried == ["f"]


def test_whole_tensors_run_as_they_are_and_batch_sizes_can_be_chosen(tmp_path: Path) -> None:
    run = batched(tmp_path, node("y", "Square", "x", T=FLOAT))
    assert run.run_whole([np.float32([1, 2, 3])])["y"].tolist() == [1, 4, 9]
    with pytest.raises(RequestError):
        run.run_whole([np.array(["a"], object)])
    run.use_buckets([2, 3])
    assert run.run(run.example(5))["y"].tolist() == [[0, 0]] * 5
    assert run.max_bucket == 3


def test_warming_up_compiles_what_a_server_will_ask_for(tmp_path: Path) -> None:
    run = batched(tmp_path, node("y", "Neg", "x", T=FLOAT))
    run.warm_up([3])
    (stage,) = run.program.device_stages.values()
    before = len(stage._programs)
    run.run(run.columns({"x": np.zeros((3, 2), np.float32)}))
    assert len(stage._programs) == before


def test_a_dtype_that_no_request_has_is_told(loaded) -> None:
    complex_type = make.TypeAttr(np.complex64)
    nodes = [X, node("y", "Complex", "x", "x", T=FLOAT, Tout=complex_type)]
    with pytest.raises(ModelError, match="dtype"):
        loaded(nodes, FEED, {"y": ("y:0", complex_type)})


def test_a_wrong_dtype_of_a_signature_does_not_count(tmp_path: Path) -> None:
    nodes = [X, node("y", "Neg", "x", T=FLOAT)]
    graph = make.meta_graph(nodes, {"f": make.signature({"x": ("x:0", STRING)}, {"y": ("y:0", LONG)})})
    run = load(make.write(tmp_path, graph)).signatures["f"]
    assert run.inputs[0].spec.dtype == "float32"
    assert run(2.0)["y"] == -2
