"""The parsers of an artifact, given anything: a `FormatError` or a sound result, in no more memory than the file."""

import contextlib
import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import FormatError, message_class
from mainstay.saved_model.bundle import INDEX_FILE, read_index, read_tensor
from mainstay.saved_model.column_archive import read_npz, write_npz
from mainstay.saved_model.manifest_reading import read_manifest
from mainstay.saved_model.tables import decode_table, encode_table, encode_varint, masked_crc32c
from mainstay.saved_model.tensor_names import by_name

MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)


def sealed(raw: bytes) -> bytes:
    """A block with the checksum that belongs to it."""
    return raw + b"\0" + struct.pack("<I", masked_crc32c(raw + b"\0"))


def table_of(index: bytes, before: bytes = b"") -> bytes:
    """A table whose index block is given, after some other bytes."""
    empty = sealed(struct.pack("<II", 0, 1))
    body = before + empty + sealed(index)
    handles = encode_varint(len(before)) + encode_varint(8)
    handles += encode_varint(len(before) + len(empty)) + encode_varint(len(index))
    return body + handles.ljust(40, b"\0") + MAGIC


def block(*entries: tuple[int, int, int, bytes]) -> bytes:
    """A block of entries: shared, rest and value lengths as they are told, and the bytes that follow."""
    data = b"".join(encode_varint(a) + encode_varint(b) + encode_varint(c) + tail for a, b, c, tail in entries)
    return data + struct.pack("<II", 0, 1)


def only_format_errors(parse: Callable[[bytes], Any], data: bytes) -> None:
    with contextlib.suppress(FormatError):
        parse(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_no_reason_to_crash(data: bytes) -> None:
    for parse in (decode_table, read_index, read_npz, read_manifest):
        only_format_errors(parse, data)
    only_format_errors(decode_table, data + MAGIC)
    only_format_errors(decode_table, table_of(data))
    only_format_errors(read_npz, b"PK\x05\x06" + data)


@settings(max_examples=300)
@given(st.data())
def test_a_table_that_was_tampered_with_is_refused_or_still_sound(data: st.DataObject) -> None:
    table = bytearray(encode_table([(f"key{i:03}".encode(), b"value" * i) for i in range(40)]))
    for _ in range(data.draw(st.integers(1, 4))):
        table[data.draw(st.integers(0, len(table) - 1))] = data.draw(st.integers(0, 255))
    only_format_errors(decode_table, bytes(table))
    only_format_errors(decode_table, bytes(table[: data.draw(st.integers(0, len(table)))]))


@given(st.binary(max_size=120), st.binary(max_size=60))
def test_blocks_with_right_checksums_and_any_content_do_not_crash(index: bytes, inner: bytes) -> None:
    only_format_errors(decode_table, table_of(index))
    only_format_errors(decode_table, table_of(block((0, 1, 2, b"k" + b"\0" + bytes([len(inner)]))), sealed(inner)))


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("an entry that shares more than there is", table_of(block((5, 0, 0, b"")))),
        ("a key longer than its block", table_of(block((0, 2**40, 0, b"")))),
        ("a value longer than its block", table_of(block((0, 1, 2**60, b"k")))),
        ("a number of eleven bytes", table_of(b"\xff" * 11 + struct.pack("<II", 0, 1))),
        ("more restart points than bytes", table_of(struct.pack("<I", 2**31))),
        ("a block beyond the file", table_of(block((0, 1, 12, b"k" + encode_varint(2**40) + encode_varint(9))))),
        ("an index block beyond the file", b"\0" * 8 + (b"\0\0" + encode_varint(2**50) * 2).ljust(40, b"\0") + MAGIC),
        ("no bytes at all", b""),
        ("a footer alone", b"\0" * 40 + MAGIC),
    ],
)
def test_a_malformed_table_is_refused(name: str, table: bytes) -> None:
    with pytest.raises(FormatError, match="malformed"):
        decode_table(table)


def test_blocks_that_overlap_cannot_multiply_a_file() -> None:
    inner = sealed(block((0, 1, 1, b"kv")))
    handle = encode_varint(0) + encode_varint(len(inner) - 5)
    index = block(*[(0, 2, len(handle), struct.pack(">H", i) + handle) for i in range(100)])
    with pytest.raises(FormatError, match="overlap"):
        decode_table(table_of(index, inner))


def test_shared_prefixes_cannot_multiply_a_file() -> None:
    key = 60_000
    entries = [(0, key, 0, b"a" * key)] + [(key, 2, 0, struct.pack(">H", i)) for i in range(1)]
    entries += [(key, 2, 0, struct.pack(">H", i)) for i in range(1, 3000)]
    inner = sealed(block(*entries))
    handle = encode_varint(0) + encode_varint(len(inner) - 5)
    with pytest.raises(FormatError, match="too long"):
        decode_table(table_of(block((0, 1, len(handle), b"k" + handle)), inner))


