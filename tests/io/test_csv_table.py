import gzip
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from mainstay.core import DataError
from mainstay.io import open_table
from mainstay.io.csv_table import CsvTable


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="rows.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file


def table_of(path, block_bytes=None, **options):
    return CsvTable([path], **{"dtypes": {}, "exclude": (), "batch_rows": 100, **options}, block_bytes=block_bytes)


def read(table):
    return pa.Table.from_batches(table.batches(), table.schema).to_pydict()


def types(table):
    return {field.name: str(field.type) for field in table.schema}


class Collected:
    made: list = []  # noqa: RUF012 - emptied by `scan`

    def __init__(self, schema):
        self.schema, self.batches, self.aborted = schema, [], False
        Collected.made.append(self)

    def write(self, batch):
        self.batches.append(batch)

    def close(self):
        return pa.Table.from_batches(self.batches, self.schema).to_pydict()

    def abort(self):
        self.aborted = True


def scan(table):
    Collected.made.clear()
    return table.scan(Collected)


def test_the_types_of_a_whole_file_are_inferred(write):
    table = table_of(write("i,f,b,t,z,s,c,n\n1,1.5,true,2024-01-01,2024-01-01T00:00:00Z,x,007,NA\n-2,,FALSE,,,y,8,\n"))
    assert types(table) == {
        "i": "int64",
        "f": "double",
        "b": "bool",
        "t": "timestamp[us]",
        "z": "timestamp[us, tz=UTC]",
        "s": "string",
        "c": "string",
        "n": "null",
    }


def test_a_file_whose_first_rows_show_all_types_is_scanned_in_one_pass(write):
    assert scan(table_of(write("a,b\n" + "1,x\n" * 100), 64)) == {"a": [1] * 100, "b": ["x"] * 100}
    assert len(Collected.made) == 1


@pytest.mark.parametrize(
    ("first", "later", "values"),
    [
        ("1", "2.5", [1.0] * 50 + [2.5]),
        ("1.0", "x", ["1.0"] * 50 + ["x"]),
        ("1", "007", ["1"] * 50 + ["007"]),
        ("true", "1", ["true"] * 50 + ["1"]),
        ("2024-01-01", "soon", ["2024-01-01"] * 50 + ["soon"]),
        ("NA", "5", [None] * 50 + [5]),
        ("NA", "x", ["NA"] * 50 + ["x"]),
        ("NA", "true", [None] * 50 + [True]),
    ],
)
def test_a_later_row_that_does_not_fit_restarts_the_scan_once_with_the_final_types(write, first, later, values):
    path = write("a,b\n" + f"{first},1\n" * 50 + f"{later},1\n")
    assert scan(table_of(path, 32))["a"] == values
    assert [sink.aborted for sink in Collected.made] == [True, False]
    table = table_of(path, 32)
    assert read(table)["a"] == values
    assert scan(table)["a"] == values
    assert len(Collected.made) == 1  # the types are known by now


def test_several_promotions_need_one_restart_only(write):
    path = write("a,b\n" + "1,1\n" * 50 + "2.5,1\n" * 50 + "x,2.5\n" * 50)
    assert scan(table_of(path, 32)) == {
        "a": ["1"] * 50 + ["2.5"] * 50 + ["x"] * 50,
        "b": [1.0] * 100 + [2.5] * 50,
    }
    assert len(Collected.made) == 2


def test_a_promotion_in_a_later_file_counts_for_all_files(write):
    write("a\n1\n", "1.csv")
    path = write("a\nx\n", "2.csv").parent
    assert scan(open_table(path)) == {"a": ["1", "x"]}


def test_a_file_with_a_header_only_is_a_table_without_rows(write):
    for text in ("a,b", "a,b\n", "a,b\r\n\r\n"):
        table = table_of(write(text))
        assert types(table) == {"a": "null", "b": "null"}
        assert list(table.batches()) == []
        assert scan(table_of(write(text))) == {"a": [], "b": []}
    assert types(table_of(write("a\n"), dtypes={"a": "timestamp"})) == {"a": "timestamp[us]"}


@pytest.mark.parametrize("block_bytes", [1, 7, 1000])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_blank_lines_and_a_byte_order_mark_change_nothing(write, newline, block_bytes):
    assert read(table_of(write(newline.join(["", "", "a,b"])), block_bytes)) == {"a": [], "b": []}
    lines = ["\ufeffa,b", "1,x", "", "2,y", "", ""]
    assert read(table_of(write(newline.join(lines)), block_bytes)) == {"a": [1, 2], "b": ["x", "y"]}


def test_a_header_of_any_length_is_read(write):
    names = [f"a rather long name of column {index}" for index in range(10_000)]
    table = table_of(write(",".join(names) + "\n" + ",".join(["1"] * 10_000) + "\n"))
    assert table.column_names == tuple(names)
    assert read(table) == {name: [1] for name in names}


