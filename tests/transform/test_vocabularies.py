"""Vocabularies: TensorFlow Transform's order and rules, and the names of their files."""

import numpy as np
import pyarrow as pa
import pytest

from mainstay import transform as tft
from mainstay.core import TransformError
from mainstay.hostops import fingerprint64

DUMMY = b"49d0cd50-04bb-48c0-bc6f-5b575dce351a\n"


def vocabulary_of(tokens, **options) -> bytes:
    graph = tft.analyze(
        {"c": np.array(tokens, object)}, lambda inputs: {"y": tft.compute_and_apply_vocabulary(inputs["c"], **options)}
    )
    (content,) = graph.assets.values()
    return content


def test_frequent_tokens_come_first_and_ties_by_their_bytes_downwards():
    tokens = ["a"] * 2 + ["b"] * 2 + ["ä"] * 2 + ["Z"] * 2 + ["z"] * 3 + ["aa"] * 2 + ["日"]
    assert vocabulary_of(tokens).decode() == "z\nä\nb\naa\na\nZ\n日\n"


def test_ties_follow_bytes_and_not_code_units():
    """U+FF5E sorts above U+1F600 in UTF-16 and below it in UTF-8."""
    assert vocabulary_of(["\uff5e", "\U0001f600"]).decode() == "\U0001f600\n\uff5e\n"


def test_tokens_that_do_not_fit_a_line_are_left_out():
    tokens = ["", "a\nb", "a\rb", "\r", "ok", "\u2028", "\x85", "x" * 1025]
    assert vocabulary_of(tokens).decode() == "\u2028\n\x85\nok\n"


@pytest.mark.parametrize("tokens", [[""], ["\n", ""]])
def test_an_empty_vocabulary_has_one_dummy_token(tokens):
    assert vocabulary_of(tokens) == DUMMY
    graph = tft.analyze(
        {"c": np.array([""], object)},
        lambda inputs: {"y": tft.compute_and_apply_vocabulary(inputs["c"], num_oov_buckets=2)},
    )
    assert graph({"c": ["new"]})["y"].tolist() == [1 + fingerprint64(b"new") % 2]


def test_rare_tokens_can_be_left_out():
    tokens = ["a"] * 3 + ["b"] * 2 + ["c"]
    assert vocabulary_of(tokens, top_k=2) == b"a\nb\n"
    assert vocabulary_of(tokens, frequency_threshold=2) == b"a\nb\n"
    assert vocabulary_of(tokens, frequency_threshold=3, top_k=5) == b"a\n"
    assert vocabulary_of(tokens, frequency_threshold=9) == DUMMY
    assert vocabulary_of(tokens, top_k=10**12) == b"a\nb\nc\n"


def test_integers_and_booleans_compare_as_strings():
    def function(inputs):
        return {
            "n": tft.compute_and_apply_vocabulary(inputs["n"], num_oov_buckets=1),
            "b": tft.compute_and_apply_vocabulary(inputs["b"]),
        }

    data = {"n": np.array([9, 10, 10, 2**60, -3]), "b": np.array([True, False, True, True, False])}
    graph = tft.analyze(data, function)
    assert graph.assets["vocabulary_n.txt"] == b"10\n9\n1152921504606846976\n-3\n"
    assert graph.assets["vocabulary_b.txt"] == b"true\nfalse\n"
    assert graph({"n": [9, 2**60, 5], "b": [False, True, True]})["n"].tolist() == [1, 2, 4]


def test_unknown_tokens_get_the_default_value_or_a_bucket():
    data = {"c": np.array(["a", "b"], object)}
    graph = tft.analyze(data, lambda inputs: {"y": tft.compute_and_apply_vocabulary(inputs["c"], -7)})
    assert graph({"c": ["b", "zz"]})["y"].tolist() == [0, -7]
    graph = tft.analyze(data, lambda inputs: {"y": tft.compute_and_apply_vocabulary(inputs["c"], num_oov_buckets=5)})
    assert graph({"c": ["zz", "ä"]})["y"].tolist() == [2 + fingerprint64(w.encode()) % 5 for w in ("zz", "ä")]


def test_one_vocabulary_serves_several_columns():
    def function(inputs):
        shared = tft.vocabulary(inputs["a"], 2, vocab_filename="places.txt")
        return {name: tft.apply_vocabulary(inputs[name], shared) for name in ("a", "b")}

    graph = tft.analyze({"a": np.array(["x", "y", "x"]), "b": np.array(["y", "q", "x"])}, function)
    assert graph.assets == {"places.txt": b"x\ny\n"}
    assert graph({"a": ["y"], "b": ["x"]})["b"].tolist() == [0]


