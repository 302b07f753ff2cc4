"""Whatever the bytes of a file, reading it gives rows or an error that names the file; nothing else."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import DataError
from mainstay.io import ArrowFile, ArrowWriter, open_table
from mainstay.io.csv_table import CsvTable

CSV = 'a,"b ""x""",c\r\n1,2.5,"two\nlines"\n-7,NA,é\n007,,"say ""hi"""\n'.encode()
TABLE = pa.table({"n": [1, 2, None], "s": ["a", None, "b"], "x": [0.5, 1.5, 2.5]})


@st.composite
def damaged(draw, content):
    """The content with some bytes changed, cut out or put in."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stop = start + draw(st.integers(0, 12))
        data[start:stop] = draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b"\n", b"\r", b",", b'""', b"\0", b"\xff"])
        )
    return bytes(data)


def check(path, read):
    refusal = None
    try:
        read()
    except DataError as error:
        refusal = str(error)
    assert refusal is None or str(path) in refusal


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | damaged(CSV), st.integers(1, 40))
def test_a_damaged_csv_file_is_read_or_refused(tmp_path_factory, content, block_bytes):
    path = tmp_path_factory.getbasetemp() / "hostile.csv"
    path.write_bytes(content)

    def read():
        whole = open_table(path)
        rows = pa.Table.from_batches(whole.batches(), whole.schema)
        parts = CsvTable([path], dtypes={}, exclude=(), batch_rows=5, block_bytes=block_bytes)
        assert pa.Table.from_batches(parts.batches(), parts.schema).equals(rows)

    check(path, read)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_parquet_file_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "hostile.parquet"
    pq.write_table(TABLE, path)
    path.write_bytes(b"PAR1" + data.draw(damaged(path.read_bytes()[4:])))
    check(path, lambda: list(open_table(path).batches()))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_arrow_file_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "hostile.arrow"
    with ArrowWriter(path, TABLE.schema) as writer:
        writer.write(TABLE.to_batches()[0])
    path.write_bytes(b"ARROW1\0\0" + data.draw(damaged(path.read_bytes()[8:])))

    def read():
        file = ArrowFile(path)
        list(file.batches())
        assert file.num_rows >= 0

    check(path, read)


def test_an_error_that_names_no_file_is_no_excuse(tmp_path):
    with pytest.raises(AssertionError):
        check(tmp_path, lambda: (_ for _ in ()).throw(DataError("somewhere")))
