import json

import numpy as np
import pyarrow as pa
import pytest

from mainstay.core import DataError, TransformError
from mainstay.hostops import HostGraph, HostInput
from mainstay.io import ArrowFile, ArrowWriter
from mainstay.pipeline import write_transactions
from mainstay.pipeline.components.features import Feature, features_of, pack, unpack
from mainstay.pipeline.components.ingest import ingest_table
from mainstay.pipeline.components.preprocessing import ColumnPlan, default_preprocessing_fn
from mainstay.pipeline.components.transactions import CHUNK_ROWS, transactions
from mainstay.pipeline.road import model_name, publish
from mainstay.transform import analyze


def test_features_know_how_many_ids_they_have():
    def preprocessing_fn(inputs):
        from mainstay import transform as tft

        return {
            "number": tft.scale_to_z_score(inputs["x"]),
            "known": tft.compute_and_apply_vocabulary(inputs["c"], num_oov_buckets=2),
            "strict": tft.compute_and_apply_vocabulary(inputs["c"]),
            "inside": tft.compute_and_apply_vocabulary(inputs["c"], 0),
            "above": tft.compute_and_apply_vocabulary(inputs["c"], 10),
            "below": tft.compute_and_apply_vocabulary(inputs["c"], -7),
            "hashed": tft.hash_strings(inputs["c"], 7),
            "bucket": tft.bucketize(inputs["x"], 4),
            "whole": tft.cast(inputs["x"], "int64"),
        }

    graph = analyze({"x": np.arange(100.0), "c": np.array(["a", "b", "c", "a"] * 25, object)}, preprocessing_fn)
    found = {feature.name: (feature.dtype, feature.num_ids, feature.min_id) for feature in features_of(graph)}
    assert found == {
        "number": ("float32", 0, 0),
        "known": ("int32", 5, 0),
        "strict": ("int32", 4, -1),
        "inside": ("int32", 3, 0),
        "above": ("int32", 11, 0),
        "below": ("int32", 10, -7),
        "hashed": ("int32", 7, 0),
        "bucket": ("int32", 4, 0),
        "whole": ("float32", 0, 0),
    }


@pytest.mark.parametrize(("name", "dtype"), [("text", "string"), ("a/b", "float64")])
def test_a_feature_that_no_model_can_take_is_refused(name, dtype):
    from mainstay.core import TensorSpec

    graph = HostGraph([HostInput(TensorSpec([None], dtype, name))], [], {name: name})
    with pytest.raises(TransformError):
        features_of(graph)


def test_packed_features_come_apart_again():
    features = [Feature("a", "float32"), Feature("i", "int32", 5), Feature("b", "float32"), Feature("j", "int32", 3)]
    columns = {"a": np.arange(4.0), "b": -np.arange(4.0), "i": np.arange(4), "j": np.arange(4) % 3}
    numbers, ids = pack(features, columns)
    assert (numbers.shape, numbers.dtype, ids.shape, ids.dtype) == ((4, 2), np.float32, (4, 2), np.int32)
    for name, values in unpack(features, numbers, ids).items():
        assert np.array_equal(values, columns[name])


def test_columns_whose_features_would_share_a_name_keep_apart():
    plans = tuple(ColumnPlan(name, "number", "") for name in ("x", "x_missing", "a/b"))
    columns = {"x": [1.0, None, 3.0], "x_missing": [1.0, 2.0, 4.0], "a/b": [1.0, 2.0, 3.0]}
    graph = analyze(columns, default_preprocessing_fn(plans))
    assert list(graph.outputs) == ["x", "x_missing_", "x_missing", "a_b"]
    assert graph(columns)["x_missing_"].tolist() == [0.0, 1.0, 0.0]


def test_numbers_that_are_missing_or_not_a_number_become_zero_beside_their_flag():
    plans = (ColumnPlan("x", "number", ""),)
    train = {"x": pa.array([1.0, 2.0, 3.0, None])}
    graph = analyze(train, default_preprocessing_fn(plans))
    out = graph({"x": pa.array([2.0, None, float("nan"), float("inf")])})
    assert out["x"][:3].tolist() == [0.0, 0.0, 0.0]
    assert out["x_missing"].tolist() == [0.0, 1.0, 1.0, 0.0]


def test_unseen_and_missing_categories_have_ids_of_their_own():
    plans = (ColumnPlan("c", "category", "", True),)
    graph = analyze({"c": pa.array(["a", "a", "b", None])}, default_preprocessing_fn(plans))
    ids = graph({"c": pa.array(["a", "b", None, "new", "Łódź"])})["c"].tolist()
    assert len({*ids[:3]}) == 3
    assert ids[3] == ids[4] == 3


