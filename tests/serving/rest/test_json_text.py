import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import RequestError
from mainstay.serving.rest.json_text import parse, path, show

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


def test_the_last_of_two_equal_keys_counts_in_either_parser():
    assert parse(b'{"a": 1, "a": 2}') == {"a": 2}
    assert parse(b'{"a": 1, "a": 2, "b": NaN}')["a"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "The document is empty. at offset: 0"),
        (b"   ", "at offset: 3"),
        (b'{"a": [1, 2', "at offset: 11"),
        (b'{"a" 1}', "at offset: 5"),
        ('{"ä": x}'.encode(), "at offset: 7"),
        (b'{"a": NaN, "b": }', "at offset: 16"),
        (b"{'a': 1}", "at offset: 1"),
        (b'{"a": "\xff"}', "Invalid encoding in string. at offset: 7"),
        (b'{"a": "\\ud800"}', "The surrogate pair in string is invalid."),
        (b"[" * 100_000, "nesting is too deep"),
        (b'{"a":' * 100_000, "nesting is too deep"),
        (b"[" + b"9" * 10_000 + b"] x", "A number is too long."),
        (b'{"a": "\x01"}', "at offset: 7"),
        (b"\xef\xbb\xbf{}", "at offset: 0"),
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
