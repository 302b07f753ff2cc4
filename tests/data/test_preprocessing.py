"""The functions of a dataset, exported: what goes along, what is refused, and how it is named."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import io
from mainstay.core import ArgumentError, ModelError, TensorSpec
from mainstay.data import Dataset, Preprocessing
from mainstay.hostops import HostGraph, HostInput, HostNode

ROWS = 20
RAW = {
    "miles": np.linspace(0, 9, ROWS, dtype=np.float32),
    "seconds": np.arange(ROWS, dtype=np.int32) * 31,
    "company": [f"Cab {index % 3}" for index in range(ROWS)],
    "tip": np.arange(ROWS) % 2,
}


def raw() -> Dataset:
    return Dataset.from_tensor_slices(RAW)


def scaled(e: Any) -> Any:
    return jnp.stack([jnp.log1p(e["miles"]), e["seconds"].astype("float32") / 60]), e["tip"]


def apply(preprocessing: Preprocessing, values: Any) -> Any:
    return jax.jit(preprocessing)(preprocessing.device_inputs(values))


def names(preprocessing: Preprocessing) -> set[str]:
    return {spec.name for spec in preprocessing.inputs}


def test_only_what_the_features_need_is_an_input() -> None:
    found = raw().map(scaled).shuffle(10, seed=1).batch(4).prefetch(1).preprocessing()
    assert names(found) == {"miles", "seconds"}
    assert found.prefix is None
    assert found.functions == ("map scaled",)
    assert found.features == TensorSpec((None, 2), "float32")


@pytest.mark.parametrize("size", [1, 7, ROWS])
def test_it_gives_the_bits_that_the_dataset_gives(size: int) -> None:
    dataset = raw().map(scaled).batch(size).map(lambda x, y: (x * 1.7 + 0.3, y)).repeat()
    found = dataset.preprocessing()
    want = next(dataset.as_numpy_iterator())[0]
    got = apply(found, {name: RAW[name][:size] for name in ("miles", "seconds")})
    assert np.asarray(got).tobytes() == want.tobytes()


def test_filters_and_caches_leave_no_trace() -> None:
    dataset = raw().filter(lambda e: e["miles"] > 1).map(scaled).cache().filter(lambda x, y: y > 0).batch(4)
    assert names(dataset.preprocessing()) == {"miles", "seconds"}


def test_an_input_without_a_key_is_called_inputs() -> None:
    pairs = Dataset.from_tensor_slices((np.ones((4, 2), np.float32), np.arange(4)))
    assert names(pairs.map(lambda x, y: (x * 2, y)).preprocessing()) == {"inputs"}
    several = Dataset.from_tensor_slices(((np.ones(4, np.float32), np.ones(4, np.float32)), np.arange(4)))
    assert names(several.map(lambda x, y: (x[0] + x[1], y)).preprocessing()) == {"inputs_0", "inputs_1"}


def test_what_was_added_after_a_dataset_can_be_exported_alone() -> None:
    first = raw().map(lambda e: ({"x": len(str(e["company"])) * 1.0}, e["tip"]))
    found = first.map(lambda e, y: ({"x": e["x"] * 2}, y)).batch(2).preprocessing(since=first)
    assert names(found) == {"x"}
    assert found.functions == ("map <lambda>",)


def test_a_batched_dataset_may_be_the_beginning() -> None:
    batched = raw().batch(4)
    found = batched.map(lambda e: (e["miles"][:, None] * 2, e["tip"])).preprocessing(since=batched)
    assert names(found) == {"miles"}


def refused(dataset: Dataset, **arguments: Any) -> str:
    with pytest.raises((ModelError, ArgumentError)) as caught:
        dataset.preprocessing(**arguments)
    return str(caught.value)


def test_a_row_function_is_refused_by_name_and_reason() -> None:
    def bucket(e: Any) -> Any:
        return (1.0 if e["miles"] > 3 else 0.0), e["tip"]

    message = refused(raw().map(bucket).batch(4))
    assert "map bucket" in message
    assert "TracerBoolConversionError" in message
    assert "since" in message


def test_a_host_function_without_an_operation_is_refused_by_name() -> None:
    files = [io.encode_png(np.full((2, 2, 1), index, np.uint8)) for index in range(4)]
    dataset = Dataset.from_tensor_slices((files, np.arange(4)))
    message = refused(dataset.map(lambda f, y: (io.resize_images(io.decode_png(f), (2, 2)), y)))
    assert "decode_png" in message


def test_features_made_of_the_label_are_refused() -> None:
    pairs = Dataset.from_tensor_slices((np.ones((4, 2), np.float32), np.ones(4, np.float32)))
    assert "label" in refused(pairs.map(lambda x, y: (x * y, y)))


def test_functions_that_mix_rows_are_refused() -> None:
    assert "alone" in refused(raw().map(scaled).batch(8).map(lambda x, y: (x - x.mean(axis=0), y)))


def test_functions_that_need_64_bits_are_refused() -> None:
    numbers = Dataset.from_tensor_slices((np.arange(4) / 3, np.arange(4)))
    assert "32 bits" in refused(numbers.map(lambda x, y: ((x * 1e6 + 1 / 3) % 1, y)))


def test_strings_are_no_features() -> None:
    assert "no array of numbers" in refused(raw().map(lambda e: (e["company"], e["tip"])))


def test_padded_batches_are_refused() -> None:
    ragged = Dataset.range(1, 5).map(lambda n: np.zeros(int(n), np.float32)).padded_batch(2)
    assert "padded" in refused(ragged.map(lambda x: x * 2))


def test_there_must_be_a_function_and_the_beginning_must_be_there() -> None:
    assert "no function" in refused(raw().batch(2))
    assert "between" in refused(Dataset.zip((raw(), raw())).map(lambda a, b: a), since=raw())


def test_host_graphs_become_the_prefix() -> None:
    inputs = [HostInput(TensorSpec([None], "string", "company"))]
    nodes = [HostNode("StringToHashBucketFast", "bucket", ("company",), {"num_buckets": 9})]
    graph = HostGraph(inputs, nodes, {"bucket": "bucket"})
    dataset = raw().map(lambda e: ({"id": graph(e)["bucket"], "miles": e["miles"] * 2}, e["tip"])).batch(5)
    found = dataset.preprocessing()
    assert found.prefix is not None
    assert {item.spec.name for item in found.prefix.inputs} == {"company", "miles"}
    values = {"company": RAW["company"][:5], "miles": RAW["miles"][:5]}
    got, want = apply(found, values), next(dataset.as_numpy_iterator())[0]
    assert np.array_equal(got["id"], want["id"])
    assert np.asarray(got["miles"]).tobytes() == want["miles"].tobytes()


FEATURES = {
    "image": io.FixedLenFeature((), "string"),
    "fare": io.FixedLenFeature((), "float32", 0.5),
    "label": io.FixedLenFeature((), "int64"),
}


def parsed(record: Any) -> Any:
    element = io.parse_single_example(record, FEATURES)
    image = jnp.asarray(io.decode_raw(element["image"], "uint8"), "float32") / 255
    return {"image": image, "fare": element["fare"] * 2}, element["label"]


def test_parsing_records_becomes_the_prefix_without_the_label() -> None:
    images = [np.random.default_rng(index).bytes(6) for index in range(ROWS)]
    data = {"image": images, "fare": np.linspace(0, 1, ROWS, dtype=np.float32), "label": np.arange(ROWS)}
    records = io.serialize_examples(data).to_pylist()
    dataset = Dataset.from_tensor_slices(records).map(parsed).batch(8)
    found = dataset.preprocessing()
    assert found.prefix is not None
    assert [item.spec for item in found.prefix.inputs] == [TensorSpec((None,), "string", "inputs")]
    assert [node.op for node in found.prefix.nodes] == ["ParseExample", "ParseExample", "DecodeRaw"]
    got, want = apply(found, {"inputs": np.array(records[:8], object)}), next(dataset.as_numpy_iterator())[0]
    assert all(np.asarray(got[key]).tobytes() == want[key].tobytes() for key in want)


def test_a_list_that_the_model_needs_is_refused() -> None:
    features = {"tags": io.FixedLenSequenceFeature((), "int64", allow_missing=True)}
    records = io.serialize_examples({"tags": np.arange(8).reshape(4, 2)}).to_pylist()
    dataset = Dataset.from_tensor_slices(records).batch(4).map(lambda r: io.parse_example(r, features)["tags"])
    assert "FixedLenFeature" in refused(dataset)
