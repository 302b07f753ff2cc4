"""Sources of files go to worker processes, and give the same elements there."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mainstay.data import Dataset, FixedLengthRecordDataset, TextLineDataset, TFRecordDataset, experimental
from mainstay.data.operations.reading import of_source
from mainstay.data.sources.source import Stream
from mainstay.io import FixedLenFeature, serialize_examples, write_records


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_records(tmp_path / "a.tfrecord", serialize_examples({"n": np.arange(50)}))
    (tmp_path / "a.csv").write_text("n,s\n1,x\n2,y\n")
    (tmp_path / "a.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    pq.write_table(pa.table({"n": [1, 2], "s": ["x", "y"]}), tmp_path / "a.parquet")
    return tmp_path


def source_of(dataset: Dataset) -> Any:
    plan = dataset.plan
    while plan.inputs:
        plan = plan.inputs[0]
    return plan.source  # type: ignore[attr-defined]


def test_every_source_of_files_can_be_sent(folder: Path) -> None:
    features = {"n": FixedLenFeature((), "int64")}
    datasets = [
        Dataset.from_tfrecord(folder / "a.tfrecord", features=features),
        TFRecordDataset(folder / "a.tfrecord", on_error="skip"),
        Dataset.from_csv(folder / "a.csv", label="s"),
        Dataset.from_parquet(folder / "a.parquet", label="s"),
        Dataset.from_jsonl(folder / "a.jsonl"),
        Dataset.from_files([folder / "a.csv"]),
        TextLineDataset(folder / "a.csv"),
        FixedLengthRecordDataset(folder / "a.csv", 1),
        experimental.CsvDataset(folder / "a.csv", ["int32", "string"], header=True),
        experimental.make_csv_dataset(str(folder / "a.csv"), 1, num_epochs=1),
    ]
    for dataset in datasets:
        source = source_of(dataset)
        forms = [source]
        if isinstance(source, Stream):
            forms += [form for form in (source.rows(), source.blocks()) if form is not None]
        for form in forms:
            sent = pickle.loads(pickle.dumps(form))
            assert str(list(of_source(sent))) == str(list(of_source(form)))
            assert sent.fingerprint() == form.fingerprint()
            assert sent.content() == form.content()
