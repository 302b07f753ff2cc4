"""tf.Examples on the wire in every form that protobuf allows, and what protobuf makes of them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mainstay.io import Ragged, train

KINDS = {1: "bytes_list", 2: "float_list", 3: "int64_list"}
DTYPES = {1: "string", 2: "float32", 3: "int64"}


def varint(number: int, *, longer: int = 0) -> bytes:
    """A number of 64 bits, with `longer` needless bytes."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    for _ in range(longer):
        out[-1] |= 128
        out.append(0)
    return bytes(out)


def sized(field: int, content: bytes) -> bytes:
    """A field of the given number that has a length."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def feature(kind: int, values: list[Any]) -> bytes:
    """A Feature as every writer writes it."""
    if kind == 1:
        content = b"".join(sized(1, value) for value in values)
    elif kind == 2:
        content = sized(1, b"".join(struct.pack("<f", value) for value in values)) if values else b""
    else:
        content = sized(1, b"".join(map(varint, values))) if values else b""
    return sized(kind, content)


def entry(key: bytes, value: bytes) -> bytes:
    """An entry of the map of features."""
    return sized(1, sized(1, key) + sized(2, value))


def example(*entries: bytes) -> bytes:
    """An Example of the given entries."""
    return sized(1, b"".join(entries))


def record(**features: tuple[int, list[Any]]) -> bytes:
    """A plain Example of features given as kind and values."""
    return example(*(entry(key.encode(), feature(*given)) for key, given in features.items()))


VALUES: dict[int, st.SearchStrategy[Any]] = {
    1: st.binary(max_size=12),
    2: st.floats(width=32, allow_nan=False),
    3: st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 300)),
}

UNKNOWN = st.sampled_from(
    [
        varint(9 << 3) + varint(77),
        varint(9 << 3 | 1) + bytes(8),
        sized(9, b"unknown"),
        varint(9 << 3 | 5) + bytes(4),
        varint(9 << 3 | 3) + sized(2, b"in a group") + varint(9 << 3 | 4),
    ]
)


@st.composite
def lists(draw: Any, kind: int) -> bytes:
    """The content of a list: pieces packed and not, and fields that nobody knows."""
    pieces = []
    for packed, values in draw(
        st.lists(st.tuples(st.booleans(), st.lists(VALUES[kind], max_size=3)), min_size=0, max_size=3)
    ):
        if kind == 1:
            pieces += [sized(1, value) for value in values]
        elif kind == 2 and packed:
            pieces.append(sized(1, b"".join(struct.pack("<f", value) for value in values)))
        elif kind == 2:
            pieces += [varint(1 << 3 | 5) + struct.pack("<f", value) for value in values]
        elif packed:
            pieces.append(sized(1, b"".join(map(varint, values))))
        else:
            pieces += [varint(1 << 3) + varint(value) for value in values]
        pieces += draw(st.lists(UNKNOWN, max_size=1))
    return b"".join(pieces)


@st.composite
def features(draw: Any, kinds: st.SearchStrategy[int]) -> bytes:
    """A Feature: mostly one list, sometimes none, several, or of two kinds."""
    chosen = draw(st.one_of(st.lists(kinds, min_size=1, max_size=1), st.lists(kinds, max_size=3)))
    pieces = [sized(kind, draw(lists(kind))) for kind in chosen]
    return b"".join([*draw(st.lists(UNKNOWN, max_size=1)), *pieces])


NAMES = [b"a", b"bb", b"a name of twenty-two b", b""]
NAMED = dict(zip(NAMES, (3, 2, 1, 3), strict=True))


@st.composite
def entries(draw: Any) -> tuple[bytes, bytes]:
    """A key, mostly one that is asked for, and a Feature, mostly of its kind."""
    name = draw(st.sampled_from([*NAMES, b"nobody asks"]))
    kind = NAMED.get(name, 3)
    likely = st.one_of(st.just(kind), st.just(kind), st.just(kind), st.sampled_from([1, 2, 3]))
    return name, draw(features(likely))


@st.composite
def records(draw: Any) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """An Example, and its entries: in one or several Features messages, some entries in odd forms."""
    found, messages = [], []
    for _ in range(draw(st.integers(0, 2))):
        pieces = []
        for name, value in draw(st.lists(entries(), max_size=4)):
            form = draw(st.sampled_from(["plain", "plain", "plain", "value first", "two pieces", "unknown", "long"]))
            if form == "plain":
                pieces.append(entry(name, value))
            elif form == "value first":
                pieces.append(sized(1, sized(2, value) + sized(1, name)))
            elif form == "unknown":
                pieces.append(
                    sized(1, draw(UNKNOWN) + sized(1, name) + draw(UNKNOWN) + sized(2, value)) + draw(UNKNOWN)
                )
            elif form == "long":
                content = sized(1, name) + varint(2 << 3 | 2, longer=1) + varint(len(value), longer=2) + value
                pieces.append(sized(1, content))
            else:
                other = draw(features(st.just(NAMED.get(name, 3))))
                pieces.append(sized(1, sized(1, name) + sized(2, value) + sized(2, other)))
                value += other
            found.append((name, value))
        messages.append(example(*pieces))
    return b"".join([*messages, *draw(st.lists(UNKNOWN, max_size=1))]), found


def protobuf_answer(found: list[tuple[bytes, bytes]], name: bytes, *, ragged: bool) -> tuple[int, list[Any]] | None:
    """The kind and the values that protobuf reads, of the last entry of a key that TensorFlow goes by."""
    answer = None
    for key, value in found:
        if key != name:
            continue
        message = train.Feature.FromString(value)
        which = message.WhichOneof("kind")
        if which is not None:
            kind = next(kind for kind, known in KINDS.items() if known == which)
            answer = kind, list(getattr(message, which).value)
        elif ragged:
            answer = None
    return answer


def plain(column: Any) -> Any:
    """A column as Python's own values, floats by their bits."""
    if isinstance(column, Ragged):
        return plain(column.values), column.splits.tolist()
    if hasattr(column, "to_pylist"):
        return column.to_pylist()
    if isinstance(column, np.ndarray | np.generic) and column.dtype == np.float32:
        return np.asarray(column).view(np.uint32).tolist()
    return column.tolist() if isinstance(column, np.ndarray | np.generic) else column
