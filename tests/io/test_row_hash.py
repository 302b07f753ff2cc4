import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import ArgumentError
from mainstay.io import ROW_HASH_VERSION, hash_rows

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(word):
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB & MASK
    return word ^ (word >> 31)


def reference(name, value):
    """The hash of one value as docs/formats/row-hash.md specifies it, written a second time without NumPy's tricks."""
    import hashlib
    import struct

    if value is None or value != value:
        return 0
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    if isinstance(value, str):
        data = value.encode()
        words = [data[i : i + 8].ljust(8, b"\0") for i in range(0, len(data), 8)]
        word = len(data) * GOLDEN
        for index, piece in enumerate(words):
            word += mix(int.from_bytes(piece, "little") ^ ((index + 1) * GOLDEN & MASK))
    else:
        number = float(value) + 0.0
        word = int.from_bytes(struct.pack("<d", number), "little")
        if isinstance(value, int):
            word += (value - int(number)) * GOLDEN
    return mix((word + seed) & MASK)


def reference_rows(columns):
    rows = zip(*columns.values(), strict=True)
    return [mix(sum(reference(n, v) for n, v in zip(columns, row, strict=True)) & MASK) for row in rows]


VALUES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=90),
    pa.large_string(): st.text(max_size=5),
}


@st.composite
def tables(draw):
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=4))
    rows = draw(st.integers(0, 12))
    return {
        f"column {index}": pa.array(
            draw(st.lists(st.none() | VALUES[kind], min_size=rows, max_size=rows)), kind, from_pandas=False
        )
        for index, kind in enumerate(kinds)
    }


@given(tables())
def test_every_hash_is_what_the_specification_says(columns):
    hashes = hash_rows(pa.record_batch(columns))
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == reference_rows({name: array.to_pylist() for name, array in columns.items()})


@given(tables(), st.integers(0, 12), st.integers(0, 12))
def test_neither_batch_boundaries_nor_the_order_of_columns_change_a_hash(columns, start, stop):
    batch = pa.record_batch(columns)
    turned = batch.select(batch.schema.names[::-1])
    start, stop = sorted((min(start, len(batch)), min(stop, len(batch))))
    assert hash_rows(turned.slice(start, stop - start)).tolist() == hash_rows(batch).tolist()[start:stop]


def test_pinned_hashes_never_change():
    batch = pa.record_batch(
        {
            "amount": pa.array([0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63), None]),
            "share": pa.array([0.0, 0.1, -2.5, float("inf"), 1e300, None, float("nan")]),
            "flag": pa.array([True, False, None, True, False, None, True]),
            "text": pa.array(["", "a", "12345678", "123456789", "Zürich\n", "x" * 100, None]),
            "time": pa.array([0, 1, None, 1_400_269_500_000_000, -1, 5, 6], pa.timestamp("us", "UTC")),
        }
    )
    assert ROW_HASH_VERSION == 1
    assert hash_rows(batch).tolist() == PINNED


PINNED = [
    15797801996812404463,
    155611012087715549,
    9435630067583578428,
    10653280434379978368,
    7252656342626136428,
    15082834742844476351,
    10354682796654919046,
]


def test_an_integer_and_the_float_of_the_same_value_have_one_hash():
    integers = [0, 5, -7, 2**53, -(2**53), 2**62, -(2**63), None]
    as_int = pa.record_batch({"x": pa.array(integers, pa.int64())})
    as_float = pa.record_batch({"x": pa.array([None if v is None else float(v) for v in integers])})
    assert hash_rows(as_int).tolist() == hash_rows(as_float).tolist()
    small = pa.record_batch({"x": pa.array([1, 5], pa.int8())}), pa.record_batch({"x": pa.array([1, 5], pa.float32())})
    assert hash_rows(small[0]).tolist() == hash_rows(small[1]).tolist()


def test_large_integers_that_round_to_one_float_have_different_hashes():
    batch = pa.record_batch({"id": pa.array(range(2**60, 2**60 + 1000))})
    assert len(set(hash_rows(batch).tolist())) == 1000
    top = pa.record_batch({"id": pa.array(range(2**63 - 1000, 2**63))})
    assert len(set(hash_rows(top).tolist())) == 1000


def test_zero_has_one_hash_whatever_its_sign():
    assert len(set(hash_rows(pa.record_batch({"x": [0.0, -0.0]})).tolist())) == 1