def test_rows_without_a_label_are_dropped_and_counted(tmp_path):
    rows = [f"{i},{'' if i % 4 == 0 else i % 3}" for i in range(200)]
    (tmp_path / "t.csv").write_text("x,y\n" + "\n".join(rows) + "\n")
    ingest_table(str(tmp_path / "t.csv"), label="y", exclude=(), folder=tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["rows_without_label"] == 50
    assert sum(summary["rows"].values()) == 150
    files = [ArrowFile(tmp_path / "out" / f"{split}.arrow") for split in summary["rows"]]
    assert sum(file.num_rows for file in files) == 150


def test_equal_rows_are_never_on_both_sides_of_a_split(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{i % 50},{i % 50 % 3}\n" for i in range(2000)))
    ingest_table(str(tmp_path / "t.csv"), label="y", exclude=(), folder=tmp_path / "out")
    seen = [
        {
            tuple(row.values())
            for batch in ArrowFile(tmp_path / "out" / f"{name}.arrow").batches()
            for row in batch.to_pylist()
        }
        for name in ("train", "validation", "eval")
    ]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 50


def test_a_split_that_stays_empty_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n" + "1,2\n" * 500)
    with pytest.raises(DataError, match="too few rows differ"):
        ingest_table(str(tmp_path / "t.csv"), label="y", exclude=(), folder=tmp_path / "out")


@pytest.fixture
def stream_file(tmp_path):
    schema = pa.schema({"numbers": pa.list_(pa.float32(), 1), "ids": pa.list_(pa.int32(), 0), "label": pa.int32()})
    path = tmp_path / "train.arrow"
    with ArrowWriter(path, schema) as writer:
        for start in range(0, 1000, 100):
            values = pa.array(np.arange(start, start + 100, dtype=np.float32))
            numbers = pa.FixedSizeListArray.from_arrays(values, 1)
            nothing = pa.array([[]] * 100, pa.list_(pa.int32(), 0))
            writer.write(pa.record_batch([numbers, nothing, values.cast(pa.int32())], schema=schema))
    return path


def epoch(stream):
    batches = [stream[index] for index in range(len(stream))]
    stream.on_epoch_end()
    return [len(label) for _, label in batches], np.concatenate([inputs[0][:, 0] for inputs, _ in batches])


def test_every_row_comes_once_in_an_epoch_and_epochs_differ(stream_file):
    from mainstay.pipeline.components.train import FeatureStream

    stream = FeatureStream(stream_file, batch_size=64, seed=1)
    sizes, first = epoch(stream)
    _, second = epoch(stream)
    assert sizes == [64] * 15 + [40]
    assert sorted(first) == sorted(second) == list(range(1000))
    assert first.tolist() != second.tolist()
    again = FeatureStream(stream_file, batch_size=64, seed=1)
    assert epoch(again)[1].tolist() == first.tolist()
    assert FeatureStream(stream_file, batch_size=64, seed=None)[3][1].tolist() == list(range(192, 256))


def test_a_stream_can_be_read_out_of_order(stream_file):
    from mainstay.pipeline.components.train import FeatureStream

    stream = FeatureStream(stream_file, batch_size=300, seed=2)
    in_order = [stream[index][1].tolist() for index in range(4)]
    assert [stream[index][1].tolist() for index in (2, 0, 3, 1)] == [in_order[i] for i in (2, 0, 3, 1)]
    with pytest.raises(IndexError):
        stream[4]


def test_synthetic_rows_depend_on_seed_and_place_alone(tmp_path):
    short, long = pa.Table.from_batches(transactions(100)), pa.Table.from_batches(transactions(CHUNK_ROWS + 7))
    assert long.num_rows == CHUNK_ROWS + 7
    assert long.slice(0, 100).equals(short)
    assert not short.equals(pa.Table.from_batches(transactions(100, seed=1)))
    assert 0.02 < np.mean(long["is_fraud"].to_numpy()) < 0.04
    write_transactions(tmp_path / "t.parquet", 100)
    import pyarrow.parquet as pq

    assert pq.read_table(tmp_path / "t.parquet")["amount"].equals(short["amount"])


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("data/trips.csv", "trips"),
        ("trips-*.csv.gz", "trips"),
        ("/data/my trips (1).parquet", "my_trips_1"),
        ("folder/", "folder"),
        ("*.csv", "model"),
        (("a.csv", "b.csv"), "a"),
    ],
)
def test_a_model_is_named_after_its_data(data, name):
    assert model_name(data) == name


def test_a_version_is_added_only_where_the_model_differs(tmp_path):
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    (artifact / "weights").write_text("1")
    versions = tmp_path / "model"
    assert publish(artifact, versions) == versions / "1"
    assert publish(artifact, versions) == versions / "1"
    (artifact / "weights").write_text("2")
    assert publish(artifact, versions) == versions / "2"
    assert (versions / "1" / "weights").read_text() == "1"
