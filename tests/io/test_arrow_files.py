import os
import pickle
import resource
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from mainstay.core import ArgumentError, DataError, StorageError
from mainstay.io import ArrowFile, ArrowWriter

SCHEMA = pa.schema([("s", pa.string()), ("n", pa.int64()), ("v", pa.list_(pa.float32(), 3))])


def batch_of(start, stop):
    numbers = range(start, stop)
    columns = [[f"text {n}" if n % 3 else None for n in numbers], list(numbers), [[n, n, n] for n in numbers]]
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


@pytest.fixture
def file(tmp_path):
    with ArrowWriter(tmp_path / "made" / "rows.arrow", SCHEMA) as writer:
        for start in range(0, 1000, 100):
            writer.write(batch_of(start, start + 100))
    assert writer.num_rows == 1000
    return ArrowFile(tmp_path / "made" / "rows.arrow")


def test_batches_are_read_as_they_were_written(file):
    assert (file.num_rows, file.num_batches) == (1000, 10)
    assert file.schema.equals(SCHEMA)
    assert [batch.to_pydict() for batch in file.batches()] == [
        batch_of(start, start + 100).to_pydict() for start in range(0, 1000, 100)
    ]
    assert file.read(3).equals(batch_of(300, 400))


def test_only_the_wanted_columns_are_read_in_the_wanted_order(file):
    assert file.read(2, ["n", "s"]).equals(batch_of(200, 300).select(["n", "s"]))
    assert [batch.schema.names for batch in file.batches(["v", "s"])] == [["v", "s"]] * 10


def test_a_file_is_shared_by_threads_and_sent_to_processes(file):
    copy = pickle.loads(pickle.dumps(file))
    with ThreadPoolExecutor(4) as pool:
        starts = list(pool.map(lambda index: copy.read(index % 10).column("n")[0].as_py(), range(100)))
    assert starts == [index % 10 * 100 for index in range(100)]


def test_batches_without_rows_are_not_written(tmp_path):
    with ArrowWriter(tmp_path / "rows.arrow", SCHEMA) as writer:
        writer.write(batch_of(0, 0))
    file = ArrowFile(tmp_path / "rows.arrow")
    assert (file.num_rows, file.num_batches, list(file.batches())) == (0, 0, [])


def test_slices_are_written_without_the_rest(tmp_path):
    whole = batch_of(0, 10_000)
    with ArrowWriter(tmp_path / "rows.arrow", SCHEMA) as writer:
        writer.write(whole.slice(500, 10))
    assert os.path.getsize(tmp_path / "rows.arrow") < 5000
    assert ArrowFile(tmp_path / "rows.arrow").read(0).equals(batch_of(500, 510))


def test_a_file_appears_only_when_it_is_closed(tmp_path):
    path = tmp_path / "rows.arrow"
    writer = ArrowWriter(path, SCHEMA)
    writer.write(batch_of(0, 10))
    assert not path.exists()
    assert writer.close() == path
    assert writer.close() == path
    assert ArrowFile(path).num_rows == 10
    with pytest.raises(ArgumentError, match="the file is closed"):
        writer.write(batch_of(0, 10))


def test_an_aborted_file_leaves_what_was_there(tmp_path, file):
    content = file.path.read_bytes()
    writer = ArrowWriter(file.path, SCHEMA)
    writer.write(batch_of(0, 10))
    writer.abort()
    writer.abort()
    with pytest.raises(ZeroDivisionError), ArrowWriter(file.path, SCHEMA) as writer:
        writer.write(batch_of(0, 10))
        raise ZeroDivisionError
    assert file.path.read_bytes() == content
    assert os.listdir(file.path.parent) == ["rows.arrow"]


def test_a_batch_of_another_schema_is_refused(tmp_path):
    with (
        pytest.raises(ArgumentError, match=r"rows\.arrow: a batch has another schema"),
        ArrowWriter(tmp_path / "rows.arrow", SCHEMA) as writer,
    ):
        writer.write(pa.record_batch({"n": [1]}))
    assert os.listdir(tmp_path) == []


def test_a_device_that_is_full_leaves_nothing_behind(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with (
            pytest.raises(StorageError, match=r"rows\.arrow: cannot write it"),
            ArrowWriter(tmp_path / "rows.arrow", SCHEMA) as writer,
        ):
            for _ in range(100):
                writer.write(batch_of(0, 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path) == []


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError):
        ArrowWriter(tmp_path / "taken" / "rows.arrow", SCHEMA)


@pytest.mark.parametrize("keep", [0, 4, 8, 300, -1, -10, -300])
def test_a_truncated_file_is_refused_naming_it(file, keep):
    content = file.path.read_bytes()
    file.path.write_bytes(content[:keep])
    with pytest.raises(DataError, match=r"rows\.arrow: "):
        ArrowFile(file.path)


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"PAR1", b"ARROW1\0\0" * 100])
def test_a_foreign_file_is_refused_naming_it(tmp_path, content):
    (tmp_path / "rows.arrow").write_bytes(content)
    with pytest.raises(DataError, match=r"rows\.arrow: "):
        ArrowFile(tmp_path / "rows.arrow")


def test_a_file_that_is_not_there_is_an_error_of_the_file_system(tmp_path):
    with pytest.raises(StorageError, match=r"rows\.arrow"):
        ArrowFile(tmp_path / "rows.arrow")


@pytest.mark.parametrize("index", [-1, 10])
def test_a_batch_that_is_not_there_is_refused(file, index):
    with pytest.raises(ArgumentError, match="expected: 0 to 9"):
        file.read(index)


def test_a_column_that_is_not_there_is_refused(file):
    with pytest.raises(ArgumentError, match="there is no column 'nn'"):
        file.batches(["nn"])
    with pytest.raises(ArgumentError, match="there is no column 'nn'"):
        file.read(0, ["nn"])
