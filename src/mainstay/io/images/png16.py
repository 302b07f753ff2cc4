"""PNG of sixteen bits to pixels, for Pillow keeps only eight of RGB and alpha.

The filters of a PNG predict a pixel from its left, upper and upper left neighbours. All pixels of one diagonal depend
on earlier diagonals alone, so they are undone together. See https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mainstay.io.images.contents import Pixels

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
_INTERLACED = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def read_png16(contents: bytes) -> Pixels:
    """Return the pixels of a PNG whose header says sixteen bits and whose size was checked.

    Returns:
        ``[height, width, channels] uint16``.

    Raises:
        ValueError: The file is damaged or cut short.
    """
    width, height, _, kind, _, _, interlace = struct.unpack_from(">IIBBBBB", contents, 16)
    if kind not in _CHANNELS or interlace > 1:
        raise ValueError(f"no PNG of sixteen bits has colour type {kind} and interlace method {interlace}")
    channels = _CHANNELS[kind]
    windows = _INTERLACED if interlace else ((0, 0, 1, 1),)
    sizes = [(-(-(height - top) // down), -(-(width - left) // right)) for top, left, down, right in windows]
    expected = sum(rows * (1 + 2 * channels * columns) for rows, columns in sizes if rows > 0 and columns > 0)
    data = np.frombuffer(_inflate(contents, expected), np.uint8)
    pixels = np.empty((height, width, channels), np.uint16)
    place = 0
    for (top, left, down, right), (rows, columns) in zip(windows, sizes, strict=True):
        if rows <= 0 or columns <= 0:
            continue
        end = place + rows * (1 + 2 * channels * columns)
        lines = data[place:end].reshape(rows, -1)
        values = _unfilter(lines[:, 0], lines[:, 1:].reshape(rows, columns, 2 * channels))
        pixels[top::down, left::right] = values.view(">u2").reshape(rows, columns, channels)
        place = end
    return pixels


def _inflate(contents: bytes, expected: int) -> bytes:
    stream = zlib.decompressobj()
    parts, length = [], 0
    for kind, body in _chunks(contents):
        if kind == b"IDAT" and length < expected:
            parts.append(stream.decompress(body, expected - length))
            length += len(parts[-1])
        if kind == b"IEND":
            break
    else:
        raise ValueError("there is no end chunk")
    if length != expected:
        raise ValueError(f"the image data end after {length:,} of {expected:,} bytes")
    return b"".join(parts)


def _chunks(contents: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place + 12 <= len(contents):
        length = int.from_bytes(contents[place : place + 4], "big")
        end = place + 8 + length
        if end + 4 > len(contents):
            raise ValueError("a chunk is cut short")
        if zlib.crc32(contents[place + 4 : end]) != int.from_bytes(contents[end : end + 4], "big"):
            raise ValueError(f"the checksum of chunk {contents[place + 4 : place + 8]!r} is wrong")
        yield contents[place + 4 : place + 8], contents[place + 8 : end]
        place = end + 4


def _unfilter(filters: NDArray[np.uint8], filtered: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo the filters of ``[rows, columns, bytes]``; each row has a filter of its own."""
    if filters.max(initial=0) > 4:
        raise ValueError(f"there is no filter {filters.max()}")
    rows, columns, width = filtered.shape
    done = np.zeros((rows + 1, columns + 1, width), np.int16)  # a border of zeros above and to the left
    for diagonal in range(rows + columns - 1):
        row = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        column = diagonal - row
        left, above, corner = done[row + 1, column], done[row, column + 1], done[row, column]
        method = filters[row][:, None]
        guess = np.select(
            [method == 1, method == 2, method == 3, method == 4],
            [left, above, (left + above) >> 1, _paeth(left, above, corner)],
            0,
        )
        done[row + 1, column + 1] = (filtered[row, column] + guess) & 255
    return np.ascontiguousarray(done[1:, 1:].astype(np.uint8))


def _paeth(left: NDArray[np.int16], above: NDArray[np.int16], corner: NDArray[np.int16]) -> NDArray[np.int16]:
    to_left, to_above = np.abs(above - corner), np.abs(left - corner)
    to_corner = np.abs(left + above - 2 * corner)
    nearest = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, nearest).astype(np.int16)
