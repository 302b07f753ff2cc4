"""Statistics of a table: every kind of column, the same bits however rows are cut, merged or threaded."""

import contextlib
import datetime
import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArgumentError, DataError, FormatError
from mainstay.statistics import TableAccumulator

SCHEMA = pa.schema(
    [
        ("i", pa.int64()),
        ("f", pa.float64()),
        ("g", pa.float32()),
        ("b", pa.bool_()),
        ("s", pa.string()),
        ("d", pa.dictionary(pa.int32(), pa.string())),
        ("t", pa.timestamp("us")),
        ("z", pa.timestamp("us", "UTC")),
        ("n", pa.null()),
    ]
)
MOMENT = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1))
ROW = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(),
    st.none() | st.floats(width=32),
    st.none() | st.booleans(),
    st.none() | st.text(max_size=3),
    st.none() | st.sampled_from("xyz"),
    st.none() | MOMENT,
    st.none() | MOMENT,
    st.none(),
)
ROWS = st.lists(ROW, max_size=25)


def batch_of(rows):
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(SCHEMA)
    arrays = [
        pa.array(column, field.type if not pa.types.is_dictionary(field.type) else pa.string())
        for column, field in zip(columns, SCHEMA, strict=True)
    ]
    arrays[5] = arrays[5].dictionary_encode()
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def table_of(*batches, schema=None, num_threads=1):
    table = TableAccumulator(schema or batches[0].schema, num_threads=num_threads)
    for batch in batches:
        table.update(batch)
    return table


def wide(num_rows, seed=0):
    generator = np.random.default_rng(seed)
    text = np.array([f"word {n}" for n in range(500)], object)
    return pa.table(
        {
            "few": generator.integers(0, 9, num_rows),
            "many": pa.array(generator.normal(size=num_rows), mask=generator.random(num_rows) < 0.1),
            "text": pa.array(text[generator.integers(0, 500, num_rows)]),
            "code": pa.array(text[generator.integers(0, 500, num_rows)]).dictionary_encode(),
            "flag": generator.random(num_rows) < 0.3,
        }
    )


@settings(max_examples=40)
@given(ROWS)
def test_figures_of_every_kind_are_exact(rows):
    result = table_of(batch_of(rows)).result()
    assert result.num_rows == len(rows)
    assert [column.kind for column in result.columns.values()] == [
        *("int", "float", "float", "bool", "string", "string", "timestamp", "timestamp", "null")
    ]
    for place, (name, column) in enumerate(result.columns.items()):
        values = [row[place] for row in rows if row[place] is not None]
        assert (column.num_present, column.num_missing) == (len(values), len(rows) - len(values)), name
        known = [value for value in values if value == value]
        assert column.distinct == len(set(known)), name
        if column.numeric is not None and known and name in "ifgb":
            assert (column.numeric.min, column.numeric.max) == (min(known), max(known))
            assert column.numeric.zeros == sum(value == 0 for value in known)
            assert column.numeric.nan == len(values) - len(known)
            assert sum(column.numeric.histogram.count) == len(known)
            assert column.numeric.quantiles[0] == min(known)
            assert len(column.numeric.quantiles) == 1001


@settings(max_examples=40)
@given(ROWS, ROWS)
def test_merging_and_bytes_give_the_statistics_of_the_single_pass(left, right):
    whole = table_of(batch_of(left), batch_of(right))
    first, second = table_of(batch_of(left)), table_of(batch_of(right))
    again = TableAccumulator.from_bytes(first.to_bytes())
    first.merge(second)
    again.merge(second)
    assert repr(again.result()) == repr(first.result())
    one, other = whole.result(), first.result()
    assert one.num_rows == other.num_rows
    for name, column in one.columns.items():
        merged = other.columns[name]
        assert (column.num_present, column.distinct, column.string) == (
            *(merged.num_present, merged.distinct, merged.string),
        )
        if column.numeric is not None and merged.numeric is not None:
            assert column.numeric.quantiles == merged.numeric.quantiles
            assert column.numeric.histogram == merged.numeric.histogram


