"""What is chosen by values: places, distinct elements, partitions, sets and counts."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.core import RequestError

INT = np.dtype(np.int32)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.integers(-3, 3)))
def test_distinct_elements_stand_in_the_order_of_their_first_places(run, numbers):
    found, codes, counts = run("UniqueWithCounts", np.int64(numbers), out_idx=INT)
    assert found.tolist() == list(dict.fromkeys(numbers))
    assert found[codes].tolist() == numbers
    assert counts.tolist() == [numbers.count(each) for each in found.tolist()]


def test_nan_is_distinct_from_itself_and_strings_are_told_apart(run, text):
    assert len(run("Unique", np.float32([np.nan, np.nan]), out_idx=INT)[0]) == 2
    assert run("Unique", text("b", "a", "b"), out_idx=INT)[1].tolist() == [0, 1, 0]
    with pytest.raises(RequestError, match="no such axis"):
        run("UniqueV2", np.int64([[1]]), np.int64([]), out_idx=INT)


def test_rows_go_to_their_partitions(run, text):
    made = run("DynamicPartition", text("a", "b", "c"), np.int32([1, 0, 1]), num_partitions=3)
    assert [each.tolist() for each in made] == [[b"b"], [b"a", b"c"], []]
    with pytest.raises(RequestError, match="no such partition"):
        run("DynamicPartition", text("a"), np.int32([3]), num_partitions=3)
    with pytest.raises(RequestError, match="no such partition"):
        run("DynamicPartition", text("a"), np.int32([-1]), num_partitions=3)


def test_sets_are_combined_row_by_row(run, text):
    one, other = text("b", "a", "a", "c").reshape(2, 2), text("a", "z", "c", "q").reshape(2, 2)
    places, values, shape = run("DenseToDenseSetOperation", one, other, set_operation=b"union")
    assert values.tolist() == [b"a", b"b", b"z", b"a", b"c", b"q"]
    assert shape.tolist() == [2, 3]
    assert places[-1].tolist() == [1, 2]
    with pytest.raises(RequestError, match="no such operation"):
        run("DenseToDenseSetOperation", one, other, set_operation=b"xor")
    with pytest.raises(RequestError, match="differ in shape"):
        run("DenseToDenseSetOperation", one, other[:1], set_operation=b"union")
    with pytest.raises(RequestError, match="out of order"):
        run("SetSize", np.int64([[0, 1], [0, 0]]), text("a", "b"), np.int64([1, 2]))


def test_counts_are_bounded(run):
    splits, values = np.int64([0, 2, 3]), np.int32([1, 1, 5])
    made = run("RaggedBincount", splits, values, np.int32(3), np.float32([]))
    assert made.tolist() == [[0, 2, 0], [0, 0, 0]]
    with pytest.raises(RequestError, match="too large"):
        run("RaggedBincount", splits, values, np.int32(2**31 - 1), np.float32([]))
    with pytest.raises(RequestError, match="negative"):
        run("RaggedBincount", splits, -values, np.int32(3), np.float32([]))
    with pytest.raises(RequestError, match="splits do not fit"):
        run("RaggedBincount", np.int64([0, 9]), values, np.int32(3), np.float32([]))