def entry(**fields: Any) -> bytes:
    shape = fields.pop("shape", [])
    message = message_class("tensorflow.BundleEntryProto")(**{"dtype": 1, **fields})
    for length in shape:
        message.shape.dim.add(size=length)
    return bytes(message.SerializeToString())


def bundle(value: bytes, header: bytes = b"\x08\x01") -> bytes:
    return encode_table([(b"", header), (b"w", value)])


@pytest.mark.parametrize(
    "value",
    [
        entry(shape=[2], size=4),
        entry(shape=[2**62, 4], size=0),
        entry(shape=[2**40], size=2**42 - 1),
        entry(shape=[-1], size=4),
        entry(shape=[1], size=4, offset=-64),
        entry(shape=[1], size=-4),
        entry(shape=[1], size=4, shard_id=1),
        entry(shape=[1], size=4, dtype=99),
        entry(shape=[1], size=4, dtype=20),
        b"\xff\xff\xff",
        b"\x0a\xff\xff\xff\xff\x0f",
    ],
)
def test_an_entry_that_lies_about_a_tensor_is_refused(value: bytes) -> None:
    with pytest.raises(FormatError):
        read_index(bundle(value))


def test_a_tensor_beyond_the_end_of_the_file_is_refused() -> None:
    index = read_index(bundle(entry(shape=[2**40], size=2**42, offset=2**50)))
    with pytest.raises(FormatError, match="past the end"):
        read_tensor("w", index["w"], memoryview(bytes(64)))


@pytest.mark.parametrize(
    "header", [b"", b"\x08\xc0\x9a\x0c", b"\x08\x01\x10\x01", b"\x08\x01\x1a\x02\x10\x09", b"\xff"]
)
def test_a_header_of_another_kind_of_bundle_is_refused(header: bytes) -> None:
    with pytest.raises(FormatError):
        read_index(bundle(entry(shape=[1], size=4), header))


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(FormatError, match="malformed entry"):
        read_index(encode_table([(b"", b"\x08\x01"), (b"\xff", entry(shape=[1], size=4))]))


def npz(
    name: str = "a.npy", *, header: str | None = None, body: bytes = b"", method: int = zipfile.ZIP_STORED
) -> bytes:
    text = (header or "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }").encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        npz(header="{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"),
        npz(header="{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", body=bytes(4)),
        npz(header="{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", body=bytes(8)),
        npz(header="{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", body=bytes(4)),
        npz(header="{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", body=bytes(4)),
        npz(header="{'descr': '<M8[us]', 'fortran_order': False, 'shape': (1,), }", body=bytes(8)),
        npz(header="__import__('os').system('true')", body=bytes(4)),
        npz(header="(" * 5000, body=bytes(4)),
        npz(body=bytes(5)),
        npz(body=bytes(10**6), method=zipfile.ZIP_DEFLATED),
        b"",
        b"PK",
    ],
)
def test_an_archive_that_lies_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"plain \.npz"):
        read_npz(data)


def test_a_shape_that_is_told_costs_no_memory() -> None:
    data = npz(header="{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }")
    tracemalloc.start()
    with pytest.raises(FormatError):
        read_npz(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@settings(max_examples=200)
@given(st.data())
def test_an_archive_that_was_tampered_with_is_refused_or_still_sound(data: st.DataObject) -> None:
    archive = bytearray(write_npz({"a/values": np.arange(9.0), "b/offsets": np.arange(3)}))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    only_format_errors(read_npz, bytes(archive))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


@settings(max_examples=300)
@given(st.data())
def test_a_manifest_with_anything_anywhere_is_refused_or_still_sound(sound: Path, data: st.DataObject) -> None:
    manifest = json.loads((sound / "assets.extra/mainstay/manifest.json").read_text())
    path = data.draw(st.sampled_from(places(manifest)[1:]))
    place = manifest
    for key in path[:-1]:
        place = place[key]
    if isinstance(place, dict) and data.draw(st.booleans()):
        del place[path[-1]]
    else:
        place[path[-1]] = data.draw(JSON)
    only_format_errors(read_manifest, json.dumps(manifest).encode())


def test_the_untouched_index_and_manifest_are_read(sound: Path) -> None:
    assert set(by_name(read_index((sound / INDEX_FILE).read_bytes()))) == {"city/table", "dense/bias", "dense/kernel"}
    assert read_manifest((sound / "assets.extra/mainstay/manifest.json").read_bytes()).sealed_on == "cpu"
