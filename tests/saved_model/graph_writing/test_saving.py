"""saved_model.pb: whole, the same every time, and with the signatures that TF Serving knows."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay.core import ModelError, TensorSpec, message_class
from mainstay.saved_model import ServingFunction
from mainstay.saved_model.bundle import DATA_FILE, INDEX_FILE
from mainstay.saved_model.tables import decode_table


def object_graph(folder) -> Any:
    """The TrackableObjectGraph among the weights."""
    raw = decode_table((folder / INDEX_FILE).read_bytes())[b"_CHECKPOINTABLE_OBJECT_GRAPH"]
    entry = message_class("tensorflow.BundleEntryProto").FromString(raw)
    data = (folder / DATA_FILE).read_bytes()[entry.offset : entry.offset + entry.size]
    return message_class("tensorflow.TrackableObjectGraph").FromString(data[data.index(b"\n") :])


@pytest.mark.parametrize("mode", ["ops", "xla"])
def test_every_tensor_and_function_that_is_named_is_there(write, mode: str, linear, with_strings, problems) -> None:
    _, model, report = write({"serving_default": linear(), "text": with_strings()}, mode)
    assert problems(model) == []
    assert {item.form for item in report.signatures.values()} == {mode}


def test_the_same_model_has_the_same_bytes(write, linear, with_strings) -> None:
    names = ("saved_model.pb", "fingerprint.pb", INDEX_FILE, DATA_FILE)
    one, other = (write({"b": linear(), "a": with_strings()})[0] for _ in range(2))
    assert [(one / name).read_bytes() for name in names] == [(other / name).read_bytes() for name in names]


def test_another_weight_changes_the_fingerprint_and_not_the_graph(write, linear) -> None:
    changed = replace(linear(), weights={"dense/kernel": np.zeros((2, 3), np.float32)})
    (one, model, _), (other, same, _) = write({"f": linear()}), write({"f": changed})
    assert model == same
    read = message_class("tensorflow.FingerprintDef").FromString
    first, second = (read((folder / "fingerprint.pb").read_bytes()) for folder in (one, other))
    assert first.graph_def_program_hash == second.graph_def_program_hash
    assert (first.checkpoint_hash, first.uuid) != (second.checkpoint_hash, second.uuid)


def test_both_object_graphs_have_the_same_tree_and_every_value_a_key(write, with_strings) -> None:
    folder, model, _ = write({"text": with_strings()})
    saved, trackable = model.meta_graphs[0].object_graph_def, object_graph(folder)
    links = [
        [{(c.local_name, c.node_id) for c in node.children} for node in graph.nodes] for graph in (saved, trackable)
    ]
    assert links[0] == links[1]
    keys = {item.checkpoint_key for node in trackable.nodes for item in node.attributes}
    assert keys == {"table/.ATTRIBUTES/VARIABLE_VALUE"}
    assert {key.encode() for key in keys} < set(decode_table((folder / INDEX_FILE).read_bytes()))


def test_a_variable_is_shared_under_the_name_of_its_node(write, linear) -> None:
    _, model, _ = write({"f": linear()})
    handles = [node for node in model.meta_graphs[0].graph_def.node if node.op == "VarHandleOp"]
    assert [(node.name, node.attr["shared_name"].s) for node in handles] == [("dense/kernel", b"dense/kernel")]


def test_a_program_of_primitives_without_plain_operations_is_one_call_or_refused(write, problems) -> None:
    spec = TensorSpec([None, 4], "float32", "x")
    odd = ServingFunction(lambda w, x: {"y": jax.lax.reduce_precision(x["x"], 5, 7)}, (spec,))
    _, model, report = write({"f": odd})
    if report.signatures["f"].form == "ops":
        pytest.skip("this primitive has plain operations now")
    assert "reduce_precision" in str(report)
    assert problems(model) == []
    with pytest.raises(ModelError, match="reduce_precision"):
        write({"f": odd}, "ops")


def test_weights_of_two_signatures_are_one_variable(write) -> None:
    shared = {"w": np.ones(3, np.float32)}
    spec = (TensorSpec([None, 3], "float32", "x"),)
    add = ServingFunction(lambda w, x: {"y": x["x"] + w["w"]}, spec, shared)
    multiply = ServingFunction(lambda w, x: {"y": x["x"] * w["w"]}, spec, shared)
    _, model, _ = write({"add": add, "multiply": multiply})
    assert [node.name for node in model.meta_graphs[0].graph_def.node if node.op == "VarHandleOp"] == ["w"]


def test_columns_with_a_prefix_may_come_as_examples_and_missing_numbers_only_there(write, with_strings) -> None:
    _, model, report = write({"serving_default": with_strings()})
    signatures = model.meta_graphs[0].signature_def
    assert set(signatures) == {"serving_default", "serving_examples", "__saved_model_init_op"}
    assert set(signatures["serving_default"].inputs) == {"word", "size", "count"}
    assert set(signatures["serving_examples"].inputs) == {"examples"}
    assert "missing values of count" in report.signatures["serving_default"].reason


def classifier(inputs: tuple[TensorSpec, ...]) -> ServingFunction:
    """Something to regress on."""

    def serve(w: Any, x: Any) -> Any:
        total = sum(jnp.sum(value.reshape(value.shape[0], -1), 1) for value in x.values())
        return {"outputs": total.astype(jnp.float32)}

    return ServingFunction(serve, inputs, method="regress")


def test_regress_takes_examples_and_stands_beside_a_predict_that_takes_columns(write) -> None:
    _, model, report = write({"serving_default": classifier((TensorSpec([None, 2], "int32", "x"),))})
    signatures = model.meta_graphs[0].signature_def
    assert signatures["serving_default"].method_name == "tensorflow/serving/regress"
    assert set(signatures["serving_default"].inputs) == {"inputs"}
    assert set(signatures["predict"].inputs) == {"x"}
    assert "as predict" in report.signatures["serving_default"].reason


def test_regress_on_what_no_example_holds_is_for_predict_alone(write) -> None:
    _, model, report = write({"f": classifier((TensorSpec([None, None], "float32", "x"),))})
    assert model.meta_graphs[0].signature_def["f"].method_name == "tensorflow/serving/predict"
    assert "x has no fixed shape" in report.signatures["f"].reason


def test_a_model_without_weights_has_the_files_that_tensorflow_looks_for(write, with_strings, problems) -> None:
    folder, model, _ = write({"f": ServingFunction(None, prefix=with_strings().prefix)})
    assert problems(model) == []
    assert (folder / INDEX_FILE).is_file()
    assert (folder / DATA_FILE).is_file()


@pytest.mark.parametrize(("names", "positional"), [(["x"], 1), (["x", "y"], 0)])
def test_the_only_input_of_a_signature_may_be_given_by_position(write, names, positional) -> None:
    specs = tuple(TensorSpec([None], "float32", name) for name in names)
    _, model, _ = write({"f": ServingFunction(lambda w, x: {"y": x["x"] * 2}, specs)})
    (bare,) = (
        node.bare_concrete_function
        for node in model.meta_graphs[0].object_graph_def.nodes
        if node.HasField("bare_concrete_function")
    )
    assert bare.allowed_positional_arguments == positional


def test_inputs_lie_in_the_order_of_the_names_that_tensorflow_binds(write, problems) -> None:
    names = ["class", "1st", "a-b", "a/b", "z"]
    specs = tuple(TensorSpec([None], "float32", name) for name in names)
    _, model, _ = write({"f": ServingFunction(lambda w, x: {"y": x["z"] + x["class"]}, specs)})
    (meta,) = model.meta_graphs
    (bare,) = (
        node.bare_concrete_function for node in meta.object_graph_def.nodes if node.HasField("bare_concrete_function")
    )
    assert list(bare.argument_keywords) == ["a-b", "a/b", "1st", "class", "z"]
    concrete = meta.object_graph_def.concrete_functions[bare.concrete_function_name]
    fields = concrete.canonicalized_input_signature.tuple_value.values[1].dict_value.fields
    assert {key: value.tensor_spec_value.name for key, value in fields.items()} == {
        "a_b": "a-b", "a_b_": "a/b", "arg_1st": "1st", "class_": "class", "z": "z",
    }  # fmt: skip
    assert set(meta.signature_def["f"].inputs) == set(names)
    assert problems(model) == []


def test_files_that_no_table_reads_are_assets_too(write, linear, problems) -> None:
    _, model, _ = write({"f": linear()}, assets={"b.txt": b"2", "a.txt": b"1"})
    (meta,) = model.meta_graphs
    assert [asset.filename for asset in meta.asset_file_def] == ["a.txt", "b.txt"]
    indices = [node.asset.asset_file_def_index for node in meta.object_graph_def.nodes if node.HasField("asset")]
    assert indices == [0, 1]
    assert problems(model) == []
