"""Code points of well-formed and malformed strings."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.core import RequestError

OPTIONS = {"input_encoding": b"UTF-8", "Tsplits": np.dtype(np.int64)}


def test_what_is_malformed_is_replaced_left_out_or_refused(run, text):
    broken = text(b"a\xff\xe2\x98b")
    assert run("UnicodeDecode", broken, **OPTIONS)[1].tolist() == [97, 0xFFFD, 0xFFFD, 98]
    assert run("UnicodeDecode", broken, errors=b"ignore", **OPTIONS)[1].tolist() == [97, 98]
    with pytest.raises(RequestError, match="malformed"):
        run("UnicodeDecode", broken, errors=b"strict", **OPTIONS)
    starts = run("UnicodeDecodeWithOffsets", broken, **OPTIONS)[2]
    assert starts.tolist() == [0, 1, 2, 4]


@pytest.mark.parametrize("name", [b"idna", b"rot13", b"unicode_escape", b"zlib", b"../x", b"\xff"])
def test_only_encodings_of_text_are_known(run, text, name):
    with pytest.raises(Exception, match="encoding"):
        run("UnicodeDecode", text("a"), input_encoding=name, Tsplits=np.dtype(np.int64))


@given(st.lists(st.text(max_size=5), max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_strings_come_back_from_their_code_points(run, text, texts):
    splits, points = run("UnicodeDecode", text(*texts), **OPTIONS)
    back = run("UnicodeEncode", points, splits, output_encoding=b"UTF-8")
    assert [each.decode() for each in back.tolist()] == texts


def test_another_encoding_is_written(run, text):
    made = run("UnicodeTranscode", text("é", b"\xff"), input_encoding=b"UTF-8", output_encoding=b"UTF-16-BE")
    assert made.tolist() == [b"\0\xe9", b"\xff\xfd"]
    with pytest.raises(RequestError, match="UTF-16-BE"):
        run("UnicodeTranscode", text("é"), input_encoding=b"UTF-8", output_encoding=b"latin-1")
