"""Graphs: nodes in scopes whose inputs exist, for functions, control flow and Keras models."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from mainstay import keras, summary
from mainstay.core import ArgumentError, ModelError, message_class


@pytest.fixture
def record(tmp_path: Path, read_events):
    """Records a graph and reads {name: node}, after checks that hold for every graph."""

    def call(*arguments) -> dict:
        writer = summary.create_file_writer(tmp_path)
        with writer.as_default():
            assert summary.graph(*arguments)
        writer.close()
        [event] = read_events(tmp_path)
        graph = message_class("tensorflow.GraphDef").FromString(event.graph_def)
        nodes = {node.name: node for node in graph.node}
        assert len(nodes) == len(graph.node)
        assert graph.versions.producer
        for node in graph.node:
            for source in node.input:
                name, _, output = source.partition(":")
                assert name in nodes
                assert not output or int(output) < len(nodes[name].attr["_output_shapes"].list.shape)
        return nodes

    return call


def ops(nodes: dict) -> dict[str, str]:
    return {name: node.op for name, node in nodes.items()}


def test_a_function_becomes_its_operations(record) -> None:
    nodes = record(lambda x, y: jnp.tanh(x @ y["w"]) + 1, jnp.ones((2, 3)), {"w": jnp.ones((3, 4))})
    assert ops(nodes) == {
        "inputs/argument_0": "Placeholder",
        "inputs/argument_1_w": "Placeholder",
        "dot_general": "dot_general",
        "tanh": "tanh",
        "add": "add",
        "outputs/output_0": "Identity",
    }
    assert list(nodes["dot_general"].input) == ["inputs/argument_0", "inputs/argument_1_w"]
    assert [dim.size for dim in nodes["tanh"].attr["_output_shapes"].list.shape[0].dim] == [2, 4]
    assert nodes["tanh"].attr["dtype"].type == 1
    assert b"(((1,), (0,))" in nodes["dot_general"].attr["dimension_numbers"].s


def test_named_scopes_and_inner_functions_are_scopes(record) -> None:
    @jax.jit
    def inner(x):
        return jnp.sin(x)

    def outer(x):
        with jax.named_scope("block 1"):
            return inner(x) * inner(x)

    nodes = record(outer, 1.0)
    assert {"block_1/inner/sin", "block_1/inner/sin_1", "block_1/mul"} <= set(nodes)


def test_loops_and_conditions_keep_their_bodies(record) -> None:
    def function(x):
        x, ys = jax.lax.scan(lambda c, y: (c * 2, c + y), x, jnp.arange(3.0))
        x = jax.lax.while_loop(lambda c: c < 10, lambda c: c * 3, x)
        return jax.lax.cond(x > 5, lambda a: jnp.sin(a), lambda a: jnp.cos(a), x) + ys.sum()

    nodes = record(function, 1.0)
    found = set(ops(nodes).values())
    assert {"scan", "while", "cond", "sin", "cos", "mul", "lt"} <= found
    assert any(name.startswith("while/body_jaxpr/") for name in nodes)
    assert any(name.startswith("cond/branches_1/") for name in nodes)


def test_traced_programs_and_messages_are_taken(record, tmp_path: Path) -> None:
    assert "sin" in record(jax.make_jaxpr(jnp.sin)(1.0))


def test_a_program_traced_by_jit_is_taken(record) -> None:
    assert "sin" in record(jax.jit(jnp.sin).trace(1.0))


def test_a_graph_def_is_taken_as_it_is(record) -> None:
    graph = message_class("tensorflow.GraphDef")()
    graph.versions.producer = 1
    graph.node.add(name="a", op="Mine")
    assert ops(record(graph)) == {"a": "Mine"}


@pytest.mark.parametrize("source", [3, "model", None])
def test_anything_else_is_refused(tmp_path: Path, source: object) -> None:
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(), pytest.raises(ArgumentError, match="no graph can be made of this"):
        summary.graph(source)
    writer.close()


def test_a_graph_is_recorded_only_where_summaries_are(tmp_path: Path, read_events) -> None:
    assert not summary.graph(jnp.sin, 1.0)
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(), summary.record_if(False):
        assert not summary.graph(jnp.sin, 1.0)
    writer.close()
    assert read_events(tmp_path) == []


def small_model() -> keras.Model:
    layers = keras.layers
    inputs = {"a": keras.Input((8,), name="a"), "b": keras.Input((None,), dtype="int32", name="b")}
    embedded = layers.GlobalAveragePooling1D(name="mean")(layers.Embedding(5, 4, name="table")(inputs["b"]))
    joined = layers.Concatenate(name="join")([inputs["a"], embedded])
    hidden = layers.Dropout(0.5, name="drop")(layers.Dense(3, activation="relu", name="hidden")(joined))
    return keras.Model(inputs, layers.Dense(1, name="out")(hidden), name="small")


def test_the_layers_of_a_model_are_scopes_with_their_weights(record) -> None:
    nodes = record(small_model())
    assert {"hidden/kernel", "hidden/bias", "table/embeddings", "out/kernel"} <= set(nodes)
    assert ops(nodes)["hidden/kernel"] == "Variable"
    assert {"inputs/a", "inputs/b"} <= set(nodes)
    assert {name.split("/")[0] for name in nodes} >= {"inputs", "table", "mean", "hidden", "drop", "out", "outputs"}
    assert [dim.size for dim in nodes["out/dot_general"].attr["_output_shapes"].list.shape[0].dim] == [-1, 1]


def test_a_built_subclass_has_a_graph_and_an_unbuilt_one_is_refused(record, tmp_path: Path) -> None:
    class Doubling(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="doubling")
            self.dense = keras.layers.Dense(2, name="dense")

        def build(self, input_shape) -> None:
            self.dense.build(input_shape)

        def call(self, x):
            return self.dense(x) * 2

    model = Doubling()
    writer = summary.create_file_writer(tmp_path / "other")
    with writer.as_default(), pytest.raises(ModelError, match="shapes of its inputs"):
        summary.graph(model)
    writer.close()
    model.build((None, 3))
    assert "dense/kernel" in record(model)


def test_the_conceptual_graph_is_the_models_json_with_plain_dtypes(tmp_path: Path, read_values) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, dtype="mixed_bfloat16")], name="small")
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default():
        assert summary.keras_model("keras", model, step=0)
    writer.close()
    [(tag, _, plugin, array)] = read_values(tmp_path)
    assert (tag, plugin) == ("keras", "graph_keras_model")
    config = json.loads(array.item())
    assert config["config"]["layers"][1]["config"]["dtype"] == "bfloat16"


def test_a_compiled_function_is_traced_and_leaves_its_variables_alone(record) -> None:
    from mainstay import TensorSpec, Variable, function

    weight = Variable(jnp.ones((3, 2)))

    @function
    def step(x):
        weight.assign_add(weight)
        return jnp.tanh(x @ weight.value)

    nodes = record(step, TensorSpec((None, 3), "float32"))
    assert {"dot_general", "tanh"} <= set(nodes)
    assert [dim.size for dim in nodes["tanh"].attr["_output_shapes"].list.shape[0].dim] == [-1, 2]
    assert float(weight.value[0, 0]) == 1.0


def test_a_concrete_function_is_taken(record) -> None:
    from mainstay import TensorSpec, function

    assert "sin" in record(function(jnp.sin).get_concrete_function(TensorSpec((2,), "float32")))