def test_a_missing_value_counts_as_if_the_column_were_not_there():
    with_missing = pa.record_batch({"a": [1, 2], "b": pa.array([None, None], pa.string()), "c": pa.nulls(2)})
    assert hash_rows(with_missing).tolist() == hash_rows(pa.record_batch({"a": [1, 2]})).tolist()
    assert hash_rows(with_missing, ["b"]).tolist() == [0, 0]


def test_dictionary_encoded_strings_hash_as_plain_ones():
    texts = pa.array(["a", None, "bb", "a", "a string of more than eight bytes"])
    encoded = texts.dictionary_encode()
    plain = hash_rows(pa.record_batch({"x": texts})).tolist()
    assert hash_rows(pa.record_batch({"x": encoded})).tolist() == plain
    assert hash_rows(pa.record_batch({"x": encoded}).slice(1, 3)).tolist() == plain[1:4]
    with_null = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None]))
    assert hash_rows(pa.record_batch({"x": with_null})).tolist() == [plain[0], 0]
    empty = pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int32()), pa.array([], pa.string()))
    assert hash_rows(pa.record_batch({"x": empty})).tolist() == [0, 0]


def test_timestamps_of_every_unit_and_zone_hash_by_their_instant():
    moment = datetime.datetime(2024, 2, 29, 12, 30)
    kinds = [pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", "UTC")]
    assert len({int(hash_rows(pa.record_batch({"t": pa.array([moment], kind)}))[0]) for kind in kinds}) == 1


def test_strings_that_differ_in_order_padding_or_place_have_different_hashes():
    texts = ["ab", "ba", "a", "a\0", "12345678", "1234567812345678", "abcdefgh12345678", "12345678abcdefgh", "é", "e"]
    texts += ["x" * n for n in range(1, 200)]
    assert len(set(hash_rows(pa.record_batch({"x": texts})).tolist())) == len(set(texts))


def test_the_same_value_in_another_column_has_another_hash():
    hashes = hash_rows(pa.record_batch({"a": [1, 2, None, 7], "b": [2, 1, 7, None]})).tolist()
    assert len(set(hashes)) == 4


def test_texts_beyond_a_slice_hash_as_if_they_were_alone():
    texts = ["x" * 3_000_000, "short", "y" * 1_100_000, "", "z"]
    together = hash_rows(pa.record_batch({"x": texts})).tolist()
    assert together == [int(hash_rows(pa.record_batch({"x": [text]}))[0]) for text in texts]


@pytest.mark.parametrize(
    "array",
    [
        pa.array(range(200_000)),
        pa.array(np.arange(200_000) / 8),
        pa.array([str(n) for n in range(200_000)]),
        pa.array([f"customer number {n:09d}" for n in range(200_000)]),
    ],
    ids=["integers", "eighths", "short strings", "long strings"],
)
def test_hashes_of_regular_values_are_uniform_in_every_bit_and_bucket(array):
    hashes = hash_rows(pa.record_batch({"x": array}))
    assert len(np.unique(hashes)) == len(array)
    for buckets in (100, 10, 7, 256):
        counts = np.bincount((hashes % np.uint64(buckets)).astype(int), minlength=buckets)
        expected = len(array) / buckets
        chi_square = float(((counts - expected) ** 2 / expected).sum())
        assert chi_square < buckets + 6 * np.sqrt(2 * buckets)
    bits = np.unpackbits(hashes.view(np.uint8).reshape(-1, 8), axis=1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(len(array))


def test_two_columns_of_few_values_fill_the_buckets_evenly():
    left, right = np.meshgrid(np.arange(300), np.arange(300))
    hashes = hash_rows(pa.record_batch({"a": left.ravel(), "b": right.ravel()}))
    assert len(np.unique(hashes)) == 90_000
    counts = np.bincount((hashes % np.uint64(100)).astype(int), minlength=100)
    assert ((counts - 900) ** 2 / 900).sum() < 100 + 6 * np.sqrt(200)


def test_a_column_that_cannot_be_hashed_is_refused_naming_it():
    with pytest.raises(ArgumentError, match="'tags'"):
        hash_rows(pa.record_batch({"tags": [[1, 2]]}))
    with pytest.raises(ArgumentError, match="'big'"):
        hash_rows(pa.record_batch({"big": pa.array([2**63], pa.uint64())}))
    with pytest.raises(ArgumentError, match="did you mean 'fare'"):
        hash_rows(pa.record_batch({"fare": [1]}), ["fair"])


def test_a_batch_without_rows_has_no_hashes():
    assert hash_rows(pa.record_batch({"a": pa.array([], pa.string()), "b": pa.array([], pa.int64())})).tolist() == []
