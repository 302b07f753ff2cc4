import datetime
import decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import DataError
from mainstay.io import open_table

DAY = datetime.date(2024, 2, 29)
MOMENT = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456)


@pytest.fixture
def write(tmp_path):
    def write_table(columns, name="rows.parquet", **options):
        pq.write_table(pa.table(columns), tmp_path / name, **options)
        return tmp_path / name

    return write_table


def read(table):
    return pa.Table.from_batches(table.batches(), table.schema).to_pydict()


UTC = datetime.UTC
CASES = [
    (pa.array([1, None], pa.int8()), "int64", [1, None]),
    (pa.array([1, None], pa.uint32()), "int64", [1, None]),
    (pa.array([2**63 - 1, None], pa.uint64()), "int64", [2**63 - 1, None]),
    (pa.array([1.5, float("nan")], pa.float32()), "float", [1.5, None]),
    (pa.array([np.float16(1.5), None], pa.float16()), "double", [1.5, None]),
    (pa.array([1.5, float("nan")]), "double", [1.5, None]),
    (pa.array([decimal.Decimal("1.25"), None]), "double", [1.25, None]),
    (pa.array([True, None]), "bool", [True, None]),
    (pa.array(["a", ""]), "string", ["a", None]),
    (pa.array(["a", None], pa.large_string()), "string", ["a", None]),
    (pa.array(["a", None], pa.string_view()), "string", ["a", None]),
    (pa.array([b"a", None]), "string", ["a", None]),
    (pa.array([b"ab", None], pa.binary(2)), "string", ["ab", None]),
    (pa.array(["a", None]).dictionary_encode(), "string", ["a", None]),
    (pa.array([DAY, None]), "timestamp[us]", [datetime.datetime(2024, 2, 29), None]),
    (pa.array([MOMENT, None], pa.timestamp("ms")), "timestamp[us]", [MOMENT.replace(microsecond=123000), None]),
    (pa.array([1001, None], pa.timestamp("ns")), "timestamp[us]", [datetime.datetime(1970, 1, 1, 0, 0, 0, 1), None]),
    (
        pa.array([MOMENT, None], pa.timestamp("us", "Europe/Berlin")),
        "timestamp[us, tz=UTC]",
        [MOMENT.replace(tzinfo=UTC), None],
    ),
    (pa.array([datetime.time(1, 2, 3), None]), "string", ["01:02:03.000000", None]),
    (pa.nulls(2), "null", [None, None]),
]


@pytest.mark.parametrize(("array", "kind", "values"), CASES, ids=lambda case: str(getattr(case, "type", "")))
def test_every_type_becomes_one_of_the_few_of_a_table(write, array, kind, values):
    table = open_table(write({"x": array}))
    assert str(table.schema.field("x").type) == kind
    assert read(table) == {"x": values}


@pytest.mark.parametrize(
    "array",
    [
        pa.array([[1], [2]]),
        pa.array([{"a": 1}]),
        pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([5], pa.duration("s")),
    ],
    ids=["list", "struct", "map", "duration"],
)
def test_types_that_tables_do_not_have_are_refused_unless_excluded(write, array):
    path = write({"n": range(len(array)), "deep": array})
    with pytest.raises(DataError, match=r"(?s)rows\.parquet: the column 'deep' is .*exclude the column"):
        open_table(path)
    assert read(open_table(path, exclude=["deep"])) == {"n": list(range(len(array)))}


ASKED = [
    ([1, 0, None], "string", ["1", "0", None]),
    ([1, 0, None], "float64", [1.0, 0.0, None]),
    ([1, 0, None], "bool", [True, False, None]),
    ([1.0, None], "int64", [1, None]),
    ([True, None], "int64", [1, None]),
    ([True, None], "string", ["true", None]),
    (["007", "NA", None], "int64", [7, None, None]),
    (["1e3", None], "float64", [1000.0, None]),
    (["true", "0"], "bool", [True, False]),
    (["2024-02-29", None], "timestamp", [datetime.datetime(2024, 2, 29), None]),
    ([MOMENT], "string", ["2024-02-29 12:30:15.123456"]),
    ([MOMENT], "timestamp", [MOMENT]),
    (pa.nulls(1), "timestamp", [None]),
    (pa.nulls(1), "bool", [None]),
    (pa.array([2**63], pa.uint64()), "float64", [2.0**63]),
    (pa.array([2**63], pa.uint64()), "string", [str(2**63)]),
]


@pytest.mark.parametrize(("values", "dtype", "wanted"), ASKED)
def test_a_dtype_that_is_given_holds(write, values, dtype, wanted):
    table = open_table(write({"x": values}), dtypes={"x": dtype})
    kind = {"float64": "double", "timestamp": "timestamp[us]"}.get(dtype, dtype)
    assert str(table.schema.field("x").type) == kind
    assert read(table) == {"x": wanted}