def test_a_vocabulary_can_be_a_list():
    graph = tft.analyze({"a": ["x"]}, lambda inputs: {"y": tft.apply_vocabulary(inputs["a"], ["ä", "x"])})
    assert graph.assets == {"vocabulary_a.txt": "ä\nx\n".encode()}
    for wrong in (["a", "a"], ["a\n"], [], "abc", [1], None):
        with pytest.raises(TransformError, match="a vocabulary is not as it should be"):
            tft.analyze({"a": ["x"]}, lambda inputs, wrong=wrong: {"y": tft.apply_vocabulary(inputs["a"], wrong)})


def test_files_are_named_after_columns_and_never_clash():
    def function(inputs):
        return {
            "1": tft.compute_and_apply_vocabulary(inputs["größe/..\\x"]),
            "2": tft.compute_and_apply_vocabulary(tft.lower(inputs["größe/..\\x"])),
            "3": tft.compute_and_apply_vocabulary(tft.join([inputs["a"], inputs["A"]])),
            "4": tft.compute_and_apply_vocabulary(inputs["a"]),
            "5": tft.compute_and_apply_vocabulary(inputs["A"]),
            "6": tft.compute_and_apply_vocabulary(inputs["b"], vocab_filename="vocabulary_a.txt"),
        }

    data = {"größe/..\\x": ["X"], "a": ["1"], "A": ["2"], "b": ["3"]}
    graph = tft.analyze(data, function)
    assert graph.assets == {
        "vocabulary_gr__e____x.txt": b"X\n",
        "vocabulary_gr__e____x_2.txt": b"x\n",
        "vocabulary_a_A.txt": b"12\n",
        "vocabulary_a_2.txt": b"1\n",
        "vocabulary_A_3.txt": b"2\n",
        "vocabulary_a.txt": b"3\n",
    }
    assert [values.tolist() for values in graph(data).values()] == [[0]] * 6


def test_two_vocabularies_of_one_name_are_refused():
    def function(inputs):
        return {name: tft.compute_and_apply_vocabulary(inputs[name], vocab_filename="v.txt") for name in ("a", "b")}

    with pytest.raises(TransformError, match=r"test_vocabularies\.py:\d+: two vocabularies have one file name"):
        tft.analyze({"a": ["x"], "b": ["y"]}, function)
    assert list(tft.analyze({"a": ["x"], "b": ["x"]}, function).assets) == ["v.txt"]


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 0},
        {"top_k": -1},
        {"top_k": 1.5},
        {"frequency_threshold": -1},
        {"frequency_threshold": True},
        {"num_oov_buckets": -1},
        {"num_oov_buckets": 2**63},
        {"vocab_filename": "../v"},
        {"vocab_filename": ""},
        {"vocab_filename": 5},
        {"default_value": 2**63},
        {"default_value": "a"},
    ],
)
def test_options_out_of_range_are_refused_naming_the_line(options):
    with pytest.raises(TransformError, match=r"test_vocabularies\.py:\d+"):
        vocabulary_of(["a"], **options)


def test_more_tokens_than_can_be_counted_need_a_limit(monkeypatch):
    monkeypatch.setattr("mainstay.transform.analyzers._CAPACITY", 10)
    tokens = [f"t{i}" for i in range(100)] + ["often"] * 50
    with pytest.raises(
        TransformError, match=r"test_vocabularies\.py:\d+: a vocabulary of all tokens would be too large"
    ):
        vocabulary_of(tokens)
    assert vocabulary_of(tokens, top_k=1) == b"often\n"


def test_hashing_needs_no_vocabulary():
    graph = tft.analyze(
        {"c": ["a"], "n": [5]},
        lambda inputs: {"c": tft.hash_strings(inputs["c"], 10), "n": tft.hash_strings(inputs["n"], 10)},
    )
    assert graph({"c": ["a"], "n": [5]}) == {"c": [9], "n": [fingerprint64(b"5") % 10]}


def test_strings_that_are_no_unicode_are_counted_but_never_kept():
    assert vocabulary_of(["\ud800", "a", "\udcff"]) == b"a\n"
    assert vocabulary_of(["\ud800", "a", "\udcff"] * 100) == b"a\n"


def test_a_dictionary_may_hold_a_token_twice():
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 2, 1]), pa.array(["a", "b", "a"]))
    graph = tft.analyze({"c": column}, lambda inputs: {"y": tft.compute_and_apply_vocabulary(inputs["c"])})
    assert graph.assets == {"vocabulary_c.txt": b"a\nb\n"}
    assert graph({"c": column})["y"].tolist() == [0, 1, 0, 0, 1]


def test_many_tokens_that_are_left_out_do_not_use_up_the_room():
    tokens = [f"a\n{i}" for i in range(300) for _ in range(3)] + [f"t{i}" for i in range(50)]
    want = sorted((f"t{i}" for i in range(50)), key=str.encode, reverse=True)
    for top_k in (1, 49, 50, 51, 1000):
        assert vocabulary_of(tokens, top_k=top_k).decode().splitlines() == want[:top_k]
