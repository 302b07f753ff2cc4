import contextlib
import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mainstay.core import RequestError
from mainstay.serving.bodies.npy import is_archive, read_archive, read_array, write_archive, write_array

DTYPES = ["<f4", ">f4", "<f8", "<f2", "|b1", "|i1", "|u1", "<i2", ">i4", "<i8", "<u8", "<U3", "|S3"]


def npy(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@given(
    st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), st.booleans(), st.data()
)
@settings(max_examples=60, deadline=None)
def test_what_numpy_writes_is_read_and_what_is_written_numpy_reads(dtype, shape, is_fortran, data):
    elements = st.text("abc", max_size=3) if dtype == "<U3" else None
    array = data.draw(hnp.arrays(dtype, shape, elements=elements))
    array = np.asfortranarray(array) if is_fortran else array
    read = read_array(npy(array))
    assert read.dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(read, array, equal_nan=array.dtype.kind == "f")
    again = np.load(io.BytesIO(write_array(read)), allow_pickle=False)
    assert np.array_equal(again, array, equal_nan=array.dtype.kind == "f")


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read_without_a_copy(version):
    body = npy(np.arange(6, dtype=np.float32).reshape(2, 3), version=version)
    array = read_array(body)
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert not array.flags.owndata
    assert not array.flags.writeable


def header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "text",
    [
        b"{'shape': (2,), 'fortran_order': False, 'descr': '|u1'}",
        b"{\"descr\": '|u1', 'shape':(2, ),'fortran_order':True,}\n",
        b"{'descr': 'u1', 'fortran_order': False, 'shape': (2L,), }   \n",
    ],
)
def test_headers_of_other_writers_are_read(text):
    assert read_array(header(text) + b"\x01\x02").tolist() == [1, 2]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"\x93NUMPY", b"\x93NUMPY\x04\x00\x00\x00", b"\x93NUMPY\x01\x00\xff\xff", b"PK", b"not numpy at all"),
        header(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + b"\x80\x04.",
        header(b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }") + bytes(4),
        header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }"),
        header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }") + bytes(7),
        header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }") + bytes(9),
        header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"),
        header(b"{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }") + bytes(4),
        header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (__import__('os').getpid(),), }"),
        header(b"{'descr': '<f16', 'fortran_order': False, 'shape': (1,), }") + bytes(16),
        header(b"{'descr': '<M8', 'fortran_order': False, 'shape': (1,), }") + bytes(8),
        header(b"{'descr': '|S0', 'fortran_order': False, 'shape': (1000000,), }"),
        header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"1," * 40 + b"), }") + bytes(4),
    ],
)
def test_what_is_no_array_is_refused(body):
    with pytest.raises(RequestError):
        read_array(body)


@given(st.binary(max_size=200), st.integers(0, 150))
@settings(max_examples=200, deadline=None)
def test_damaged_files_are_refused_or_read_but_never_break(noise, place):
    good = npy(np.arange(12, dtype=np.float32).reshape(3, 4))
    for body in (noise, good[:place] + noise + good[place + len(noise) :]):
        with contextlib.suppress(RequestError):
            assert read_array(body).nbytes <= len(body)


def test_archives_are_read_by_name_and_written_for_numpy():
    arrays = {"a": np.arange(3), "b/c": np.ones((2, 2), np.float32)}
    found = read_archive(npz(**arrays), 1 << 20)
    assert {name: array.tolist() for name, array in found.items()} == {"a": [0, 1, 2], "b/c": [[1, 1], [1, 1]]}
    with np.load(io.BytesIO(write_archive(found))) as again:
        assert again["b/c"].tolist() == [[1, 1], [1, 1]]
    assert is_archive(npz(a=np.zeros(1)))


def test_archives_that_unpack_to_too_much_are_refused():
    file = io.BytesIO()
    np.savez_compressed(file, a=np.zeros(1 << 20))
    assert len(file.getvalue()) < 1 << 17
    with pytest.raises(RequestError, match="too large once unpacked"):
        read_archive(file.getvalue(), 1 << 20)


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", b"x"), ("a.npy", b"no array"), ("a", npy(np.zeros(1))), ("../a.npy", b"")]
)
def test_members_that_are_no_arrays_are_refused(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    with pytest.raises(RequestError):
        read_archive(file.getvalue(), 1 << 20)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_damaged_archives_are_refused(place, noise):
    good = npz(a=np.arange(4), b=np.arange(4.0))
    with contextlib.suppress(RequestError):
        read_archive(good[:place] + noise + good[place + len(noise) :], 1 << 20)


def test_strings_are_written_as_text_and_bytes_that_are_none_are_refused():
    array = np.array(["é", b"b"], object)
    assert np.load(io.BytesIO(write_array(array))).tolist() == ["é", "b"]
    with pytest.raises(RequestError, match="bytes that are no text"):
        write_array(np.array([b"\xff"], object))


def test_bfloat16_is_read_as_it_is_and_written_as_float32():
    array = np.array([1.5, -2], "bfloat16")
    read = read_array(npy(array))
    assert read.dtype == array.dtype
    assert np.load(io.BytesIO(write_array(read))).tolist() == [1.5, -2]


@pytest.mark.parametrize("shape", [(0, 10**17, 10**17), (0, 10**17, 100)])
def test_shapes_of_nothing_that_numpy_cannot_hold_are_refused(shape):
    body = npy(np.zeros(0, np.float64))
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".ljust(117).encode() + b"\n"
    with pytest.raises(RequestError, match="too large"):
        read_array(body[:8] + len(head).to_bytes(2, "little") + head)


@pytest.mark.parametrize("order", "<>")
def test_text_beyond_unicode_is_refused(order):
    body = npy(np.array(["ab"], f"{order}U2"))
    assert read_array(body).tolist() == ["ab"]
    point = b"\xff\xff\xff\x7f" if order == "<" else b"\x7f\xff\xff\xff"
    with pytest.raises(RequestError, match="text that is none"):
        read_array(body[:-4] + point)


def test_any_byte_but_zero_is_true():
    body = npy(np.array([True, False, True]))
    array = read_array(body[:-3] + b"\x02\x00\xff")
    assert array.view(np.uint8).tolist() == [1, 0, 1]


def test_no_more_is_unpacked_than_the_archive_tells():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(64 << 20))
    body = bytearray(file.getvalue())
    size = (64 << 20).to_bytes(4, "little")
    at = body.rindex(size)
    body[at : at + 4] = (1000).to_bytes(4, "little")
    tracemalloc.start()
    with pytest.raises(RequestError):
        read_archive(bytes(body), 1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
