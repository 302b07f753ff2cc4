"""Columns: every form in which a caller hands in rows becomes the same values, or is refused."""

import datetime
import decimal
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import TransformError
from mainstay.hostops import Column, as_column, column_from_arrow, columns_from_batch


def rows_of(column: Column) -> list:
    values = column.values.to_pylist() if isinstance(column.values, pa.Array) else column.values.tolist()
    missing = [False] * len(values) if column.missing is None else column.missing.tolist()
    return [None if gone else value for gone, value in zip(missing, values, strict=True)]


@pytest.mark.parametrize(
    ("value", "dtype", "want"),
    [
        ([1, 2], "int64", [1, 2]),
        ([1, None], "int64", [1, None]),
        ((1.5, None), "float64", [1.5, None]),
        ([1, 2.5], "float64", [1.0, 2.5]),
        ([True, None], "bool", [True, None]),
        ([1, 2], "float32", [1.0, 2.0]),
        ([0.1], "float32", [float(np.float32(0.1))]),
        ([2**53 + 1], "float64", [2.0**53]),
        ([2**70], "float64", [2.0**70]),
        ([2**63, None], "float64", [2.0**63, None]),
        ([2**63, 1.5], "float64", [2.0**63, 1.5]),
        (["a", None, b"b"], "string", ["a", None, "b"]),
        (["a", math.nan], "string", ["a", None]),
        (np.array(["a", None], object), "string", ["a", None]),
        (np.array(["a", "b"]), "string", ["a", "b"]),
        (np.array([b"a"], "S3"), "string", ["a"]),
        ([None, None], "string", [None, None]),
        ([None], "float32", [None]),
        ([], "string", []),
        ([], "int64", []),
        (np.array([1, 2], np.uint8), "int64", [1, 2]),
        (np.array([1, 2], ">i4"), "int64", [1, 2]),
        (np.array([1.5], ">f8"), "float64", [1.5]),
        (np.array([1.5], np.float16), "float64", [1.5]),
        (np.array([True]), "float64", [1.0]),
        ([np.int64(3), np.float64(1.5)], "float64", [3.0, 1.5]),
        ([5], "int32", [5]),
        (pa.array([1, None], pa.int8()), "int64", [1, None]),
        (pa.array([1, None], pa.uint64()), "float64", [1.0, None]),
        (pa.array([None, None]), "float64", [None, None]),
        (pa.array([None, None]), "string", [None, None]),
        (pa.array([True, None]), "bool", [True, None]),
        (pa.array([1.5, None], pa.float16()), "float64", [1.5, None]),
        (pa.array([decimal.Decimal("1.25"), None]), "float64", [1.25, None]),
        (pa.array(["a", None]).dictionary_encode(), "string", ["a", None]),
        (pa.array([1, None]).dictionary_encode(), "int64", [1, None]),
        (pa.array(["a", None], pa.string_view()), "string", ["a", None]),
        (pa.array([1, 2, None, 4])[1:], "int64", [2, None, 4]),
        (pa.chunked_array([[1], [None, 3]]), "int64", [1, None, 3]),
        (pa.DictionaryArray.from_arrays([0, 1, 0], pa.array(["a", None])), "string", ["a", None, "a"]),
    ],
)
def test_every_form_of_a_column_is_read(value, dtype, want):
    column = as_column(value, dtype)
    assert rows_of(column) == want
    assert dtype == "string" or column.values.dtype == dtype


def test_long_columns_of_objects_are_read_as_short_ones():
    long = np.array(["a", None, "ä", "\udcff"] * 50, object)
    assert rows_of(as_column(long, "string")) == ["a", None, "ä", "\udcff"] * 50
    assert rows_of(as_column(np.array(["a", None, math.nan] * 50, object), "string")) == ["a", None, None] * 50
    assert rows_of(as_column(np.array([1, None] * 50, object), "int64")) == [1, None] * 50


def test_what_stands_where_a_value_is_missing_does_not_matter():
    values = np.array(["a", None, 5], object)
    column = as_column(Column(values, np.array([False, True, True])), "string")
    assert rows_of(column) == ["a", None, None]
    assert all(isinstance(item, str) for item in column.values.tolist())


def test_times_become_microseconds():
    moment = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    column = as_column([moment, None, datetime.datetime(1969, 1, 1)])
    assert column.values.dtype == "datetime64[us]"
    assert column.values[0] == np.datetime64("2024-05-01T10:00")
    assert column.missing.tolist() == [False, True, False]
    assert as_column(np.array(["NaT", "2024-01-01"], "datetime64[D]")).missing.tolist() == [True, False]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1.0], "int64"),
        ([1], "bool"),
        ([1], "string"),
        (["1"], "float64"),
        ([1, "a"], "string"),
        ([1.5, "a"], None),
        ([2**63], "int64"),
        ([2**31], "int32"),
        ([-(2**64)], "int64"),
        ([10**400], "float64"),
        ([10**400, 1.5], "float64"),
        (np.array([2**63], np.uint64), "int64"),
        (pa.array([2**63], pa.uint64()), "int64"),
        (np.array([1.5]), "int64"),
        (np.array([1j]), None),
        (np.array([1, 2], "timedelta64[s]"), None),
        (np.array(5.0), "float64"),
        (pa.array([[1]]), None),
        (pa.array([{"a": 1}]), None),
        (pa.array([1], pa.time64("us")), None),
        (pa.array(["a"]), "float64"),
        ("abc", "string"),
        (b"abc", "string"),
        ({"a": 1}, None),
        ({1, 2}, None),
        (5, "int64"),
        (None, "int64"),
        ([[1, 2], [3]], None),
        ([[[1]]], None),
        ([object()], None),
        ([datetime.datetime(2024, 1, 1), 5], None),
        ([datetime.date(2024, 1, 1), "2024-01-01"], "string"),
        ([{}], "string"),
    ],
)
def test_a_column_of_the_wrong_type_is_refused(value, dtype):
    with pytest.raises(TransformError):
        as_column(value, dtype)


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=100))
def test_integers_are_the_same_in_every_form(rows):
    want = rows_of(as_column(rows, "int64"))
    assert want == rows
    assert rows_of(as_column(pa.array(rows, pa.int64()), "int64")) == rows
    floats = [as_column(form, "float32") for form in (rows, pa.array(rows, pa.int64()), np.array(rows, object))]
    assert rows_of(floats[0]) == rows_of(floats[1]) == rows_of(floats[2])


@given(st.lists(st.none() | st.floats(width=32), max_size=100))
def test_floats_are_the_same_in_every_form(rows):
    for dtype in ("float32", "float64"):
        want = as_column(rows, dtype)
        got = as_column(pa.array(rows, pa.float32()), dtype)
        present = slice(None) if want.missing is None else ~want.missing
        assert got.values[present].tobytes() == want.values[present].tobytes()


def test_a_batch_becomes_columns_by_name():
    batch = pa.record_batch({"a": [1, None], "b": ["x", "y"]})
    columns = columns_from_batch(batch)
    assert {name: rows_of(column) for name, column in columns.items()} == {"a": [1, None], "b": ["x", "y"]}


def test_numbers_without_missing_values_are_not_copied():
    array = pa.array(np.arange(1000.0))
    column = column_from_arrow(array)
    assert column.values.__array_interface__["data"][0] == array.buffers()[1].address
