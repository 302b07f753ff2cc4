"""Whatever bytes a file holds, a reader gives elements or an error of Mainstay's, and ends."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import MainstayError
from mainstay.data import Dataset, FixedLengthRecordDataset, TextLineDataset, TFRecordDataset, experimental
from mainstay.io import FixedLenFeature, frame_record, serialize_examples

PIECES = [
    b"1",
    b"x",
    b",",
    b'"',
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xff",
    b"{",
    b'"a"',
    b": ",
    b"}",
    b"[",
    b"]",
    b"1e999",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)
FRAMES = st.lists(st.one_of(st.binary(max_size=20), st.binary(max_size=20).map(frame_record)), max_size=6).map(b"".join)


def settle(make: Any) -> None:
    """Read everything, in order and shuffled."""
    for change in (lambda dataset: dataset, lambda dataset: dataset.shuffle(4, seed=1).batch(2)):
        try:
            for number, _ in enumerate(change(make())):
                assert number < 1000
        except MainstayError:
            continue


@settings(max_examples=60)
@given(text=TEXTS)
def test_texts_of_all_kinds(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile.csv"
    path.write_bytes(b"a,b\n" + text)
    settle(lambda: Dataset.from_csv(path))
    settle(lambda: Dataset.from_csv(path, dtypes={"a": "float32", "b": "int8"}, defaults={"b": 0}))
    settle(lambda: experimental.CsvDataset(path, [[1.0], "string"], header=True))
    settle(lambda: experimental.CsvDataset(path, ["string", "string"], use_quote_delim=False))
    settle(lambda: TextLineDataset(path))
    path.write_bytes(text)
    settle(lambda: Dataset.from_csv(path))
    settle(lambda: Dataset.from_jsonl(path))
    settle(lambda: Dataset.from_jsonl(path, columns=["a"], dtypes={"a": "int64"}))
    settle(lambda: experimental.make_csv_dataset(str(path), 2, num_epochs=1, ignore_errors=True))


@settings(max_examples=60)
@given(data=FRAMES, compression=st.sampled_from([None, None, "GZIP", "ZLIB", "ZSTD"]))
def test_records_of_all_kinds(tmp_path_factory: pytest.TempPathFactory, data: bytes, compression: str | None) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile.tfrecord"
    magic = {"GZIP": b"\x1f\x8b\x08", "ZLIB": b"\x78\x9c", "ZSTD": b"\x28\xb5\x2f\xfd"}.get(compression or "", b"")
    path.write_bytes(magic + data)
    settle(lambda: TFRecordDataset(path, compression))
    settle(lambda: TFRecordDataset(path, compression, on_error="skip"))
    settle(lambda: Dataset.from_tfrecord(path, features={"x": FixedLenFeature((), "int64")}))
    settle(lambda: FixedLengthRecordDataset(path, 3, compression_type=compression))


@settings(max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), cut=st.booleans())
def test_a_byte_of_a_file_is_changed(
    tmp_path_factory: pytest.TempPathFactory, place: float, byte: int, cut: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    pq.write_table(pa.table({"n": np.arange(50), "s": ["text"] * 50, "l": [[1, 2]] * 50}), folder / "a.parquet")
    records = serialize_examples({"n": np.arange(9)}).to_pylist()
    (folder / "a.tfrecord").write_bytes(b"".join(map(frame_record, records)))
    for name in ("a.parquet", "a.tfrecord"):
        data = bytearray((folder / name).read_bytes())
        data[int(place * len(data))] = byte
        (folder / name).write_bytes(data[: int(place * len(data))] if cut else data)
    settle(lambda: Dataset.from_parquet(folder / "a.parquet"))
    settle(lambda: Dataset.from_tfrecord(folder / "a.tfrecord", features={"n": FixedLenFeature((), "int64")}))
