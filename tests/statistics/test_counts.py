"""Counts are exact while few strings are distinct, bounded after, and survive any bytes."""

import contextlib
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import ArgumentError, FormatError
from mainstay.statistics import Counts

WORDS = st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=60)


def counts_of(*parts, capacity=100_000):
    counts = Counts(capacity=capacity)
    for part in parts:
        counts.update(part)
    return counts


def expected_top(values):
    counted = Counter(value for value in values if value is not None)
    ordered = sorted(counted.items(), key=lambda item: item[0].encode(), reverse=True)
    return sorted(ordered, key=lambda item: -item[1])


@given(WORDS, WORDS)
def test_few_values_are_counted_exactly_ties_larger_value_first(left, right):
    together = left + right
    counts = counts_of(left)
    counts.merge(counts_of(right))
    result = counts.result()
    present = [value for value in together if value is not None]
    lengths = [len(value.encode()) for value in present]
    assert counts.top() == expected_top(together)
    assert counts.count == len(present)
    assert result.distinct == len(set(present))
    assert result.average_length == (pytest.approx(np.mean(lengths)) if lengths else 0.0)
    assert (result.min_length, result.max_length) == ((min(lengths), max(lengths)) if lengths else (0, 0))
    assert counts.is_exact
    assert counts.error == 0


@given(WORDS, WORDS)
def test_dictionaries_plain_strings_and_chunks_count_the_same(left, right):
    array = pa.array(left + right, pa.string())
    chunked = pa.chunked_array([pa.array(left, pa.string()), pa.array(right, pa.string())])
    encoded = chunked.dictionary_encode()
    views = [array, chunked, encoded, array.cast(pa.large_string()), array.cast(pa.binary()), array.dictionary_encode()]
    tops = [counts_of(view).top() for view in views]
    assert all(top == tops[0] for top in tops)


@given(WORDS, WORDS)
def test_bytes_bring_the_same_state_back(left, right):
    counts = counts_of(left)
    again = Counts.from_bytes(counts.to_bytes())
    for each in (counts, again):
        each.update(right)
    assert again.result() == counts.result()


@given(st.lists(st.integers(0, 40).map(lambda n: str(n * n % 41)), min_size=1, max_size=300), st.integers(1, 12))
def test_past_the_capacity_every_count_is_within_the_stated_error(values, capacity):
    counts = Counts(capacity=capacity)
    for start in range(0, len(values), 50):
        part = Counts(capacity=capacity)
        part.update(values[start : start + 50])
        counts.merge(part)
    exact, kept = Counter(values), dict(counts.top())
    assert len(kept) <= capacity
    assert counts.error <= len(values) / (capacity + 1)
    for value, count in exact.items():
        assert count - counts.error <= kept.get(value, 0) <= count
    assert counts.distinct == len(exact)
    assert counts.is_exact == (len(exact) <= capacity)


def test_many_distinct_values_stay_bounded_and_keep_the_frequent_ones_exact():
    counts = Counts(capacity=2000)
    for block in range(6):
        rare = [f"row {block * 60_000 + row}" for row in range(60_000)]
        counts.update(pa.array(["often"] * 3000 + rare + ["now and then"] * 500))
    result = counts.result()
    assert result.top_values[:2] == (("often", 18_000), ("now and then", 3000))
    assert not result.distinct_is_exact
    assert result.distinct == pytest.approx(360_002, rel=0.06)
    assert result.count_error <= counts.count / 2000
    assert len(counts.to_bytes()) < 200_000


def test_reading_changes_nothing():
    values = pa.array([f"value {n % 977}" for n in range(5000)])
    asked, silent = Counts(capacity=100), Counts(capacity=100)
    for _ in range(3):
        for each in (asked, silent):
            each.update(values)
        asked.result()
        asked.copy().update(values)
    assert asked.to_bytes() == silent.to_bytes()


def test_values_that_are_not_utf8_are_counted_together():
    counts = counts_of(pa.array([b"\xff", b"\xfe\xfe", b"fine", b"\xff"]))
    assert counts.top() == [("__BYTES_VALUE__", 3), ("fine", 1)]
    assert counts.invalid_utf8 == 3
    buffers = pa.array([b"\xff", b"a"], pa.binary()).buffers()
    assert counts_of(pa.Array.from_buffers(pa.string(), 2, buffers)).invalid_utf8 == 1


def test_large_values_are_counted_together_but_told_apart():
    large = [letter * 2000 for letter in "abc"]
    result = counts_of([*large, large[0], "small", "x" * 1024]).result()
    assert result.top_values[0] == ("__LARGE_BYTES__", 4)
    assert (result.large, result.distinct, result.max_length) == (4, 5, 2000)


def test_a_cell_of_ten_megabytes_leaves_a_small_state():
    counts = counts_of(["y" * 10_000_000, "n"])
    assert counts.result().max_length == 10_000_000
    assert len(counts.to_bytes()) < 10_000


def test_numbers_are_refused():
    for values in ([1, 2], pa.array([1.5]), pa.array([1]).dictionary_encode(), [["nested"]]):
        with pytest.raises(ArgumentError, match="strings"):
            Counts().update(values)


def test_counts_of_other_capacities_are_not_merged():
    with pytest.raises(ArgumentError, match="capacities"):
        Counts(capacity=1).merge(Counts(capacity=2))
    with pytest.raises(ArgumentError):
        Counts(capacity=0)


def test_edited_bytes_are_refused_or_read_without_another_error():
    data = counts_of(["äöü", "b", "b"]).to_bytes()
    generator = np.random.default_rng(5)
    for _ in range(300):
        place, value = int(generator.integers(len(data))), int(generator.integers(256))
        with contextlib.suppress(FormatError):
            Counts.from_bytes(data[:place] + bytes([value]) + data[place + 1 :]).top()


def test_a_dictionary_may_hold_a_value_twice():
    counts = Counts()
    counts.update(pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 2]), pa.array(["a", "b", "a"])))
    assert counts.top() == [("a", 3), ("b", 1)]
    assert counts.distinct == 2
