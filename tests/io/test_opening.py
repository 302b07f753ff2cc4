import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mainstay.core import ArgumentError, DataError, StorageError
from mainstay.io import Table, open_table


def read(table: Table) -> dict:
    return pa.Table.from_batches(table.batches(), table.schema).to_pydict()


def test_csv_and_parquet_files_of_the_same_rows_are_the_same_table(tmp_path):
    (tmp_path / "a.csv").write_text("n,x,s\n1,0.5,a\n2,,\n")
    pq.write_table(pa.table({"n": [1, 2], "x": [0.5, None], "s": ["a", None]}), tmp_path / "a.parquet")
    one, other = open_table(tmp_path / "a.csv"), open_table(tmp_path / "a.parquet")
    assert one.schema.equals(other.schema)
    assert read(one) == read(other) == {"n": [1, 2], "x": [0.5, None], "s": ["a", None]}
    assert one.files == (tmp_path / "a.csv",)
    assert one.column_names == other.column_names == ("n", "x", "s")


def test_csv_and_parquet_files_do_not_mix(tmp_path):
    (tmp_path / "a.csv").write_text("n\n1\n")
    pq.write_table(pa.table({"n": [1]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: CSV and Parquet files do not mix"):
        open_table(tmp_path)


def test_the_content_decides_where_the_suffix_says_nothing(tmp_path):
    (tmp_path / "rows.data").write_text("n;m\n1;2\n")
    pq.write_table(pa.table({"n": [1]}), tmp_path / "rows.bin")
    assert read(open_table(tmp_path / "rows.data")) == {"n": [1], "m": [2]}
    assert read(open_table(tmp_path / "rows.bin")) == {"n": [1]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"\x7fELF\x02\x01\x01\0", "a program"),
        ("a.csv", b"\x89PNG\r\n\x1a\n", "a PNG image"),
        ("a.csv", b"PK\x03\x04....", "Excel workbook"),
        ("a.csv", b"%PDF-1.7\n", "a PDF document"),
        ("a.csv", b"<!DOCTYPE html><html>", "a web page"),
        ("a.csv", b"PAR1....", "Parquet file"),
        ("a.parquet", b"a,b\n1,2\n", "not a Parquet file"),
        ("a.csv", gzip.compress(b"a\n1\n"), "the suffix and the content disagree"),
        ("a.csv.gz", b"a\n1\n", "the suffix and the content disagree"),
        ("a.csv.zst", b"a\n1\n", "the suffix and the content disagree"),
        ("a.csv.gz", gzip.compress(b"%PDF-1.7\n"), "a PDF document"),
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"\n\r\n\n", "the file is empty"),
        ("a.csv", b"\xef\xbb\xbf", "the file is empty"),
        ("a.csv", b"a,b\n1,\0\n", "line 2: the file is binary"),
        ("a.csv", "a,b\n".encode("utf-16"), "UTF-16.*\n.*\n.*iconv -f UTF-16 -t UTF-8 a.csv"),
        ("a.csv", "a,b\n".encode("utf-16-le"), "(?s)NUL bytes.*iconv"),
        ("a.csv", "größe,b\n".encode("latin-1"), r"(?s)line 1: the text is not UTF-8.*iconv -f WINDOWS-1252"),
        ("a.csv", b"a,b,a,b,c\n", "column names come twice: 'a', 'b'"),
        ("a.csv", b",a\n0,1\n", "column 1 has no name"),
        ("a.csv", b"a,b,\n", "column 3 has no name"),
        ("a.csv", b'\n"a,b\n1,2\n', "line 2: a quoted field begins here and is still open"),
        ("a.csv", b"a" * 300_000, "the header is too long"),
        ("a.csv", b'"' + b"a" * 300_000, "line 1: a quoted field begins here and is still open"),
    ],
)
def test_what_is_no_table_is_refused_saying_what_it_is(tmp_path, monkeypatch, name, content, message):
    monkeypatch.setattr("mainstay.io.csv_file.MAX_RECORD_BYTES", 200_000)
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        open_table(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_with_other_columns_are_refused_naming_the_file_and_the_columns(tmp_path, suffix):
    for name, columns in [("a", ["n", "m"]), ("b", ["n", "k"])]:
        table = pa.table({column: [1] for column in columns})
        if suffix == "parquet":
            pq.write_table(table, tmp_path / f"{name}.parquet")
        else:
            (tmp_path / f"{name}.csv").write_text(",".join(columns) + "\n1,1\n")
    with pytest.raises(DataError, match=rf"(?s)b\.{suffix}: the files .* misses 'm' and has 'k' besides"):
        open_table(tmp_path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_columns_in_another_order_are_put_into_that_of_the_first_file(tmp_path, suffix):
    if suffix == "parquet":
        pq.write_table(pa.table({"n": [1], "s": ["a"]}), tmp_path / "a.parquet")
        pq.write_table(pa.table({"s": ["b"], "n": [2]}), tmp_path / "b.parquet")
    else:
        (tmp_path / "a.csv").write_text("n,s\n1,a\n")
        (tmp_path / "b.csv").write_text("s,n\nb,2\n")
    table = open_table(tmp_path)
    assert table.column_names == ("n", "s")
    assert read(table) == {"n": [1, 2], "s": ["a", "b"]}


@pytest.fixture(params=["csv", "parquet"])
def trips(tmp_path, request):
    table = pa.table({"fare": [1.5, 2.5], "miles": [1, 2], "company": ["a", "b"]})
    if request.param == "parquet":
        pq.write_table(table, tmp_path / "trips.parquet")
    else:
        (tmp_path / "trips.csv").write_text("fare,miles,company\n1.5,1,a\n2.5,2,b\n")
    return tmp_path / f"trips.{request.param}"


def test_excluded_columns_are_left_out(trips):
    table = open_table(trips, exclude=["miles"])
    assert table.column_names == ("fare", "company")
    assert read(table) == {"fare": [1.5, 2.5], "company": ["a", "b"]}


def test_batches_hold_the_columns_that_are_wanted_in_that_order_and_can_be_had_again(trips):
    table = open_table(trips)
    batches = table.batches(["company", "fare"])
    assert next(batches).schema.names == ["company", "fare"]
    for _ in range(2):
        assert [batch.to_pydict() for batch in table.batches(["miles"])] == [{"miles": [1, 2]}]


def test_batches_have_at_most_so_many_rows(trips):
    assert [batch.num_rows for batch in open_table(trips, batch_rows=1).batches()] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"exclude": ["mile"]}, "did you mean 'miles'"),
        ({"exclude": "miles"}, r"write \['miles'\]"),
        ({"exclude": ["fare", "miles", "company"]}, "every column is excluded"),
        ({"dtypes": {"fair": "string"}}, "did you mean 'fare'"),
        ({"dtypes": {"fare": "float"}}, "unknown dtype"),
        ({"batch_rows": 0}, "batch_rows"),
    ],
)
def test_wrong_arguments_are_refused(trips, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        open_table(trips, **arguments)


@pytest.mark.parametrize("columns", [["fair"], ["fare", "fare"], [], "fare"])
def test_wrong_columns_are_refused_before_anything_is_read(trips, columns):
    table = open_table(trips)
    with pytest.raises(ArgumentError):
        table.batches(columns)


def test_a_file_that_vanished_is_an_error_of_the_file_system(trips):
    table = open_table(trips)
    trips.unlink()
    with pytest.raises(StorageError, match=str(trips)):
        list(table.batches())


class FailingSink:
    def __init__(self, schema, at):
        self.at, self.aborted = at, 0

    def write(self, batch):
        if self.at == "write":
            raise ZeroDivisionError

    def close(self):
        if self.at == "close":
            raise ZeroDivisionError

    def abort(self):
        self.aborted += 1


@pytest.mark.parametrize("at", ["write", "close"])
def test_a_sink_that_fails_is_aborted(trips, at):
    sinks = []

    def make_sink(schema):
        sinks.append(FailingSink(schema, at))
        return sinks[-1]

    with pytest.raises(ZeroDivisionError):
        open_table(trips).scan(make_sink)
    assert [sink.aborted for sink in sinks] == [1]
