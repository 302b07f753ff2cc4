"""Distinct counts: exact when small, independent of order and parts, close when large."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import FormatError
from mainstay.statistics import DistinctCount
from mainstay.statistics.hashing import hash_numbers, hash_strings


def count(*parts):
    sketch = DistinctCount()
    for part in parts:
        sketch.update(np.asarray(part, np.uint64))
    return sketch


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50), st.lists(st.integers(0, 2**64 - 1), max_size=50))
def test_few_hashes_are_counted_exactly(left, right):
    sketch = count(left)
    sketch.merge(count(right))
    assert sketch.result() == len(set(left + right))
    assert sketch.is_exact


def test_order_and_parts_make_no_difference():
    hashes = hash_numbers(np.random.default_rng(0).permutation(50_000))
    whole = count(hashes)
    parts = [count(part) for part in np.array_split(hashes[::-1], 7)]
    for part in parts[1:]:
        parts[0].merge(part)
    assert parts[0].to_bytes() == whole.to_bytes()
    assert whole.result() == pytest.approx(50_000, rel=0.06)
    assert DistinctCount.from_bytes(whole.to_bytes()).result() == whole.result()
    assert not DistinctCount.from_bytes(whole.to_bytes()).is_exact


def test_repeated_values_count_once():
    assert count(*[np.full(30_000, 7)] * 4).result() == 1


@given(st.lists(st.text(max_size=20), max_size=30), st.lists(st.binary(max_size=600), max_size=5))
def test_strings_hash_alike_wherever_they_stand(words, longer):
    words = words + [item.hex() for item in longer]
    together = hash_strings(pa.array(words, pa.large_string()))
    apart = [hash_strings(pa.array(["before", word], pa.large_string()).slice(1))[0] for word in words]
    assert together.tolist() == apart
    assert len(set(together.tolist())) == len(set(words))


def test_hashes_are_the_same_on_every_machine():
    assert hash_numbers(np.array([0, 1])).tolist() == [16294208416658607535, 10451216379200822465]
    words = pa.array(["", "mainstay", "a longer text of words", "é" * 200], pa.large_string())
    assert hash_strings(words).tolist() == [
        16294208416658607535,
        11762927797357519481,
        7406320292095939519,
        731202127680873526,
    ]


def test_hashes_out_of_order_are_refused():
    data = count([3, 5]).to_bytes()
    with pytest.raises(FormatError):
        DistinctCount.from_bytes(data[:-16] + data[-8:] + data[-16:-8])
