import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mainstay.serving.rest.json_faults import find_fault


@pytest.mark.parametrize(
    ("text", "reason", "offset"),
    [
        (b"", "The document is empty.", 0),
        (b" \n", "The document is empty.", 2),
        (b"instances = [1, 2]", "Invalid value.", 0),
        (b'{"a":[1,2', "Missing a comma or ] after an array element.", 9),
        (b"[1 2]", "Missing a comma or ] after an array element.", 3),
        (b'{"a": 1 "b"', "Missing a comma or } after an object member.", 8),
        (b'{"a" 1}', "Missing a colon after a name of object member.", 5),
        (b"{'a':1}", "Missing a name for object member.", 1),
        (b'{"a":1,}', "Missing a name for object member.", 7),
        (b"[1,]", "Invalid value.", 3),
        (b"[nul]", "Invalid value.", 4),
        (b"[truth]", "Invalid value.", 4),
        (b"[Infinite]", "Invalid value.", 8),
        (b"[nan]", "Invalid value.", 2),
        (b"[-]", "Invalid value.", 2),
        (b"[+1]", "Invalid value.", 1),
        (b"[1.]", "Miss fraction part in number.", 3),
        (b"[1e]", "Miss exponent in number.", 3),
        (b"[1.5E-]", "Miss exponent in number.", 6),
        (b"[1, 1e400]", "Number too big to be stored in double.", 4),
        (b'["\\ud800"]', "The surrogate pair in string is invalid.", 2),
        (b'["\\ud800\\u0041"]', "The surrogate pair in string is invalid.", 2),
        (b'["\\udc00"]', "The surrogate pair in string is invalid.", 2),
        (b'["\\x"]', "Invalid escape character in string.", 2),
        (b'["\\u12"]', "Incorrect hex digit after \\u escape in string.", 2),
        (b'["a\x01"]', "Invalid encoding in string.", 3),
        (b'["abc', "Missing a closing quotation mark in string.", 5),
        (b'["abc\x00"]', "Missing a closing quotation mark in string.", 5),
        (b"[" * 2000, "The nesting is too deep.", 1024),
    ],
)
def test_a_fault_is_told_in_the_words_of_rapidjson_with_its_byte(text, reason, offset):
    assert find_fault(text) == (reason, offset)


@pytest.mark.parametrize(
    "text", [b"[NaN, -Inf, Inf, Infinity, -Infinity] tail", b'\xef\xbb\xbf{"\xff": {}}', b' [[], {}, "\\ud83d\\ude00"]']
)
def test_what_tf_serving_takes_has_no_fault(text):
    assert find_fault(text) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.booleans(),
)
def test_json_has_no_fault(value, only_ascii):
    try:
        text = json.dumps(value, ensure_ascii=only_ascii).encode()
    except UnicodeEncodeError:
        return
    assert find_fault(text) is None


@example(b'{"a": [1, {"b": null}], "c": "\\n\\u00fc"}', 3, 0)
@given(
    st.sampled_from([b'{"a": [1, {"b": null}], "c": "\\n\\u00fc"}', b'[[1.5e3, -2], "x", true]']),
    st.integers(0, 40),
    st.integers(0, 255),
)
def test_no_text_breaks_it_and_what_has_no_fault_can_be_read(text, place, byte):
    changed = text[:place] + bytes([byte]) + text[place + 1 :]
    found = find_fault(changed)
    if found is None:
        json.JSONDecoder().raw_decode(changed.decode("utf-8", "surrogateescape").lstrip())
    else:
        assert 0 <= found[1] <= len(changed)