def test_quoted_names_may_hold_delimiters_quotes_and_newlines(write):
    table = table_of(write('"a,b","say ""hi""","two\nlines"\n1,2,3\n'))
    assert read(table) == {"a,b": [1], 'say "hi"': [2], "two\nlines": [3]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_splits_header_and_rows_alike(write, delimiter):
    rows = [["name, first", "a"], ["x;y", "1.5"], ["t\tu", "2"]]
    text = "".join(delimiter.join(f'"{cell}"' for cell in row) + "\n" for row in rows)
    assert read(table_of(write(text))) == {"name, first": ["x;y", "t\tu"], "a": [1.5, 2.0]}
    assert read(table_of(write(f"a{delimiter}b\n1{delimiter}2\n"))) == {"a": [1], "b": [2]}


def test_quotes_behind_what_might_be_a_delimiter_elsewhere_open_no_field(write):
    assert read(table_of(write('a,b\n1,x;"y\n2,z\n'))) == {"a": [1, 2], "b": ['x;"y', "z"]}


def test_a_tab_separated_file_is_never_split_at_commas(write):
    assert read(table_of(write("a,b\n1,5\n", "rows.tsv"))) == {"a,b": ["1,5"]}


@pytest.mark.parametrize("block_bytes", [3, 100_000])
@pytest.mark.parametrize(("suffix", "codec"), [("gz", "gzip"), ("zst", "zstd")])
def test_compressed_files_are_read_like_plain_ones(write, suffix, codec, block_bytes):
    plain = b"a,b\n" + b'1,"x\ny"\n' * 5000
    content = pa.compress(plain, codec, asbytes=True)
    parts = pa.compress(plain[:15], codec, asbytes=True) + pa.compress(plain[15:], codec, asbytes=True)
    if block_bytes == 3:
        content = pa.compress(plain[: 4 + 8 * 20], codec, asbytes=True)
    table = table_of(write(content, f"rows.csv.{suffix}"), block_bytes)
    count = 20 if block_bytes == 3 else 5000
    assert read(table) == {"a": [1] * count, "b": ["x\ny"] * count}
    joined = table_of(write(parts, f"joined.csv.{suffix}"))
    assert read(joined) == {"a": [1] * 5000, "b": ["x\ny"] * 5000}


def test_a_truncated_compressed_file_is_refused_naming_it(write):
    content = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(50_000)))
    table = table_of(write(content[:-100], "rows.csv.gz"))
    with pytest.raises(DataError, match=r"rows\.csv\.gz: the compressed file is damaged or truncated"):
        list(table.batches())


@pytest.mark.parametrize("block_bytes", [5, 1000])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n\n3\n", r"(?s)line 4: a row has the wrong number.*expected: 2 fields.*received: 1 fields: 3"),
        ('a,b\n1,"x\ny"\n3,4,5\n', r"(?s)line 4: a row.*received: 3 fields: 3,4,5"),
        ("a,b\r\n1,2\r\n3,4,\r\n", r"line 3: a row"),
        ("a,b\r1,2\r3,4,5\r", r"line 3: a row"),
        ('a,b\n1,2\n3,"x\n4,5\n', r"line 3: a quoted field begins here and is still open at the end of the file"),
        (b"a,b\n1,2\n\n\xe9,3\n", r"(?s)line 4: the text is not UTF-8.*iconv"),
        (b"a,b\n1,2\n3,4\0\n", r"line 3: the file is binary"),
    ],
)
def test_broken_rows_are_refused_naming_the_line(write, text, message, block_bytes):
    path = write(text)
    with pytest.raises(DataError, match=message) as caught:
        list(table_of(path, block_bytes).batches())
    assert str(path) in str(caught.value)
    with pytest.raises(DataError, match=message):
        scan(table_of(path, block_bytes))
    assert all(sink.aborted for sink in Collected.made)


def test_a_cell_of_ten_megabytes_is_read(write):
    cell = "x" * 5_000_000 + "\n" + '""' * 2_500_000
    path = write(f'a,b\n1,"{cell}"\n2,y\n')
    assert read(table_of(path)) == {"a": [1, 2], "b": [cell.replace('""', '"'), "y"]}


def test_a_record_beyond_the_limit_is_refused_naming_its_line(write, monkeypatch):
    monkeypatch.setattr("mainstay.io.csv_file.MAX_RECORD_BYTES", 1000)
    path = write("a,b\n1,2\n3," + "x" * 5000 + "\n")
    with pytest.raises(DataError, match="line 3: a record is too long"):
        list(table_of(path, 100).batches())
    path = write('a,b\n1,2\n3,"x\n' + "4,5\n" * 5000)
    with pytest.raises(DataError, match="line 3: a quoted field begins here and is still open"):
        list(table_of(path, 100).batches())


