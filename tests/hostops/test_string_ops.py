"""Operations on strings: TensorFlow's semantics on short and long columns alike."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import TensorSpec
from mainstay.hostops import HostGraph, HostInput, HostNode, fingerprint64

WORDS = ["Straße", "ÄÖ", "abc", "", "  x\t", "ABC", "日本", "\udcff\udcfe", "İ", "a\u00a0"]


def both_ways(run_op, op, words, **attrs):
    """Run an operation on a few rows and on many, which must agree."""
    few = run_op(op, ("string", words), attrs=attrs).tolist()
    many = run_op(op, ("string", words * 20), attrs=attrs).tolist()
    assert many == few * 20
    return few


def test_case_changes_ascii_only_unless_asked(run_op):
    assert both_ways(run_op, "StringLower", ["ÄB", "É"]) == ["Äb", "É"]
    assert both_ways(run_op, "StringLower", ["ÄB", "É"], encoding="utf-8") == ["äb", "é"]
    assert both_ways(run_op, "StringUpper", ["straße"]) == ["STRAßE"]
    assert both_ways(run_op, "StringUpper", ["straße"], encoding="utf-8") == ["STRASSE"]


def test_strip_takes_ascii_white_space(run_op):
    assert both_ways(run_op, "StringStrip", ["  x\t\n", "a\u00a0", " "]) == ["x", "a\u00a0", ""]


def test_length_counts_bytes_or_code_points(run_op):
    words = ["abc", "ÄÖ", "日本", "", "\udcff"]
    assert both_ways(run_op, "StringLength", words) == [3, 4, 6, 0, 1]
    assert both_ways(run_op, "StringLength", words, unit="UTF8_CHAR") == [3, 2, 2, 0, 1]


def test_hash_buckets_are_those_of_tensorflow(run_op):
    assert both_ways(run_op, "StringToHashBucketFast", ["a", "b", "c", "d"], num_buckets=10) == [9, 2, 2, 5]
    assert both_ways(run_op, "StringToHashBucketFast", ["Hello", "TensorFlow", "2.x"], num_buckets=3) == [0, 2, 2]
    huge = 2**63 - 1
    assert both_ways(run_op, "StringToHashBucketFast", ["ÄÖ"], num_buckets=huge) == [
        fingerprint64("ÄÖ".encode()) % huge
    ]


def test_join_puts_rows_together(run_op):
    left, right = ["a", "b", "", "日"], ["1", "2", "3", "本"]
    for repeat in (1, 30):
        got = run_op("StringJoin", ("string", left * repeat), ("string", right * repeat), attrs={"separator": "-"})
        assert got.tolist() == ["a-1", "b-2", "-3", "日-本"] * repeat
    assert run_op("StringJoin", ("string", left)).tolist() == left


@pytest.mark.parametrize("rows", [0, 1, 3, 64, 65, 300])
def test_join_repeats_a_constant(rows):
    nodes = [
        HostNode("Const", "c", (), {"dtype": "string", "value": "id"}),
        HostNode("StringJoin", "y", ("c", "x", "c"), {"separator": "/"}),
    ]
    graph = HostGraph([HostInput(TensorSpec([None], "string", "x"))], nodes, {"y": "y"})
    assert graph({"x": [f"{i % 7}" for i in range(rows)]})["y"].tolist() == [f"id/{i % 7}/id" for i in range(rows)]


@pytest.mark.parametrize("repeat", [1, 30])
def test_numbers_are_written_as_tensorflow_does(run_op, repeat):
    assert run_op("AsString", ("bool", [True, False] * repeat)).tolist() == ["true", "false"] * repeat
    integers = [0, -5, 2**63 - 1, -(2**63)]
    assert run_op("AsString", ("int64", integers * repeat)).tolist() == [str(i) for i in integers] * repeat
    floats = [0.0, -0.0, 1.5, 1e6 / 3, np.nan, np.inf, -np.inf]
    written = ["0.000000", "-0.000000", "1.500000", "333333.333333", "nan", "inf", "-inf"]
    assert run_op("AsString", ("float64", floats * repeat)).tolist() == written * repeat
    assert run_op("AsString", ("float32", [0.1] * repeat)).tolist() == ["0.100000"] * repeat


def chain() -> HostGraph:
    nodes = [
        HostNode("StringStrip", "a", ("x",)),
        HostNode("StringLower", "b", ("a",), {"encoding": "utf-8"}),
        HostNode("StringJoin", "c", ("b", "x"), {"separator": "|"}),
        HostNode("StringToHashBucketFast", "h", ("c",), {"num_buckets": 1000}),
        HostNode("StringLength", "n", ("c",)),
    ]
    spec = HostInput(TensorSpec([None], "string", "x"))
    return HostGraph([spec], nodes, {"c": "c", "h": "h", "n": "n"})


@given(st.lists(st.text(max_size=6), min_size=70, max_size=150))
def test_every_form_of_a_column_gives_the_same(words):
    graph = chain()
    few = [graph({"x": words[i : i + 1]}) for i in range(len(words))]
    arrow = pa.array(words, pa.string())
    forms = [words, np.array(words, object), arrow, arrow.cast(pa.large_string()), arrow.dictionary_encode()]
    forms += [pa.chunked_array([arrow[:5], arrow[5:]]), pa.array([w.encode() for w in words], pa.binary())]
    for form in forms:
        got = graph({"x": form})
        for name in ("c", "h", "n"):
            assert got[name].tolist() == [row[name][0] for row in few]


def test_bytes_that_are_no_utf8_are_the_same_in_arrow_and_in_a_list():
    raw = [b"\xff\xfe", b"ok", b"caf\xe9", b""]
    graph = chain()
    want = graph({"x": raw})
    for rows in (raw, raw * 30):
        got = graph({"x": pa.array(rows, pa.binary())})
        assert got["h"].tolist() == want["h"].tolist() * (len(rows) // 4)
    want = fingerprint64(b"\xff\xfe|\xff\xfe") % 1000
    assert graph({"x": [b"\xff\xfe"]})["h"][0] == want
    assert graph({"x": ["\udcff\udcfe"]})["h"][0] == want


def test_lone_surrogates_from_json_do_not_break_a_request():
    for rows in (1, 100):
        got = chain()({"x": ["\ud800"] * rows})
        assert len(set(got["h"].tolist())) == 1


@pytest.mark.parametrize("index", [pa.int8(), pa.uint8(), pa.int16(), pa.uint32()])
def test_dictionaries_with_narrow_indices_are_read(index):
    words = [None if i % 10 == 9 else f"w{i % 100}" for i in range(300)]
    narrow = pa.array(words).dictionary_encode()
    narrow = pa.DictionaryArray.from_arrays(narrow.indices.cast(index), narrow.dictionary)
    nodes = [
        HostNode("Const", "c", (), {"dtype": "string", "value": "none"}),
        HostNode("FillMissing", "f", ("x", "c")),
        HostNode("StringJoin", "y", ("f", "x")),
    ]
    graph = HostGraph([HostInput(TensorSpec([None], "string", "x"), True)], nodes, {"f": "f", "y": "y"})
    for part in (narrow, narrow[50:250], narrow[100:110]):
        assert graph({"x": part})["f"].tolist() == [word or "none" for word in part.to_pylist()]
        assert graph({"x": part})["y"].tolist() == [word + word if word else "" for word in part.to_pylist()]
