"""A model saved with the preprocessing of its dataset answers raw values with the bits of training."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstay import io
from mainstay.core import ArgumentError, TensorSpec
from mainstay.data import Dataset
from mainstay.hostops import HostGraph, HostInput, HostNode
from mainstay.saved_model import load, save

ROWS = 300
RAW = {
    "miles": np.random.default_rng(0).random(ROWS, dtype=np.float32) * 9,
    "seconds": np.random.default_rng(1).integers(0, 3000, ROWS).astype(np.int32),
    "fare": np.random.default_rng(2).random(ROWS, dtype=np.float32) * 50,
    "company": [f"Cab {index % 37}" for index in range(ROWS)],
    "tip": np.arange(ROWS) % 2,
}
MEAN, SCALE = np.float32([3, 700, 15]), np.float32([4, 900, 6])


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    from mainstay import keras

    keras.utils.set_random_seed(5)
    yield keras
    keras.backend.clear_session()


def prepared(element: Any) -> Any:
    import jax.numpy as jnp

    x = jnp.stack([element["miles"], element["seconds"].astype(jnp.float32), element["fare"]])
    return (jnp.log1p(jnp.maximum(x, 0)) - MEAN) / SCALE, element["tip"]


def raw(count: int, *names: str) -> dict[str, Any]:
    return {name: RAW[name][:count] for name in names}


def test_served_answers_equal_those_of_training_bit_for_bit(keras: Any, tmp_path: Path) -> None:
    dataset = Dataset.from_tensor_slices(RAW).map(prepared).shuffle(100, seed=1).batch(64)
    dataset = dataset.map(lambda x, y: (x * 1.7 + 0.1, y)).prefetch(2)
    layers = [keras.Input((3,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    model.fit(dataset, verbose=0)
    save(model, tmp_path / "m", preprocessing=dataset.preprocessing())
    loaded = load(tmp_path / "m")
    assert {item.spec.name for item in loaded.signatures["serving_default"].inputs} == {"miles", "seconds", "fare"}
    save(model, tmp_path / "plain")
    plain = load(tmp_path / "plain")
    # The matrix products of `predict` may take other kernels than those of the server, with other last bits.
    whole = Dataset.from_tensor_slices(RAW).map(prepared).batch(256).map(lambda x, y: x * 1.7 + 0.1)
    predicted = model.predict(next(whole.as_numpy_iterator()), verbose=0)
    for count in (1, 7, 256):
        batches = Dataset.from_tensor_slices(RAW).map(prepared).batch(count).map(lambda x, y: (x * 1.7 + 0.1, y))
        features = next(batches.as_numpy_iterator())[0]
        values = raw(count, "miles", "seconds", "fare")
        (answer,) = loaded.signatures["serving_default"](values).values()
        (transformed,) = loaded.signatures["transform_features"](values).values()
        assert transformed.tobytes() == features.tobytes()
        (alone,) = plain.signatures["serving_default"](features).values()
        assert answer.tobytes() == alone.tobytes()
        np.testing.assert_allclose(answer, predicted[:count], rtol=1e-5, atol=1e-6)


def test_strings_go_through_a_host_graph_to_inputs_by_name(keras: Any, tmp_path: Path) -> None:
    nodes = [HostNode("StringToHashBucketFast", "bucket", ("company",), {"num_buckets": 50})]
    graph = HostGraph([HostInput(TensorSpec([None], "string", "company"))], nodes, {"bucket": "bucket"})

    def features(element: Any) -> Any:
        return {"id": graph(element)["bucket"], "fare": element["fare"] * 0.1}, element["tip"]

    dataset = Dataset.from_tensor_slices(RAW).map(features).batch(32)
    number, fare = keras.Input((), dtype="int32", name="id"), keras.Input((), name="fare")
    parts = [keras.layers.Embedding(50, 4)(number), keras.layers.Reshape((1,))(fare)]
    model = keras.Model({"id": number, "fare": fare}, keras.layers.Dense(1)(keras.layers.Concatenate()(parts)))
    save(model, tmp_path / "m", preprocessing=dataset.preprocessing())
    loaded = load(tmp_path / "m", buckets=[8, 32])
    (answer,) = loaded.signatures["serving_default"](raw(32, "company", "fare")).values()
    rows = next(dataset.as_numpy_iterator())[0]
    transformed = loaded.signatures["transform_features"](raw(32, "company", "fare"))
    assert transformed["fare"].tobytes() == rows["fare"].tobytes()
    assert np.array_equal(transformed["id"], rows["id"])
    np.testing.assert_allclose(answer, model.predict(rows, verbose=0), rtol=1e-5, atol=1e-6)


def test_a_model_takes_serialized_examples_as_the_dataset_does(keras: Any, tmp_path: Path) -> None:
    data = {"image": [np.random.default_rng(index).bytes(6) for index in range(64)], "label": RAW["tip"][:64]}
    records = io.serialize_examples(data).to_pylist()
    features = {"image": io.FixedLenFeature((), "string"), "label": io.FixedLenFeature((), "int64")}

    def decoded(record: Any) -> Any:
        element = io.parse_single_example(record, features)
        return keras.ops.cast(io.decode_raw(element["image"], "uint8"), "float32") / 255, element["label"]

    dataset = Dataset.from_tensor_slices(records).map(decoded).batch(64)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
    save(model, tmp_path / "m", preprocessing=dataset.preprocessing())
    save(model, tmp_path / "plain")
    loaded, plain = load(tmp_path / "m", buckets=[8, 64]), load(tmp_path / "plain", buckets=[8, 64])
    rows = next(dataset.as_numpy_iterator())[0]
    for count in (1, 64):
        values = np.array(records[:count], object)
        (transformed,) = loaded.signatures["transform_features"](values).values()
        assert transformed.tobytes() == rows[:count].tobytes()
        (answer,) = loaded.signatures["serving_default"](values).values()
        (wanted,) = plain.signatures["serving_default"](rows[:count]).values()
        assert answer.tobytes() == wanted.tobytes()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda e: (e["miles"][None], e["tip"]), "in another form"),
        (lambda e: ({"other": e["miles"]}, e["tip"]), "does not make the inputs"),
        (lambda e: ((prepared(e)[0], e["miles"]), e["tip"]), "does not make the inputs"),
    ],
)
def test_features_that_the_model_does_not_take_are_refused(
    keras: Any, tmp_path: Path, function: Any, message: str
) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    with pytest.raises(ArgumentError, match=message):
        save(model, tmp_path / "m", preprocessing=Dataset.from_tensor_slices(RAW).map(function).preprocessing())
    assert not (tmp_path / "m").exists()
