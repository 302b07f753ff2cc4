"""TensorBundle: arrays come back bit by bit, aligned, without a copy; TensorFlow's own files are read."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mainstay.core import ModelError, masked_crc32c, message_class
from mainstay.saved_model.bundle import (
    DATA_FILE,
    INDEX_FILE,
    add_strings,
    data_file,
    read_index,
    read_tensor,
    write_bundle,
)
from mainstay.saved_model.tables import decode_table, encode_table

DTYPES = ["f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8"]


def write_and_read(folder: Path, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    write_bundle(folder, tensors)
    data = memoryview((folder / DATA_FILE).read_bytes())
    return {name: read_tensor(name, e, data) for name, e in read_index((folder / INDEX_FILE).read_bytes()).items()}


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
        st.sampled_from(DTYPES).flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))),
        max_size=6,
    )
)
def test_arrays_come_back_bit_by_bit(tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, np.ndarray]) -> None:
    read = write_and_read(tmp_path_factory.mktemp("bundle"), tensors)
    assert set(read) == set(tensors)
    for name, array in tensors.items():
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        assert read[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2])
def test_short_floats_are_kept(tmp_path: Path, dtype: type) -> None:
    array = np.arange(-3, 3).astype(dtype)
    assert (write_and_read(tmp_path, {"w": array})["w"] == array).all()


def test_every_tensor_starts_at_a_multiple_of_64_bytes(tmp_path: Path) -> None:
    write_bundle(tmp_path, {f"w{i}": np.ones(i, np.float32) for i in range(20)})
    assert all(entry.offset % 64 == 0 for entry in read_index((tmp_path / INDEX_FILE).read_bytes()).values())


def test_a_tensor_is_a_view_of_the_file_and_not_a_copy(tmp_path: Path) -> None:
    write_bundle(tmp_path, {"w": np.arange(9, dtype=np.float32)})
    data = np.frombuffer((tmp_path / DATA_FILE).read_bytes(), np.uint8)
    index = read_index((tmp_path / INDEX_FILE).read_bytes())
    assert np.shares_memory(read_tensor("w", index["w"], memoryview(data)), data)


def test_the_checksum_of_a_tensor_is_that_of_its_bytes(tmp_path: Path) -> None:
    array = np.arange(1000, dtype=np.float32)
    write_bundle(tmp_path, {"w": array})
    table = decode_table((tmp_path / INDEX_FILE).read_bytes())
    entry = message_class("tensorflow.BundleEntryProto").FromString(table[b"w"])
    assert entry.crc32c == masked_crc32c(array.tobytes())


def test_a_dtype_without_a_place_in_the_format_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="dense/kernel: a weight has a dtype") as failure:
        write_bundle(tmp_path, {"dense/kernel": np.array(["a"], object)})
    assert failure.value.received == "object"


def test_a_tensor_of_strings_is_left_out(tmp_path: Path) -> None:
    write_bundle(tmp_path, {"w": np.ones(1, np.float32)})
    table = decode_table((tmp_path / INDEX_FILE).read_bytes())
    strings = message_class("tensorflow.BundleEntryProto")(dtype=7, size=3)
    table[b"_CHECKPOINTABLE_OBJECT_GRAPH"] = strings.SerializeToString()
    assert list(read_index(encode_table(sorted(table.items())))) == ["w"]


def test_a_bundle_that_tensorflow_wrote_is_read(shared_data: Path) -> None:
    folder = shared_data / "saved_models" / "saved_model_half_plus_three" / "00000123"
    index, data = read_index((folder / INDEX_FILE).read_bytes()), memoryview((folder / DATA_FILE).read_bytes())
    assert {name: float(read_tensor(name, entry, data)) for name, entry in index.items()} == {"a": 0.5, "b": 3, "c": 3}


def test_a_compressed_bundle_that_tensorflow_wrote_is_read(shared_data: Path) -> None:
    folder = shared_data / "saved_models" / "saved_model_half_plus_two_cpu" / "00000123"
    assert set(read_index((folder / INDEX_FILE).read_bytes())) == {"a", "a2", "b", "c", "c2"}


def test_data_files_are_split_between_tensors_once_they_are_too_large(tmp_path: Path) -> None:
    tensors = {
        name: np.full(size, index, np.uint8)
        for index, (name, size) in enumerate(zip("abcde", (60, 70, 500, 10, 20), strict=True))
    }
    write_bundle(tmp_path, tensors, most=200)
    files = [(tmp_path / data_file(shard, 3)).read_bytes() for shard in range(3)]
    assert [len(content) for content in files] == [134, 500, 84]
    entry_class = message_class("tensorflow.BundleEntryProto")
    table = decode_table((tmp_path / INDEX_FILE).read_bytes())
    assert message_class("tensorflow.BundleHeaderProto").FromString(table.pop(b"")).num_shards == 3
    for name, raw in table.items():
        entry = entry_class.FromString(raw)
        assert files[entry.shard_id][entry.offset : entry.offset + entry.size] == tensors[name.decode()].tobytes()


@pytest.mark.parametrize("text", [b"", b"x" * 127, b"y" * 300])
def test_a_string_lies_among_the_numbers_as_tensorflow_has_it(tmp_path: Path, text: bytes) -> None:
    write_bundle(tmp_path, {"w": np.ones(3, np.float32)})
    add_strings(tmp_path, {"graph": text})
    raw = decode_table((tmp_path / INDEX_FILE).read_bytes())[b"graph"]
    entry = message_class("tensorflow.BundleEntryProto").FromString(raw)
    data = (tmp_path / DATA_FILE).read_bytes()[entry.offset : entry.offset + entry.size]
    length = len(text).to_bytes(4, "little")
    check = masked_crc32c(length).to_bytes(4, "little")
    assert data.endswith(check + text)
    assert (entry.dtype, entry.crc32c) == (7, masked_crc32c(length + check + text))
    assert len(data) == entry.size == len(text) + 4 + (1 if len(text) < 128 else 2)


def test_strings_need_no_numbers_beside_them_and_change_none(tmp_path: Path) -> None:
    add_strings(tmp_path, {"b": b"two", "a": b"one"})
    assert list(decode_table((tmp_path / INDEX_FILE).read_bytes())) == [b"", b"a", b"b"]
    other = tmp_path / "other"
    write_bundle(other, {"m": np.arange(5)})
    before = (other / DATA_FILE).read_bytes()
    add_strings(other, {"z": b"last", "a": b"first"})
    assert (other / DATA_FILE).read_bytes().startswith(before)
    data = memoryview((other / DATA_FILE).read_bytes())
    assert read_tensor("m", read_index((other / INDEX_FILE).read_bytes())["m"], data).tolist() == [0, 1, 2, 3, 4]
