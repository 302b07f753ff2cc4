"""Variable-length integers of many records decoded at once in NumPy: eight bytes of each are one word."""

from __future__ import annotations

import numpy as np

_WORD = np.uint64
_STOP = _WORD(0x8080808080808080)
_SEVEN = _WORD(0x7F7F7F7F7F7F7F7F)
# The lowest `n` bytes of a word.
_LOWEST = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)
# Seven bits of each byte move together in three steps: pairs of bytes, of pairs, and of four.
_STEPS = (
    (_WORD(0x007F007F007F007F), _WORD(0x7F007F007F007F00), _WORD(1)),
    (_WORD(0x00003FFF00003FFF), _WORD(0x3FFF00003FFF0000), _WORD(2)),
    (_WORD(0x000000000FFFFFFF), _WORD(0x0FFFFFFF00000000), _WORD(4)),
)


def words_of(buffer: np.ndarray) -> np.ndarray:
    """Return the eight bytes that begin at each place of a buffer, as a view ``[bytes - 7]`` of unaligned words."""
    return np.ndarray((max(buffer.size - 7, 0),), "<u8", buffer, strides=(1,))


def lowest_bytes(size: int) -> np.uint64:
    """Return the word of which the lowest bytes, up to eight, are all ones."""
    return _WORD((1 << 8 * size) - 1)


def join_sevens(words: np.ndarray, longest: int = 8) -> np.ndarray:
    """Return the number whose seven-bit groups are the bytes of each word, the lowest first.

    Args:
        words: ``[n]`` uint64.
        longest: How many bytes are not zero at most.
    """
    words = words & _SEVEN
    for low, high, shift in _STEPS[: (longest - 1).bit_length()]:
        words = (words & low) | ((words & high) >> shift)
    return words


def short_sizes(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number with which each word begins, and how many bytes it takes: 0 where it takes more than five.

    Args:
        words: ``[n]`` uint64.
    """
    first = words & _WORD(0xFF)
    if first.size == 0 or first.max() < 128:
        return first.astype(np.int64), np.ones(len(words), np.int64)
    stops = ~words & _STOP
    lowest = stops & (~stops + _WORD(1))
    size = (np.bitwise_count(lowest - _WORD(1)) >> 3).astype(np.int64) + 1
    size[(stops == 0) | (size > 5)] = 0
    return join_sevens(words & _LOWEST[size]).astype(np.int64), size


def one_varint(words: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number that the first bytes of each word are, and whether they are just one number.

    Args:
        words: ``[n]`` uint64.
        sizes: How many bytes, 1 to 8, ``[n]``.
    """
    kept = words & _LOWEST[sizes]
    last = _WORD(1) << (8 * sizes - 1).astype(np.uint64)
    return join_sevens(kept).view(np.int64), (~words & _STOP & _LOWEST[sizes]) == last


def split_varints(data: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode the packed numbers of many rows that stand one behind the other.

    Args:
        data: ``[bytes]`` uint8.
        bounds: ``[rows + 1]``: where each row begins and ends.

    Returns:
        The numbers, int64; where each row's numbers begin among them, ``[rows + 1]``; and which rows are well formed:
        where one is not, its numbers mean nothing.
    """
    stop = data < 128
    ends = np.flatnonzero(stop)
    before = np.zeros(len(data) + 1, np.int64)
    np.cumsum(stop, out=before[1:])
    splits = before[bounds]
    filled = np.flatnonzero(bounds[1:] > bounds[:-1])
    good = np.ones(len(bounds) - 1, bool)
    good[filled] = stop[bounds[1:][filled] - 1]
    starts = np.empty_like(ends)
    starts[:1] = 0
    starts[1:] = ends[:-1] + 1
    sizes = ends - starts + 1
    long = np.flatnonzero(sizes > 10)
    good[np.searchsorted(bounds, ends[long], "right") - 1] = False
    padded = np.concatenate([data, np.zeros(10, np.uint8)])
    numbers = join_sevens(words_of(padded)[starts] & _LOWEST[np.minimum(sizes, 8)])
    nine = np.flatnonzero(sizes >= 9)
    numbers[nine] |= (padded[starts[nine] + 8].astype(np.uint64) & _WORD(127)) << _WORD(56)
    ten = nine[sizes[nine] >= 10]
    numbers[ten] |= padded[starts[ten] + 9].astype(np.uint64) << _WORD(63)
    return numbers.view(np.int64), splits, good