@pytest.mark.parametrize("block_bytes", [10, 1000])
@pytest.mark.parametrize(
    ("dtype", "good", "bad"),
    [
        ("int64", ["1", "", "NA", "+7", "007", " 8 "], ["x", "1.0", "1e3", "0x1F", "9223372036854775808", "true"]),
        ("float64", ["1", "", "nan", "+7", "007", " 8e2", "inf", "1e19"], ["x", "1,5", "1e999", "2024-01-01"]),
        ("bool", ["true", "FALSE", "0", "1", "", "NA"], ["2", "yes", "1.0"]),
        ("timestamp", ["2024-01-01", "", "null", "2024-01-01 10:00"], ["2024-01-01T00:00Z", "1400269500", "soon"]),
        ("string", ["1", "NA", " x"], []),
    ],
)
def test_a_dtype_that_is_given_holds_and_a_value_against_it_is_named(write, dtype, good, bad, block_bytes):
    kind = {"float64": "double", "timestamp": "timestamp[us]"}.get(dtype, dtype)
    text = "key,value\n" + "".join(f'"two\nlines",{value}\n' for value in good)
    table = table_of(write(text), block_bytes, dtypes={"value": dtype})
    assert types(table)["value"] == kind
    assert [value is None for value in read(table)["value"]] == [
        value == "" or (dtype != "string" and value.lower() in ("na", "nan", "null")) for value in good
    ]
    for value in bad:
        table = table_of(write(f'{text}5,"{value}"\n'), block_bytes, dtypes={"value": dtype})
        with pytest.raises(DataError, match=rf"(?s)line {2 + 2 * len(good)}: .*'value'.*received: '{value}'") as caught:
            list(table.batches())
        assert dtype in str(caught.value)


def test_timestamps_that_are_asked_for_may_all_have_a_zone(write):
    path = write("t\n2024-01-01T00:00:00+01:00\nsoon\n")
    with pytest.raises(DataError, match=r"(?s)line 3: .*received: 'soon'"):
        list(table_of(path, dtypes={"t": "timestamp"}).batches())
    path = write("t\n2024-01-01T00:00:00+01:00\n")
    assert types(table_of(path, dtypes={"t": "timestamp"})) == {"t": "timestamp[us, tz=UTC]"}


def test_a_file_that_changes_between_two_passes_is_refused(write):
    table = table_of(write("a\n1\n"))
    assert types(table) == {"a": "int64"}
    write("a\nx\n")
    with pytest.raises(DataError, match=r"rows\.csv: the file changed while it was read"):
        list(table.batches())


def test_reading_that_is_abandoned_leaves_no_thread_behind(write):
    before = threading.active_count()
    batches = table_of(write("a\n" + "1\n" * 1000), 100).batches()
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_batches_do_not_depend_on_what_was_read_before(write):
    path = write("a,b\n" + "1,x\n" * 400_000)
    table = open_table(path)
    sizes = [batch.num_rows for batch in table.batches()]
    assert max(sizes) <= 65536
    assert [batch.num_rows for batch in table.batches(["b"])] == sizes
    scan(again := open_table(path))
    assert [batch.num_rows for batch in Collected.made[0].batches] == sizes
    assert [batch.num_rows for batch in again.batches()] == sizes


PEAK_OF_READING = """
import sys
from mainstay.io import open_table
table = open_table(sys.argv[1])
table.schema
rows = sum(batch.num_rows for batch in table.batches())
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(rows, peak.split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says what the peak was")
def test_memory_does_not_grow_with_the_number_of_rows(tmp_path):
    row = "1234567,0.123456,some text,2024-01-01\n" * 1000
    path = tmp_path / "rows.csv"
    peaks = []
    for thousands in (200, 1200):
        with open(path, "w") as file:
            file.write("a,b,c,d\n")
            file.writelines(row for _ in range(thousands))
        environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
        command = [sys.executable, "-c", PEAK_OF_READING, str(path)]
        run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        rows, peak = map(int, run.stdout.split())
        assert rows == thousands * 1000
        peaks.append(peak >> 10)
    assert peaks[1] < peaks[0] + 30
    assert peaks[1] < 300


def test_the_taxi_data_are_typed_as_known(shared_data):
    table = open_table(shared_data / "taxi.csv")
    assert sum(batch.num_rows for batch in table.batches()) == 15_002
    kinds = types(table)
    assert kinds["tips"] == kinds["fare"] == "double"
    assert kinds["company"] == kinds["payment_type"] == "string"
    assert kinds["pickup_census_tract"] == kinds["trip_start_timestamp"] == "int64"
    tract = pa.Table.from_batches(table.batches(["pickup_census_tract"]))
    assert tract.column(0).null_count == 15_001


@pytest.mark.parametrize("text", [b"\n1\r1", b"\r\n\n1\r1\r"])
def test_blank_lines_before_the_header_may_end_otherwise_than_the_others(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(text)
    table = open_table(tmp_path / "a.csv")
    assert table.column_names == ("1",)
    assert [batch.to_pydict() for batch in table.batches()] == [{"1": [1]}]
