import gzip
import json
import zlib

from hypothesis import given
from hypothesis import strategies as st

from mainstay.serving.http1.gzip_body import unpack_gzip
from mainstay.serving.rest.answers import Answer


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_bodies_of_one_or_more_members_are_unpacked(members):
    packed = b"".join(gzip.compress(member) for member in members)
    assert unpack_gzip(packed, 1000) == b"".join(members)


def test_the_bound_is_exact():
    assert unpack_gzip(gzip.compress(b"x" * 100), 100) == b"x" * 100
    refused = unpack_gzip(gzip.compress(b"x" * 101), 100)
    assert isinstance(refused, Answer)
    assert refused.status == 413


@given(st.binary(max_size=60))
def test_what_is_no_gzip_is_refused(data):
    answer = unpack_gzip(b"\x00" + data, 1000)
    assert isinstance(answer, Answer)
    assert answer.status == 400


def test_a_flood_of_tiny_members_is_refused():
    answer = unpack_gzip(gzip.compress(b"") * 10_000, 1000)
    assert isinstance(answer, Answer)
    assert "members" in json.loads(answer.body)["error"]


def test_zlib_without_a_gzip_head_is_refused():
    assert isinstance(unpack_gzip(zlib.compress(b"x"), 100), Answer)
