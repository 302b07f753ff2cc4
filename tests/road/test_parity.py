"""The parity law: a row has the same features and the same prediction wherever it is asked for."""

import datetime
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import digest_tree
from mainstay.hostops import columns_from_batch
from mainstay.io import ArrowFile
from mainstay.pipeline.components.features import features_of, pack, unpack
from mainstay.pipeline.components.model import build_model
from mainstay.pipeline.components.transform import read_graph, read_problem

TEXT = st.one_of(
    st.sampled_from(["CHF", "EUR", "CH", "chip", "Café Market 1", "Łódź Élan 2", "grocery", "__missing__"]),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=12),
)
NUMBER = st.floats(allow_nan=False, allow_infinity=False, width=64)
INTEGER = st.one_of(st.integers(0, 100), st.integers(-(2**63), 2**63 - 1), st.integers(2**31 - 2, 2**53 + 2))
TIME = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1))
KINDS = {"string": TEXT, "float64": NUMBER, "int64": INTEGER, "bool": st.booleans()}
ARROW = {"string": pa.string(), "float64": pa.float64(), "int64": pa.int64(), "bool": pa.bool_()}


def rows_of(inputs):
    columns = {}
    for item in inputs:
        kind = TIME if item.spec.name == "transaction_time" else KINDS[item.spec.dtype]
        columns[item.spec.name] = st.none() | kind if item.optional else kind
    return st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=6)


def as_batch(rows, inputs):
    def kind(item):
        return pa.timestamp("us") if item.spec.name == "transaction_time" else ARROW[item.spec.dtype]

    schema = pa.schema([(item.spec.name, kind(item)) for item in inputs])
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def as_json(rows):
    return [
        {
            name: value.isoformat() if isinstance(value, datetime.datetime) else value
            for name, value in row.items()
            if value is not None
        }
        for row in rows
    ]


@pytest.fixture(scope="module")
def artifacts(road):
    return road.output / "pipeline" / "artifacts"


def equal(left, right):
    return np.array_equal(np.asarray(left), np.asarray(right), equal_nan=np.asarray(left).dtype.kind == "f")


def test_features_are_bit_identical_in_training_offline_and_over_http(artifacts, model, served):
    graph = read_graph(next(p.parent for p in artifacts.glob("analyze/graph/*/host_graph.json")))
    offline = model.signatures["transform_features"]

    @settings(max_examples=60)
    @given(rows_of(graph.inputs))
    def law(rows):
        trained = graph(columns_from_batch(as_batch(rows, graph.inputs)))
        by_column = {name: [row[name] for row in rows] for name in rows[0]}
        by_column["transaction_time"] = [value.isoformat() for value in by_column["transaction_time"]]
        loaded = offline(by_column)
        status, body = served({"instances": as_json(rows), "signature_name": "transform_features"})
        assert status == 200, body
        for name, values in trained.items():
            assert equal(values, loaded[name]), name
            sent = np.array([row[name] for row in body["predictions"]], np.asarray(values).dtype)
            assert equal(values, sent), name

    law()


def test_predictions_of_artifact_and_http_are_equal_and_those_of_keras_within_a_millionth(
    artifacts, road, model, served
):
    signature = model.signatures["serving_default"]
    graph = read_graph(next(p.parent for p in artifacts.glob("analyze/graph/*/host_graph.json")))
    keras_model = trained_keras_model(artifacts, model)

    @settings(max_examples=40)
    @given(rows_of(signature.inputs))
    def law(rows):
        columns = columns_from_batch(as_batch(rows, signature.inputs))
        loaded = signature(columns)["probabilities"]
        packed = pack(features_of(graph), graph(columns))
        expected = keras_model.predict(unpack(features_of(graph), *packed), verbose=0)
        np.testing.assert_allclose(loaded, expected, rtol=0, atol=1e-6)
        status, body = served({"instances": as_json(rows)})
        assert status == 200, body
        sent = np.array([row["probabilities"] for row in body["predictions"]], np.float32)
        np.testing.assert_allclose(sent, loaded, rtol=0, atol=1e-6)
        assert all(math.isfinite(value) for value in sent.ravel())

    law()


def trained_keras_model(artifacts, model):
    """Build the model of the run anew and give it the weights of the version that is loaded."""
    features = next(p.parent for p in artifacts.glob("transform/features/*/features.json"))
    built = build_model(*read_problem(features), reference=None)
    wanted = model.manifest.provenance["model"]
    folder = next(p.parent for p in artifacts.glob("train/model/*/model.weights.h5") if digest_tree(p.parent) == wanted)
    built.load_weights(folder / "model.weights.h5")
    return built


def test_held_out_rows_get_the_same_answers_in_one_batch_and_one_by_one(artifacts, model):
    file = ArrowFile(next(artifacts.glob("ingest/examples/*/eval.arrow")))
    batch = file.read(0).slice(0, 40)
    signature = model.signatures["serving_default"]
    whole = signature(columns_from_batch(batch))
    for row in range(batch.num_rows):
        alone = signature(columns_from_batch(batch.slice(row, 1)))
        assert equal(alone["probabilities"], whole["probabilities"][row : row + 1])
        assert equal(alone["label"], whole["label"][row : row + 1])
