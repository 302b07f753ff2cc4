"""Host functions called inside a user's function run for whole columns, and mean what they mean for one element."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from mainstay import io
from mainstay.core import DataError, TensorSpec
from mainstay.data import Dataset, TFRecordDataset
from mainstay.data.functions.chain import Chain
from mainstay.hostops import HostGraph, HostInput, HostNode

ROWS = 50
IMAGES = [np.random.default_rng(index).bytes(12) for index in range(ROWS)]
RECORDS = io.serialize_examples({"image": IMAGES, "label": np.arange(ROWS)}).to_pylist()
FEATURES = {"image": io.FixedLenFeature((), "string"), "label": io.FixedLenFeature((), "int64")}


def records() -> Dataset:
    return Dataset.from_tensor_slices(RECORDS)


def report(dataset: Dataset) -> str:
    from mainstay.data.execution.engine import Engine
    from mainstay.data.plan import Pipe, Planner

    lowered = dataset.plan.lower(Planner(Engine()))
    assert isinstance(lowered, Pipe)
    chain = lowered.functions[-1]
    assert isinstance(chain, Chain)
    return "\n".join(chain.report())


def decoded(record: Any) -> Any:
    element = io.parse_single_example(record, FEATURES)
    return jnp.asarray(io.decode_raw(element["image"], "uint8"), "float32") / 255, element["label"]


def expected() -> list[tuple[Any, int]]:
    return [(np.frombuffer(image, np.uint8).astype(np.float32) / np.float32(255), i) for i, image in enumerate(IMAGES)]


def check(pairs: list[Any]) -> None:
    assert len(pairs) == ROWS
    for (image, label), (wanted, index) in zip(pairs, expected(), strict=True):
        np.testing.assert_allclose(image, wanted, rtol=1e-6)
        assert (label, label.dtype) == (index, "int64")


def test_parsing_and_decoding_one_element_runs_for_whole_columns() -> None:
    dataset = records().map(decoded)
    assert "traced" in report(dataset)
    assert [(spec.shape, spec.dtype) for spec in dataset.element_spec] == [((12,), "float32"), ((), "int64")]
    check(list(dataset.as_numpy_iterator()))


def test_host_functions_may_be_in_maps_that_follow_each_other() -> None:
    dataset = (
        records()
        .map(lambda r: io.parse_single_example(r, features=FEATURES))
        .map(lambda e: (jnp.asarray(io.decode_raw(e["image"], out_type="uint8"), "float32") / 255, e["label"]))
    )
    assert report(dataset).count("traced") == 1
    check(list(dataset.as_numpy_iterator()))


def test_batches_of_records_are_parsed_as_batches() -> None:
    dataset = records().batch(16).map(lambda r: io.parse_example(r, FEATURES))
    assert "traced" in report(dataset)
    batches = list(dataset.as_numpy_iterator())
    assert [len(batch["label"]) for batch in batches] == [16, 16, 16, 2]
    assert [image for batch in batches for image in batch["image"]] == IMAGES


def test_records_of_a_file_are_parsed_where_they_lie(tmp_path: Path) -> None:
    with io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for record in RECORDS:
            writer.write(record)
    check(list(TFRecordDataset(str(tmp_path / "a.tfrecord")).map(decoded).as_numpy_iterator()))


def test_lists_of_any_length_are_handed_through() -> None:
    features = {"tags": io.RaggedFeature("int64"), "label": io.FixedLenFeature((), "int64")}
    rows = [list(range(index % 4)) for index in range(20)]
    data = io.serialize_examples({"tags": io.Ragged.from_rows(rows, dtype=np.int64), "label": np.arange(20)})
    dataset = Dataset.from_tensor_slices(data).map(lambda r: io.parse_single_example(r, features))
    dataset = dataset.map(lambda e: (e["tags"], e["label"] * 2))
    assert "traced" in report(dataset)
    assert [(list(tags), int(label)) for tags, label in dataset.as_numpy_iterator()] == [
        (row, 2 * index) for index, row in enumerate(rows)
    ]


def test_images_are_decoded_and_resized_inside_of_a_function() -> None:
    pictures = [np.full((4 + index % 3, 5, 3), index, np.uint8) for index in range(12)]
    files = [io.encode_png(picture) for picture in pictures]

    def prepare(data: Any, label: Any) -> Any:
        return io.resize_images(io.decode_png(data, 3), (2, 2)) / 255, label

    dataset = Dataset.from_tensor_slices((files, np.arange(12))).map(prepare)
    assert "traced" in report(dataset)
    for index, (image, label) in enumerate(dataset.as_numpy_iterator()):
        np.testing.assert_allclose(image, np.full((2, 2, 3), index / 255), rtol=1e-6)
        assert label == index


def test_a_damaged_record_is_named() -> None:
    broken = [*RECORDS[:30], b"\xff\xff", *RECORDS[30:]]
    with pytest.raises(DataError) as caught:
        list(Dataset.from_tensor_slices(broken).map(decoded))
    assert any("row 30 of the arrays" in note for note in caught.value.__notes__)


def test_strings_that_decode_to_other_lengths_are_elements_of_their_own() -> None:
    strings = [b"abcd", b"abcd", b"abcd", b"abcd", b"ab", b"abcd"]
    dataset = Dataset.from_tensor_slices(strings).map(lambda s: io.decode_raw(s, "uint8"))
    assert [len(x) for x in dataset.as_numpy_iterator()] == [4, 4, 4, 4, 2, 4]


@pytest.mark.parametrize(
    "function",
    [
        lambda s, x: s.upper(),
        lambda s, x: x + len(s),
        lambda s, x: x if s == b"a" else -x,
        lambda s, x: f"{s!r}",
        lambda s, x: np.asarray(s),
        lambda s, x: {"a": 1}.get(s, 2),
        lambda s, x: io.decode_raw(s, "uint8", x >= 0 and True),
    ],
)
def test_looking_into_a_string_is_left_to_python(function: Any) -> None:
    dataset = Dataset.from_tensor_slices(([b"a", b"b", b"a"], np.arange(3))).map(function)
    assert "called for each element" in report(dataset)
    assert len(list(dataset)) == 3


def graph() -> HostGraph:
    inputs = [HostInput(TensorSpec([None], "float64", "x")), HostInput(TensorSpec([None], "string", "s"))]
    nodes = [HostNode("Cast", "y", ("x",), {"dtype": "float32"}), HostNode("StringLower", "t", ("s",), {})]
    return HostGraph(inputs, nodes, {"y": "y", "t": "t"})


@pytest.mark.parametrize("batch", [0, 4])
def test_host_graphs_work_on_rows_and_on_batches(batch: int) -> None:
    raw = {"x": np.arange(10) / 3, "s": [f"A{index}" for index in range(10)], "z": np.arange(10)}
    dataset = Dataset.from_tensor_slices(raw)
    dataset = dataset.batch(batch) if batch else dataset
    host = graph()
    for mapped in (dataset.map(host), dataset.map(lambda e: host({"x": e["x"], "s": e["s"]}))):
        assert "traced" in report(mapped)
        rows = list(mapped.as_numpy_iterator() if not batch else mapped.unbatch().as_numpy_iterator())
        assert [row["y"] for row in rows] == [np.float32(index / 3) for index in range(10)]
        assert [row["t"] for row in rows] == [f"a{index}".encode() for index in range(10)]