@pytest.mark.parametrize(
    ("values", "dtype", "received"),
    [
        ([1.0, 2.5], "int64", "2.5"),
        ([1, 2], "bool", "2"),
        (["1", "x"], "int64", "'x'"),
        (["2024-01-01", "soon"], "timestamp", "'soon'"),
        (pa.array([1, 2**63], pa.uint64()), None, str(2**63)),
        (pa.array([b"a", b"\xff"]), None, r"b'\\xff'"),
        (pa.array([0, 2**62], pa.timestamp("ms")), None, ""),
    ],
)
def test_a_value_that_does_not_fit_is_refused_naming_its_row(write, values, dtype, received):
    path = write({"n": [1, 2], "x": values})
    table = open_table(path, dtypes={"x": dtype} if dtype else {}, batch_rows=1)
    with pytest.raises(DataError, match=rf"(?s)rows\.parquet, row 2: .*'x'.*received: .*{received}"):
        list(table.batches())


@pytest.mark.parametrize(("values", "dtype"), [([1], "timestamp"), ([MOMENT], "int64"), ([1.5], "timestamp")])
def test_a_dtype_that_no_value_can_have_is_refused_at_once(write, values, dtype):
    with pytest.raises(DataError, match=rf"the column 'x' cannot become {dtype}"):
        open_table(write({"x": values}), dtypes={"x": dtype})


def test_files_with_integers_floats_and_nothing_have_floats_in_common(write):
    write({"x": [1]}, "1.parquet")
    write({"x": pa.nulls(1)}, "2.parquet")
    path = write({"x": [2.5]}, "3.parquet").parent
    assert read(open_table(path)) == {"x": [1.0, None, 2.5]}
    assert [batch.schema.field("x").type for batch in open_table(path).batches()] == [pa.float64()] * 3


def test_files_whose_types_have_nothing_in_common_are_refused_naming_file_and_column(write):
    write({"x": [1]}, "1.parquet")
    path = write({"x": ["a"]}, "2.parquet").parent
    with pytest.raises(DataError, match=r"(?s)2\.parquet: the column 'x' has different types.*'string'"):
        open_table(path)
    assert read(open_table(path, dtypes={"x": "string"})) == {"x": ["1", "a"]}


def test_a_file_without_rows_is_a_table_without_rows(write):
    table = open_table(write({"x": pa.array([], pa.int32()), "s": pa.array([], pa.string())}))
    assert [str(kind) for kind in table.schema.types] == ["int64", "string"]
    assert list(table.batches()) == []


def test_a_truncated_or_damaged_file_is_refused_naming_it(write):
    path = write({"x": range(100_000)}, compression="none", write_page_checksum=True, use_dictionary=False)
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(DataError, match=r"rows\.parquet: the Parquet file is truncated or damaged"):
        open_table(path)
    path.write_bytes(content[:4])
    with pytest.raises(DataError, match="truncated or damaged"):
        open_table(path)
    path.write_bytes(content[:200_000] + b"\0" * 100 + content[200_100:])
    table = open_table(path)
    with pytest.raises(DataError, match="truncated or damaged"):
        list(table.batches())


def test_column_names_that_come_twice_or_are_empty_are_refused(tmp_path):
    twice = pa.table([[1], [2]], names=["a", "a"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(DataError, match=r"twice\.parquet: column names come twice: 'a'"):
        open_table(tmp_path / "twice.parquet")
    pq.write_table(pa.table({"": [1]}), tmp_path / "empty.parquet")
    with pytest.raises(DataError, match="column 1 has no name"):
        open_table(tmp_path / "empty.parquet")


def test_rows_with_long_texts_come_in_smaller_batches(write):
    texts = [f"{index}" + "x" * 100_000 for index in range(400)]
    sizes = [batch.num_rows for batch in open_table(write({"x": texts}, use_dictionary=False)).batches()]
    assert sum(sizes) == 400
    assert max(sizes) < 200


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.floats(allow_nan=False),
            st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=5),
            st.none() | st.booleans(),
            st.none() | st.datetimes(datetime.datetime(1800, 1, 1)),
        ),
        max_size=30,
    ),
    st.integers(1, 10),
)
def test_what_is_written_is_read_whatever_the_row_groups(tmp_path_factory, rows, group):
    path = tmp_path_factory.getbasetemp() / "rows.parquet"
    kinds = [pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.timestamp("us")]
    columns = [pa.array([row[index] for row in rows], kind) for index, kind in enumerate(kinds)]
    wanted = pa.table(columns, names=list("abcde"))
    pq.write_table(wanted, path, row_group_size=group)
    table = open_table(path, batch_rows=3)
    assert pa.Table.from_batches(table.batches(), table.schema).equals(wanted)
