"""Patterns are RE2's: bytes, groups, anchors, one or all matches; invalid ones are refused."""

import numpy as np
import pytest

from mainstay.core import RequestError


def test_one_match_or_all_are_replaced(run, text):
    options = {"pattern": rb"(\w)o", "rewrite": rb"<\1\0>"}
    assert run("StaticRegexReplace", text("foo bo"), **options).tolist() == [b"<ffo>o <bbo>"]
    assert run("StaticRegexReplace", text("foo bo"), replace_global=False, **options).tolist() == [b"<ffo>o bo"]


def test_one_match_of_a_pattern_that_can_be_empty_is_the_first(run, text):
    once = {"replace_global": False, "rewrite": b"-"}
    assert run("StaticRegexReplace", text("", "ab"), pattern=b"", **once).tolist() == [b"-", b"-ab"]
    assert run("StaticRegexReplace", text("xab", b"\xffab"), pattern=rb"\Bb|\ba", **once).tolist() == [
        b"xa-",
        b"\xff-b",
    ]


def test_a_full_match_is_of_the_whole_string(run, text):
    assert run("StaticRegexFullMatch", text("a", "ab", "b"), pattern=b"a|b").tolist() == [True, False, True]
    assert run("RegexFullMatch", text("a|b"), text(r"\Qa|b").reshape(())).tolist() == [True]
    assert run("RegexFullMatch", text()[:0], text("a").reshape(())).shape == (0,)


def test_a_point_is_a_character_not_a_byte(run, text):
    assert run("StaticRegexFullMatch", text("é", b"\xe9"), pattern=b".").tolist() == [True, False]


@pytest.mark.parametrize("pattern", [b"(", b")(", b"a)", b"(?=x)", b"[", b"\\", b"*", b"\xff", b"(a{1000}){1000}"])
def test_an_invalid_pattern_is_refused_with_its_node(run, text, pattern):
    with pytest.raises(RequestError, match=r"a/node \(StaticRegexFullMatch\)"):
        run("StaticRegexFullMatch", text("a"), pattern=pattern)


@pytest.mark.parametrize("rewrite", [rb"\2", rb"\x", b"\\"])
def test_an_invalid_rewrite_is_refused(run, text, rewrite):
    with pytest.raises(RequestError, match="rewrite"):
        run("StaticRegexReplace", text("a"), pattern=b"(a)", rewrite=rewrite)


def test_a_pattern_that_would_take_others_for_ever_is_quick(run, text):
    found = run("StaticRegexFullMatch", text("a" * 5000 + "b"), pattern=b"(a*)*(a|aa)*")
    assert np.array_equal(found, [False])
