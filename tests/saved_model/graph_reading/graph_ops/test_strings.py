"""Strings are cut, joined, measured and hashed as TensorFlow has it, and what cannot be is refused by name."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.core import RequestError
from mainstay.saved_model.graph_reading.graph_ops.hashes import hashes64, sip_hashes

KEY = (0x0706050403020100, 0x0F0E0D0C0B0A0908)


def test_letters_beyond_ascii_change_only_where_the_encoding_is_utf_8(run, text):
    given_text = text("ÄB", b"\xffA", "X\0Y")
    assert run("StringLower", given_text).tolist() == ["Äb".encode(), b"\xffa", b"x\0y"]
    assert run("StringLower", given_text, encoding=b"utf-8").tolist() == ["äb".encode(), "\ufffda".encode(), b"x"]
    with pytest.raises(RequestError, match="no such encoding"):
        run("StringUpper", given_text, encoding=b"latin-1")


def test_lengths_count_bytes_or_characters_of_malformed_text_too(run, text):
    given_text = text("é☃", b"\x80\x80", "", b"\xe2")
    assert run("StringLength", given_text).tolist() == [5, 2, 0, 1]
    assert run("StringLength", given_text, unit=b"UTF8_CHAR").tolist() == [2, 0, 0, 1]


def test_a_position_behind_the_end_is_refused_with_the_node(run, text):
    with pytest.raises(RequestError, match=r"a/node \(Substr\)"):
        run("Substr", text("abc"), np.int32(4), np.int32(1))
    assert run("Substr", text("abc"), np.int32(-2), np.int32(10**9)).tolist() == [b"bc"]
    with pytest.raises(RequestError, match="differ in shape"):
        run("Substr", text("abc"), np.int32([0]), np.int32(1))


def test_a_scalar_stays_a_scalar(run, text):
    assert run("StringStrip", text(" a ").reshape(())).shape == ()
    assert run("StringJoin", text("a").reshape(()), text("b").reshape(())).item() == b"ab"


def test_a_set_of_delimiters_splits_at_each_of_them(run, text):
    places, values, shape = run("StringSplit", text("a,b c", "", ",,"), text(", ").reshape(()))
    assert values.tolist() == [b"a", b"b", b"c"]
    assert places.tolist() == [[0, 0], [0, 1], [0, 2]]
    assert shape.tolist() == [3, 3]


@given(st.lists(st.binary(max_size=6)), st.sampled_from([b",", b"ab", b""]), st.integers(-1, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_a_split_loses_nothing_but_separators(run, text, texts, separator, most):
    places, values, shape = run("StringSplitV2", text(*texts), text(separator).reshape(()), maxsplit=most)
    assert places.shape == (len(values), 2)
    assert shape[0] == len(texts)
    if separator:
        rows = [values[places[:, 0] == row].tolist() for row in range(len(texts))]
        assert [separator.join(row) for row in rows] == texts


def test_segments_outside_are_refused_before_anything_is_made(run, text):
    with pytest.raises(RequestError, match="too large"):
        run("UnsortedSegmentJoin", text("a"), np.int32([0]), np.int64(10**12))
    with pytest.raises(RequestError, match="no such segment"):
        run("UnsortedSegmentJoin", text("a"), np.int32([3]), np.int64(3))


def test_hashes_are_those_of_their_publications(run, text):
    vectors = [0x726FDB47DD0E0E31, 0x74F839C593DC67FD, 0x0D6C8009D9A94F5A, 0x85676696D7FB7E2D]
    assert sip_hashes([bytes(range(size)) for size in range(4)], KEY).tolist() == vectors
    assert sip_hashes([bytes(range(15))], KEY).tolist() == [0xA129CA6149BE45E5]
    assert run("StringToHashBucketFast", text("Hello", "TensorFlow", "2.x"), num_buckets=3).tolist() == [0, 2, 2]
    assert run("StringToHashBucketStrong", text("Hello", "TF"), num_buckets=3, key=(1, 2)).tolist() == [2, 0]
    assert hashes64([]).tolist() == []
    with pytest.raises(RequestError, match="at least one bucket"):
        run("StringToHashBucket", text("a"), num_buckets=0)


def test_n_grams_are_padded_and_short_rows_kept(run, text):
    options = {"separator": b" ", "left_pad": b"<", "right_pad": b">", "Tsplits": np.dtype(np.int64)}
    grams, splits = run(
        "StringNGrams",
        text("a", "b"),
        np.int64([0, 1, 2]),
        ngram_widths=(2,),
        pad_width=1,
        preserve_short_sequences=False,
        **options,
    )
    assert grams.tolist() == [b"< a", b"a >", b"< b", b"b >"]
    assert splits.tolist() == [0, 2, 4]
    with pytest.raises(RequestError, match="splits do not fit"):
        run(
            "StringNGrams",
            text("a"),
            np.int64([0, 5]),
            ngram_widths=(2,),
            pad_width=0,
            preserve_short_sequences=True,
            **options,
        )
