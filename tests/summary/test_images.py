"""Images: what an independent PNG decoder reads, and the conversion of every dtype."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mainstay import summary
from mainstay.core import ArgumentError
from mainstay.summary.images import encode_png, to_bytes


def decode_png(data: bytes) -> np.ndarray:
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, position = {}, 8
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        assert struct.unpack_from(">I", data, position + 8 + length) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        position += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, rest) == (8, [0, 0, 0])
    channels = {0: 1, 4: 2, 2: 3, 6: 4}[colour]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width * channels)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, channels)


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))))
def test_a_png_decodes_to_the_pixels(pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_png(encode_png(pixels)), pixels)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([0, 0.5, 1, -3, 7, np.nan, np.inf, -np.inf], "float32"), [0, 127, 255, 0, 255, 0, 255, 0]),
        (np.array([0.25], "float16"), [63]),
        (np.array([0, 17, 255], "uint8"), [0, 17, 255]),
        (np.array([0, 256, 65535], "uint16"), [0, 1, 255]),
        (np.array([True, False]), [255, 0]),
        (np.array([-5, 17, 300], "int64"), [0, 17, 255]),
    ],
)
def test_pixels_of_every_dtype_become_bytes(pixels: np.ndarray, expected: list[int]) -> None:
    found = to_bytes(pixels)
    assert found.dtype == np.uint8
    assert found.tolist() == expected


def test_images_are_recorded_with_their_size_and_their_number_is_limited(tmp_path: Path, read_values) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(step=1):
        assert summary.image("pictures", pixels)
        assert summary.image("none", pixels, max_outputs=0)
    writer.close()
    (tag, step, plugin, first), (*_, second) = read_values(tmp_path)
    assert (tag, step, plugin) == ("pictures", 1, "images")
    assert first.tolist()[:2] == second.tolist() == [b"6", b"4"]
    np.testing.assert_array_equal([decode_png(item) for item in first[2:]], pixels[:3])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_jax_array_of_any_number_of_channels_is_recorded(tmp_path: Path, read_values, channels: int) -> None:
    import jax.numpy as jnp

    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(step=1):
        summary.image("a", jnp.full((1, 2, 3, channels), 0.5))
    writer.close()
    assert decode_png(read_values(tmp_path)[0][3][2]).shape == (2, 3, channels)


@pytest.mark.parametrize(
    "arguments",
    [
        {"data": np.zeros((4, 4))},
        {"data": np.zeros((1, 4, 4, 5))},
        {"data": np.zeros((1, 0, 4, 3))},
        {"data": "picture"},
        {"data": np.zeros((1, 4, 4, 1)), "max_outputs": -1},
    ],
)
def test_wrong_images_are_refused(tmp_path: Path, arguments: dict) -> None:
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(step=0), pytest.raises(ArgumentError, match=r"^i: "):
        summary.image("i", **arguments)
    writer.close()
