import contextlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import RequestError
from mainstay.serving.batching.chunks import DensePart
from mainstay.serving.bodies.arrow import read_stream, write_stream


def stream(batch, **options):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write(batch)
    return bytes(sink.getvalue())


def batch(**columns):
    return pa.record_batch(list(columns.values()), names=list(columns))


def test_columns_of_plain_values_are_read():
    found = read_stream(
        stream(
            batch(
                f=pa.array([1.5, 2], pa.float32()),
                h=pa.array(np.array([1, 2], np.float16)),
                i=pa.array([1, -2], pa.int8()),
                b=pa.array([True, False]),
                s=pa.array(["a", "é"]),
                y=pa.array([b"\xff", b""]),
            )
        )
    )
    assert {name: array.tolist() for name, array in found.items()} == {
        "f": [1.5, 2],
        "h": [1, 2],
        "i": [1, -2],
        "b": [True, False],
        "s": ["a", "é"],
        "y": [b"\xff", b""],
    }
    assert found["f"].dtype == np.float32


@pytest.mark.parametrize("kind", [lambda x: pa.list_(x, 2), pa.list_, pa.large_list])
def test_lists_are_inner_axes(kind):
    values = [[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[9, 10], [11, 12]]]
    column = pa.array(values, kind(kind(pa.float32())))
    assert read_stream(stream(batch(x=column)))["x"].tolist() == values
    assert read_stream(stream(batch(x=column[1:])))["x"].tolist() == values[1:]


def test_tensors_of_fixed_shape_are_read_without_a_copy_of_each_row():
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    column = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    assert np.array_equal(read_stream(stream(batch(x=column)))["x"], values)


def test_several_batches_are_one():
    table = pa.table({"x": pa.chunked_array([[1.0, 2.0], [3.0]])})
    assert read_stream(stream(table))["x"].tolist() == [1, 2, 3]


def test_nulls_are_missing_rows():
    found = read_stream(
        stream(
            batch(
                x=pa.array([1, None], pa.int32()),
                s=pa.array([None, "b"]),
                v=pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)),
            )
        )
    )
    assert all(isinstance(part, DensePart) for part in found.values())
    assert {name: part.missing.tolist() for name, part in found.items()} == {
        "x": [False, True],
        "s": [True, False],
        "v": [False, True],
    }
    assert found["v"].values[0].tolist() == [1, 2]
    deep = pa.array([None, [[1, 2], [3, 4]]], pa.list_(pa.list_(pa.int64(), 2), 2))
    part = read_stream(stream(batch(x=deep)))["x"]
    assert (part.missing.tolist(), part.values[1].tolist()) == ([True, False], [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (pa.array([[1], [2, 3]]), "differ in length"),
        (pa.array([[1], None], pa.list_(pa.int64())), "a value is missing"),
        (pa.array([[1, None], [2, 3]], pa.list_(pa.int64(), 2)), "a value is missing"),
        (pa.array([{"a": 1}]), "no tensor"),
        (pa.array([None]), "no tensor"),
        (pa.array([1], pa.timestamp("s")), "no tensor"),
        (pa.array(["a", "a"]).dictionary_encode(), "has a dictionary"),
        (pa.array([[[1, None], [1, 2]], None], pa.list_(pa.list_(pa.int64(), 2), 2)), "a value is missing"),
    ],
)
def test_columns_that_are_no_tensors_are_refused(column, what):
    with pytest.raises(RequestError, match=what):
        read_stream(stream(batch(x=column)))


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_compressed_streams_are_refused_before_anything_is_unpacked(codec):
    body = stream(batch(x=pa.array(np.zeros(1 << 20))), compression=codec)
    assert len(body) < 1 << 20
    with pytest.raises(RequestError, match="is compressed"):
        read_stream(body)


@pytest.mark.parametrize("body", [b"", b"no stream", bytes(64), b"\xff" * 64, b"ARROW1\0\0" + bytes(64)])
def test_what_is_no_stream_is_refused(body):
    with pytest.raises(RequestError, match="damaged"):
        read_stream(body)


GOOD = stream(
    batch(
        x=pa.array([1, None], pa.int32()),
        s=pa.array(["a", "bc"]),
        v=pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2)),
        w=pa.array([[1], [2]]),
    )
)


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4), st.integers(0, len(GOOD)))
@settings(max_examples=300, deadline=None)
def test_damaged_streams_are_refused_or_read_but_never_break(changes, end):
    body = bytearray(GOOD)
    for place, byte in changes:
        body[place] = byte
    for given_body in (bytes(body), bytes(body[:end])):
        with contextlib.suppress(RequestError):
            read_stream(given_body)


def test_outputs_are_written_as_one_batch():
    arrays = {
        "y": np.arange(12, dtype=np.float32).reshape(2, 2, 3),
        "n": np.array([1, 2], np.int64),
        "h": np.array([1, 2], "bfloat16"),
        "t": np.array(["a", b"b"], object),
        "z": np.array([[b"\xff"], [b""]], object),
    }
    table = pa.ipc.open_stream(write_stream(arrays)).read_all()
    assert table.column("y").to_pylist() == arrays["y"].tolist()
    assert table.column("n").to_pylist() == [1, 2]
    assert table.column("h").to_pylist() == [1, 2]
    assert table.column("t").to_pylist() == ["a", "b"]
    assert table.column("z").to_pylist() == [[b"\xff"], [b""]]


@pytest.mark.parametrize("arrays", [{"y": np.array(1.0)}, {"y": np.zeros(2), "z": np.zeros(3)}])
def test_outputs_that_are_no_rows_of_one_table_are_refused(arrays):
    with pytest.raises(RequestError, match="no rows of one table"):
        write_stream(arrays)
