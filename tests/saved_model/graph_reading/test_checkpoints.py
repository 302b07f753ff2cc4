"""Checkpoints: several files, slices, strings, and every kind of damage."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import FormatError, masked_crc32c, message_class
from mainstay.saved_model.folder import map_file
from mainstay.saved_model.graph_reading.checkpoints import Checkpoint, parse_slice, slice_key
from mainstay.saved_model.graphs.dtypes import number_of_kind
from mainstay.saved_model.tables import encode_table

SHARDS = 3


class Bundle:
    """Writes a bundle of several files."""

    def __init__(self, folder: Path) -> None:
        self.prefix = folder / "variables"
        self.data = [bytearray(b"\7" * number) for number in range(SHARDS)]
        self.entries: dict[bytes, bytes] = {}

    def add(self, key: bytes, array: np.ndarray, shard: int, *, slices=(), shape=None, content=None, crc=None) -> None:
        entry = message_class("tensorflow.BundleEntryProto")(dtype=number_of_kind(array.dtype), shard_id=shard)
        entry.shape.SetInParent()
        for size in array.shape if shape is None else shape:
            entry.shape.dim.add(size=size)
        for extents in slices:
            made = entry.slices.add()
            for start, length in extents:
                extent = made.extent.add(start=start)
                if length >= 0:
                    extent.length = length
        if not slices:
            content = np.ascontiguousarray(array).tobytes() if content is None else content
            entry.offset, entry.size = len(self.data[shard]), len(content)
            entry.crc32c = masked_crc32c(content) if crc is None else crc
            self.data[shard] += content
        self.entries[key] = entry.SerializeToString()

    def open(self) -> Checkpoint:
        header = message_class("tensorflow.BundleHeaderProto")(num_shards=SHARDS)
        header.version.producer = 1
        items = [(b"", header.SerializeToString()), *sorted(self.entries.items())]
        Path(f"{self.prefix}.index").write_bytes(encode_table(items))
        for number, data in enumerate(self.data):
            Path(f"{self.prefix}.data-{number:05d}-of-{SHARDS:05d}").write_bytes(data)
        return Checkpoint(self.prefix, map_file)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle(tmp_path)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
def test_tensors_lie_in_any_file_at_any_offset(bundle: Bundle, dtype) -> None:
    arrays = {f"tensor {number}": np.arange(number * 5).reshape(number, 5).astype(dtype) for number in range(SHARDS)}
    for number, (name, array) in enumerate(arrays.items()):
        bundle.add(name.encode(), array, number)
    checkpoint = bundle.open()
    assert checkpoint.names() == list(arrays)
    for name, array in arrays.items():
        read = checkpoint.read(name)
        assert read.dtype == array.dtype
        assert np.array_equal(read, array)


def test_a_tensor_in_slices_is_put_together_and_cut(bundle: Bundle) -> None:
    whole = np.arange(70, dtype=np.float32).reshape(10, 7)
    slices = [((0, 4), (0, -1)), ((4, 6), (0, -1))]
    bundle.add(b"w", whole, 0, slices=slices)
    for number, extents in enumerate(slices):
        start, length = extents[0]
        bundle.add(slice_key("w", extents), whole[start : start + length], number)
    checkpoint = bundle.open()
    assert checkpoint.names() == ["w"]
    assert np.array_equal(checkpoint.read("w"), whole)
    assert np.array_equal(checkpoint.read("w", parse_slice("10 7 3,4:-", "w")), whole[3:7])
    with pytest.raises(FormatError, match="no such part"):
        checkpoint.read("w", ((8, 3), (0, 7)))


def varint(number: int) -> bytes:
    return (bytes([number & 127 | 128]) + varint(number >> 7)) if number > 127 else bytes([number])


def packed(values: list[bytes]) -> tuple[bytes, int]:
    lengths = b"".join(len(value).to_bytes(4, "little") for value in values)
    check = masked_crc32c(lengths).to_bytes(4, "little")
    rest = check + b"".join(values)
    return b"".join(varint(len(value)) for value in values) + rest, masked_crc32c(lengths + rest)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8))
def test_strings_come_back(tmp_path_factory, values: list[bytes]) -> None:
    bundle = Bundle(tmp_path_factory.mktemp("strings"))
    content, crc = packed(values)
    array = np.empty(len(values), object)
    array[:] = values
    bundle.add(b"s", array, 0, content=content, crc=crc)
    assert bundle.open().read("s").tolist() == values


@given(st.binary(max_size=40), st.integers(0, 2**40))
def test_strings_that_are_no_strings_are_refused(tmp_path_factory, content: bytes, count: int) -> None:
    bundle = Bundle(tmp_path_factory.mktemp("strings"))
    bundle.add(b"s", np.zeros(0, object), 0, content=content, shape=(count,), crc=1)
    checkpoint = bundle.open()
    with pytest.raises(FormatError):
        checkpoint.read("s")


def test_a_changed_byte_is_noticed(bundle: Bundle) -> None:
    bundle.add(b"w", np.arange(5, dtype=np.float32), 1)
    bundle.data[1][3] ^= 1
    with pytest.raises(FormatError, match="checksum"):
        bundle.open().read("w")


@pytest.mark.parametrize(
    ("change", "summary"),
    [
        ({"shape": (6,)}, "does not follow"),
        ({"shape": (-1,)}, "impossible shape"),
        ({"shape": (2**40, 2**40)}, "impossible shape"),
        ({"slices": [((0, 9),)]}, "reaches past"),
        ({"slices": [((0, 2),)]}, "missing"),
        ({"slices": [((0, 2), (0, 1))]}, "another rank"),
    ],
)
def test_impossible_entries_are_refused(bundle: Bundle, change: dict, summary: str) -> None:
    bundle.add(b"w", np.arange(5, dtype=np.float32), 1, **change)
    with pytest.raises(FormatError, match=summary):
        bundle.open().read("w")


def test_slices_that_leave_holes_are_refused(bundle: Bundle) -> None:
    whole = np.arange(6, dtype=np.float32)
    bundle.add(b"w", whole, 0, slices=[((0, 2),)])
    bundle.add(slice_key("w", [(0, 2)]), whole[:2], 0)
    with pytest.raises(FormatError, match="make it up"):
        bundle.open().read("w")


def test_files_that_are_not_there_are_refused(bundle: Bundle) -> None:
    bundle.add(b"w", np.arange(5, dtype=np.float32), 1)
    entry = message_class("tensorflow.BundleEntryProto").FromString(bundle.entries[b"w"])
    entry.shard_id = SHARDS
    bundle.entries[b"w"] = entry.SerializeToString()
    with pytest.raises(FormatError, match="not there"):
        bundle.open().read("w")


@pytest.mark.parametrize("text", ["10", "10 0,5:0,1", "10 a,b", "x 0,5", "10 0,5,6"])
def test_a_malformed_part_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="malformed"):
        parse_slice(text, "w")


def test_the_keys_of_slices_are_those_of_tensorflow() -> None:
    assert slice_key("a\0b", [(0, 63), (64, -1)]) == (b"\0a\0\xffb\0\1\1\2" + b"\x80" + b"\xbf" + b"\xc0\x40" + b"\x7f")
    assert slice_key("w", [(2**20, 2**40)]) == b"\0w\0\1\1\1" + b"\xf0\x10\0\0" + b"\xfd\0\0\0\0\0"
