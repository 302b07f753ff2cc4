import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import RequestError
from mainstay.serving.rest.json_text import parse, parse_first, path, show

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_any_document_is_read_as_the_standard_library_reads_it(value):
    assert parse(json.dumps(value).encode()) == value


def test_words_for_numbers_that_are_none_are_read():
    read = parse(b'{"a": [NaN, -NaN, Infinity, -Infinity, Inf, -Inf], "b": "Inf NaN \\" Inf"}')
    assert [math.isnan(v) for v in read["a"][:2]] == [True, True]
    assert read["a"][2:] == [math.inf, -math.inf, math.inf, -math.inf]
    assert read["b"] == 'Inf NaN " Inf'


def test_text_behind_the_document_is_ignored():
    assert parse(b'{"a": 1} and more {') == {"a": 1}


def test_a_mark_of_the_byte_order_is_no_part_of_the_document():
    assert parse(b'\xef\xbb\xbf {"a": 1}') == {"a": 1}


def test_bytes_that_are_no_text_stay_what_they_are():
    value = parse(b'{"a": "\xff\xc3\xbc"}')["a"]
    assert value.encode("utf-8", "surrogateescape") == b"\xff\xc3\xbc"


def test_whole_numbers_that_no_64_bits_hold_are_of_their_size():
    for text, number in ((b"18446744073709551615", 2**64 - 1), (b"18446744073709551616", 2.0**64), (b"1" * 200, 0)):
        number = number or float("1" * 200)
        for tail in (b"", b" tail"):
            found = parse(b"[%b]" % text + tail)[0]
            assert (found, type(found)) == (number, type(number))


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "b": "12:30", "c": {"b64": "x:"}, "a": 2}',
        b'{"a" : 1, "b": [{"d": {"b64": "x"}}, 3], "a": 2, "b": 7}',
        b'{"a": 1, "a": 2, "b": NaN}',
    ],
)
def test_the_first_of_two_equal_keys_counts_where_that_is_asked(text):
    assert parse_first(text)["a"] == 1
    assert parse(text)["a"] == 2


def test_the_first_of_two_equal_keys_counts_below_as_well():
    assert parse_first(b'{"inputs": {"x": 1, "x": 2}}') == {"inputs": {"x": 1}}
    assert parse_first(b'{"instances": [{"x": 1}, {"x": 1, "x": 2}]}') == {"instances": [{"x": 1}, {"x": 1}]}


@given(VALUES)
def test_a_document_without_equal_keys_is_the_same_either_way(value):
    assert parse_first(json.dumps(value).encode()) == value


def test_the_last_of_two_equal_keys_counts_in_either_parser():
    assert parse(b'{"a": 1, "a": 2}') == {"a": 2}
    assert parse(b'{"a": 1, "a": 2, "b": NaN}')["a"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"   ", "The document is empty. at offset: 3"),
        (b'{"a": [1, 2', "at offset: 11"),
        (b'{"a" 1}', "at offset: 5"),
        ('{"ä": x}'.encode(), "at offset: 7"),
        (b'{"a": NaN, "b": }', "at offset: 16"),
        (b"{'a': 1}", "at offset: 1"),
        (b'{"a": "\\ud800"}', "The surrogate pair in string is invalid."),
        (b"[" * 100_000, "nesting is too deep"),
        (b'{"a":' * 100_000, "nesting is too deep"),
        (b"[" + b"9" * 10_000 + b"] x", "Number too big to be stored in double. at offset: 1"),
        (b'{"a": 1e309}', "Number too big to be stored in double. at offset: 6"),
        (b'{"a": "\x01"}', "Invalid encoding in string. at offset: 7"),
        (b"x" * (2 << 20), "at offset: 0"),
    ],
)
def test_what_is_no_json_is_refused_with_the_place(text, message):
    with pytest.raises(RequestError, match="JSON Parse error: ") as caught:
        parse(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 200


def test_values_are_shown_in_few_characters_whatever_their_size_and_depth():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for value in ("x" * 10_000_000, list(range(1_000_000)), {str(i): i for i in range(1000)}, deep):
        assert len(show(value)) <= 121
    assert show({"a": [1, "ü", None]}) == '{"a":[1,"ü",null]}'


def test_paths_quote_what_is_no_word():
    assert path("$", "fare") == "$.fare"
    assert path("$", "total fare") == '$["total fare"]'


def test_what_is_too_deep_is_refused_where_a_key_comes_twice_too():
    body = b'{"a":' + b"[" * 1020 + b"]" * 1020 + b',"a":1}'
    with pytest.raises(RequestError, match="JSON Parse error"):
        parse_first(body)
