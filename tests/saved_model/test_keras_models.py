"""Keras models: named as their authors named them, and answering as `predict` does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstay.core import ArgumentError, ModelError, TensorSpec
from mainstay.hostops import HostGraph, HostInput, HostNode
from mainstay.saved_model import LoadedModel, from_keras_model, load, save


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    from mainstay import keras

    keras.utils.set_random_seed(3)
    yield keras
    keras.backend.clear_session()


def wide_and_deep(keras: Any) -> Any:
    """A network of numbers and embeddings with everything that behaves differently in training."""
    layers = keras.layers
    amount, vector = keras.Input((), name="amount"), keras.Input((3,), name="vector")
    city = keras.Input((), dtype="int32", name="city")
    parts = [layers.Reshape((1,))(amount), vector, layers.Embedding(50, 8)(city)]
    x = layers.BatchNormalization()(layers.Concatenate()(parts))
    x = layers.Dropout(0.5)(layers.Dense(64, activation="gelu")(x))
    x = layers.GaussianNoise(0.3)(layers.LayerNormalization()(layers.Dense(32, activation="relu")(x)))
    outputs = {"scores": layers.Dense(3, activation="softmax")(x), "value": layers.Dense(1)(x)}
    return keras.Model({"amount": amount, "vector": vector, "city": city}, outputs)


def rows(count: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(count)
    return {
        "amount": random.normal(scale=10, size=count).astype(np.float32),
        "vector": random.normal(size=(count, 3)).astype(np.float32),
        "city": random.integers(0, 50, count),
    }


@pytest.fixture(scope="module")
def pair(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, LoadedModel]:
    model = wide_and_deep(keras)
    for variable in model.non_trainable_variables:
        if "moving" in variable.path:
            variable.assign(np.abs(np.random.default_rng(0).normal(1.0, 0.3, variable.shape)))
    folder = tmp_path_factory.mktemp("keras") / "m"
    save(model, folder)
    return model, load(folder, buckets=[1, 4, 32])


@pytest.mark.parametrize("count", [1, 3, 32, 100])
def test_the_artifact_answers_as_the_model_does(pair: tuple[Any, LoadedModel], count: int) -> None:
    model, loaded = pair
    expected, answers = model.predict(rows(count), verbose=0), loaded.signatures["serving_default"](rows(count))
    assert set(answers) == {"scores", "value"}
    for name, values in expected.items():
        assert np.max(np.abs(answers[name] - values) / np.maximum(1.0, np.abs(values))) <= 1e-6


def test_what_only_training_needs_is_not_stored(pair: tuple[Any, LoadedModel]) -> None:
    program = pair[1].manifest.signatures["serving_default"].program
    assert program is not None
    names = [argument.name for argument in program.arguments if argument.weight]
    assert not [name for name in names if "seed_generator" in name]
    assert len(names) == len(pair[0].variables) - 2


def test_inputs_and_outputs_have_the_names_of_their_author(keras: Any) -> None:
    layers = keras.layers
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    hidden = layers.Add()([a, b])
    named, counted = layers.Dense(1, name="price")(hidden), layers.Dense(2)(hidden)
    for model, inputs, outputs in (
        (keras.Model([a, b], named), ["a", "b"], ["price"]),
        (keras.Model([a, b], [named, counted]), ["a", "b"], ["price", "output_1"]),
        (keras.Model({"b": b, "a": a}, {"y": counted}), ["b", "a"], ["y"]),
        (keras.Model(a, layers.Dense(1)(a)), ["a"], ["output_0"]),
        (keras.Model([a], layers.Dense(1)(a)), ["a"], ["output_0"]),
        (keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(1)]), ["inputs"], ["output_0"]),
        (keras.Sequential([keras.Input((4,), name="x"), layers.Dense(1, name="p")]), ["x"], ["p"]),
    ):
        function = from_keras_model(model)
        assert [spec.name for spec in function.inputs] == inputs
        given = {spec.name: np.ones((2, *spec.shape[1:]), np.float32) for spec in function.inputs}
        assert function.function is not None
        assert list(function.function(function.weights, given)) == outputs


def test_outputs_can_be_named(keras: Any) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    function = from_keras_model(model, output_names=["tips"])
    assert function.function is not None
    assert list(function.function(function.weights, {"inputs": np.ones((1, 4), np.float32)})) == ["tips"]
    with pytest.raises(ModelError, match="outputs of this model cannot be named"):
        save(from_keras_model(model, output_names=["a", "b"]), "unused")


def test_a_model_of_a_fixed_batch_is_refused(keras: Any) -> None:
    inputs = keras.Input(batch_shape=(4, 3), name="rows")
    with pytest.raises(ModelError, match=r"rows: the batch size of this model is fixed(.|\n)*\(4, 3\)"):
        from_keras_model(keras.Model(inputs, keras.layers.Dense(2)(inputs)))


def test_a_model_whose_inputs_are_not_known_is_refused(keras: Any) -> None:
    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    for model in (Own(), keras.Sequential([keras.layers.Dense(1)]), "model"):
        with pytest.raises(ModelError, match="inputs of this model are not known"):
            from_keras_model(model)


def test_preprocessing_comes_first_and_is_a_signature_of_its_own(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((), name="x"), keras.layers.Reshape((1,)), keras.layers.Dense(1, name="y")])
    raw = [HostInput(TensorSpec([None], "float64", n)) for n in ("x", "label")]
    nodes = [HostNode("Cast", f"{n}_32", (n,), {"dtype": "float32"}) for n in ("x", "label")]
    graph = HostGraph(raw, nodes, {"x": "x_32", "label": "label_32"})
    save(model, tmp_path / "m", preprocessing=graph)
    loaded = load(tmp_path / "m", buckets=[4])
    assert sorted(loaded.signatures) == ["serving_default", "transform_features"]
    assert [item.spec.name for item in loaded.signatures["serving_default"].inputs] == ["x"]
    np.testing.assert_array_equal(loaded.signatures["transform_features"](x=[1.5])["x"], np.float32([1.5]))
    expected = model.predict(np.float32([1.5, 2.0]), verbose=0)
    np.testing.assert_allclose(loaded.signatures["serving_default"](x=[1.5, 2.0])["y"], expected, atol=1e-6)
    with pytest.raises(ArgumentError, match="does not make an input"):
        save(wide_and_deep(keras), tmp_path / "n", preprocessing=graph)


def test_images_and_sequences_answer_as_the_model_does(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    image = [keras.Input((8, 8, 1)), layers.Conv2D(4, 3, padding="same", activation="relu"), layers.MaxPool2D()]
    image += [layers.SeparableConv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    sequence = [keras.Input((None,), dtype="int32"), layers.Embedding(9, 4, mask_zero=True)]
    sequence += [layers.Bidirectional(layers.LSTM(3)), layers.Dense(2)]
    random = np.random.default_rng(0)
    for index, (stack, values) in enumerate(
        [(image, random.random((3, 8, 8, 1), np.float32)), (sequence, random.integers(0, 9, (3, 5)))]
    ):
        model = keras.Sequential(stack)
        save(model, tmp_path / str(index))
        answers = load(tmp_path / str(index), buckets=[4]).signatures["serving_default"](values)
        np.testing.assert_allclose(answers["output_0"], model.predict(values, verbose=0), atol=1e-6)


def test_a_model_of_its_own_class_is_saved_once_it_was_called(tmp_path: Path) -> None:
    import mainstay as tf

    class Own(tf.keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = tf.keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    own = Own()
    x = np.ones((3, 4), np.float32)
    want = np.asarray(own(x))
    save(own, tmp_path / "m", tensorflow=None)
    np.testing.assert_allclose(load(tmp_path / "m").signatures["serving_default"](x)["output_0"], want, atol=1e-6)


def test_a_keras_model_has_signatures_of_ones_own(tmp_path: Path) -> None:
    import mainstay as tf

    model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3, activation="softmax")])

    @tf.function(input_signature=[TensorSpec([None, 4], name="rows")])
    def best(rows: Any) -> Any:
        scores = model(rows, training=False)
        return {"class": tf.ops.argmax(scores, axis=1), "score": tf.ops.max(scores, axis=1)}

    save(model, tmp_path / "m", signatures={"best": best}, tensorflow=None)
    loaded = load(tmp_path / "m")
    x = np.eye(4, dtype=np.float32)
    want = np.asarray(model(x))
    answer = loaded.signatures["best"](x)
    assert loaded.signatures["best"].rows
    assert answer["class"].tolist() == want.argmax(1).tolist()
    np.testing.assert_allclose(answer["score"], want.max(1), atol=1e-6)
    assert [v.shape for v in loaded.variables] == [(4, 3), (3,)]


def test_the_layer_that_cannot_be_exported_is_named(tmp_path: Path) -> None:
    import jax.numpy as jnp

    import mainstay as tf

    class Filter(tf.keras.layers.Layer):
        is_on = False

        def call(self, x: Any) -> Any:
            return x[jnp.nonzero(x[:, 0])[0]] if self.is_on else x

    layer = Filter(name="filter_of_mine")
    model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3), layer])
    layer.is_on = True
    with pytest.raises(ModelError, match=r"filter_of_mine, .*test_keras_models\.py:\d+, in \S+: `return x\[jnp"):
        save(model, tmp_path / "m")