@pytest.mark.parametrize("batch_rows", [1000, 65536, 200_000])
@pytest.mark.parametrize("num_threads", [1, 3])
def test_the_same_rows_give_the_same_bytes_however_cut_and_threaded(batch_rows, num_threads):
    table = wide(150_000)
    expected = table_of(*table.to_batches(65536))
    other = table_of(*table.to_batches(batch_rows), schema=table.schema, num_threads=num_threads)
    assert other.to_bytes() == expected.to_bytes()
    assert other.result() == expected.result()


def test_asking_on_the_way_changes_nothing():
    batches = wide(150_000).to_batches(40_000)
    asked, silent = table_of(batches[0]), table_of(batches[0])
    for batch in batches[1:]:
        asked.result()
        asked.to_bytes()
        asked.update(batch)
        silent.update(batch)
    assert asked.to_bytes() == silent.to_bytes()


def test_many_rows_agree_with_arrow():
    table = wide(150_000)
    result = table_of(*table.to_batches()).result()
    many = result.columns["many"].numeric
    column = table["many"]
    assert many.mean == pytest.approx(pc.mean(column).as_py(), abs=1e-12)
    assert many.std == pytest.approx(pc.stddev(column).as_py(), rel=1e-12)
    assert result.columns["many"].num_missing == column.null_count
    exact = np.sort(column.drop_null().to_numpy())
    ranks = np.searchsorted(exact, many.quantiles) / len(exact)
    assert np.abs(ranks - np.linspace(0, 1, 1001)).max() <= many.rank_error + 1 / len(exact)
    assert many.distinct == pytest.approx(len(exact), rel=0.06)
    assert result.columns["flag"].numeric.mean == pytest.approx(pc.mean(table["flag"].cast(pa.int8())).as_py())
    counted = {item["values"]: item["counts"] for item in pc.value_counts(table["text"]).to_pylist()}
    assert dict(result.columns["text"].string.top_values) == counted


def test_no_rows_have_statistics_too():
    result = table_of(batch_of([])).result()
    assert result.num_rows == 0
    assert math.isnan(result.columns["f"].numeric.mean)
    assert result.columns["f"].numeric.quantiles == ()
    assert result.columns["s"].string.top_values == ()


def test_more_buckets_can_be_asked_for():
    column = table_of(wide(1000).to_batches()[0]).result(num_histogram_buckets=25).columns["many"]
    assert len(column.numeric.histogram) == 25


@pytest.mark.parametrize("kind", [pa.int32(), pa.list_(pa.int64()), pa.decimal128(5), pa.timestamp("ns"), pa.binary()])
def test_other_types_are_refused_naming_the_column(kind):
    with pytest.raises(DataError, match="column 'x'"):
        TableAccumulator(pa.schema([("x", kind)]))


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(DataError, match="same name"):
        TableAccumulator(pa.schema([("x", pa.int64()), ("x", pa.int64())]))


def test_a_batch_with_other_columns_is_refused():
    table = table_of(pa.record_batch({"a": [1], "b": ["x"]}))
    for other in ({"a": [1]}, {"b": ["x"], "a": [1]}, {"a": [1.5], "b": ["x"]}):
        with pytest.raises(DataError, match="does not have the columns"):
            table.update(pa.record_batch(other))
        with pytest.raises(DataError, match="different tables"):
            table.merge(table_of(pa.record_batch(other)))


def test_no_thread_is_refused():
    with pytest.raises(ArgumentError):
        TableAccumulator(SCHEMA, num_threads=0)


def test_edited_bytes_are_refused_or_read_without_another_error():
    rows = [(1, 2.5, 3.5, True, "a", "x", datetime.datetime(2020, 1, 1), None, None)] * 3
    data = table_of(batch_of(rows)).to_bytes()
    generator = np.random.default_rng(5)
    for _ in range(400):
        place, value = int(generator.integers(len(data))), int(generator.integers(256))
        with contextlib.suppress(FormatError):
            TableAccumulator.from_bytes(data[:place] + bytes([value]) + data[place + 1 :]).result()
    for cut in range(0, len(data), 97):
        with pytest.raises(FormatError):
            TableAccumulator.from_bytes(data[:cut])
