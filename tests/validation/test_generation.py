"""The same data gives the same statistics from CSV, from Parquet and from memory."""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from mainstay import validation
from mainstay.core import DataError


@pytest.fixture
def table():
    generator = np.random.default_rng(0)
    return pa.table(
        {
            "fare": pa.array(generator.normal(size=2000), mask=generator.random(2000) < 0.1),
            "count": generator.integers(0, 50, 2000),
            "city": np.array(["Ulm", "Köln", "Jena"], object)[generator.integers(0, 3, 2000)],
        }
    )


def test_csv_parquet_and_memory_agree_to_the_bit(table, tmp_path):
    pa.csv.write_csv(table, tmp_path / "table.csv")
    pa.parquet.write_table(table, tmp_path / "table.parquet", row_group_size=300)
    made = [
        validation.generate_statistics_from_csv(tmp_path / "table.csv"),
        validation.generate_statistics_from_parquet(str(tmp_path / "table.parquet")),
        validation.generate_statistics_from_batches(table),
        validation.generate_statistics_from_batches(iter(table.to_batches(77))),
        validation.generate_statistics_from_batches(table.combine_chunks().to_batches()[0]),
        validation.generate_statistics_from_batches({name: table[name] for name in table.column_names}),
    ]
    for statistics in made[1:]:
        assert statistics == made[0]


def test_columns_can_be_left_out_and_typed(tmp_path):
    path = tmp_path / "zip.csv"
    path.write_text("zip,x\n02134,1\n00501,2\n")
    statistics = validation.generate_statistics_from_csv(path, dtypes={"zip": "string"}, exclude=["x"])
    (feature,) = statistics.datasets[0].features
    assert [top.value for top in feature.string_stats.top_values] == ["02134", "00501"]


def test_arrays_of_other_types_are_widened():
    statistics = validation.generate_statistics_from_batches(
        {
            "small": np.array([1, 2], np.int8),
            "half": np.array([0.5, 1.5], np.float16),
            "single": np.array([0.5, 1.5], np.float32),
            "day": [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)],
            "objects": np.array(["a", None], object),
        }
    )
    kinds = [feature.custom_stats[-1].str for feature in statistics.datasets[0].features]
    assert kinds == ["int", "float", "float", "timestamp", "string"]


def test_an_empty_table_has_statistics_of_its_columns(table):
    for empty in (table.slice(0, 0), table.schema.empty_table(), [pa.record_batch({"x": pa.array([], pa.int64())})]):
        assert validation.generate_statistics_from_batches(empty).datasets[0].num_examples == 0


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([], "no batch"),
        ([{"a": 1}], "record batches"),
        ({"a": [1, 2], "b": [1]}, "numbers of rows"),
        ({"a": [1, "x"]}, "column 'a'"),
        ({"a": [[1], [2]]}, "column 'a'"),
        ({"a": np.array([2**64 - 1], np.uint64)}, "column 'a'"),
        ([pa.record_batch({"a": [1]}), pa.record_batch({"a": ["x"]})], "does not have the columns"),
    ],
)
def test_what_is_no_table_is_refused(batches, words):
    with pytest.raises(DataError, match=words):
        validation.generate_statistics_from_batches(batches)


def test_a_missing_file_is_refused_naming_it(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        validation.generate_statistics_from_csv(tmp_path / "nowhere.csv")
