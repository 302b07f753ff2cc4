"""Fingerprint64: TensorFlow's published values, and many strings at once as one by one."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mainstay.hostops import fingerprint64
from mainstay.hostops.farmhash import fingerprints64

# From TensorFlow's string_to_hash_bucket_op_test.py and the documentation of tf.strings.to_hash_bucket_fast.
PINNED = {
    b"a": 12917804110809363939,
    b"b": 11795596070477164822,
    b"c": 11430444447143000872,
    b"d": 4470636696479570465,
}


def test_known_fingerprints_hold():
    assert {key: fingerprint64(key) for key in PINNED} == PINNED
    assert [fingerprint64(word) % 3 for word in (b"Hello", b"TensorFlow", b"2.x")] == [0, 2, 2]


def test_every_length_class_is_pinned():
    text = bytes(range(256)) * 5
    lengths = (0, 3, 7, 8, 16, 17, 32, 33, 64, 65, 128, 129, 1000)
    assert [fingerprint64(text[:length]) for length in lengths] == [
        11160318154034397263,
        10709908609026466970,
        11736591675260184225,
        12491318377461660568,
        1080060857502750420,
        13526182118996909852,
        1917831512995979081,
        16750416167695635022,
        17691551913807367243,
        14313328211205373374,
        2037963038260878803,
        14883169112474847294,
        8032585197585415396,
    ]


def test_many_at_once_equal_one_by_one_at_every_length():
    generator = random.Random(3)
    items = [generator.randbytes(length) for length in range(200) for _ in range(55)]
    items += [generator.randbytes(length) for length in (1023, 1024, 1025, 5000)] * 2
    assert fingerprints64(items).tolist() == [fingerprint64(item) for item in items]


@given(st.lists(st.binary(max_size=80), min_size=60, max_size=200))
def test_many_at_once_equal_one_by_one(items):
    assert fingerprints64(items).tolist() == [fingerprint64(item) for item in items]


def test_no_strings_have_no_fingerprints():
    assert fingerprints64([]).dtype == np.uint64
    assert len(fingerprints64([])) == 0
