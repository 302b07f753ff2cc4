"""Ragged tensors become dense, sparse and single values, and back."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.core import RequestError

LONG = np.dtype(np.int64)
SPLITS = {"row_partition_types": (b"ROW_SPLITS",)}
ROWS = st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=4)


def ragged(rows):
    return np.cumsum([0, *map(len, rows)]), np.array([each for row in rows for each in row], np.int64)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(ROWS)
def test_rows_come_back_from_every_form(run, rows):
    splits, values = ragged(rows)
    dense = run("RaggedTensorToTensor", np.int64([-1, -1]), values, np.int64(-1), splits, **SPLITS)
    assert [[each for each in row if each >= 0] for row in dense.tolist()] == rows
    places, found, shape = run("RaggedTensorToSparse", splits, values)
    assert found.tolist() == values.tolist()
    assert shape.tolist() == list(dense.shape)
    assert dense[tuple(places.T)].tolist() == values.tolist()
    variants = run("RaggedTensorToVariant", splits, values, RAGGED_RANK=1, batched_input=True)
    options = {"output_ragged_rank": 1, "Tvalues": LONG, "Tsplits": LONG}
    again = run("RaggedTensorFromVariant", variants, **options)
    assert [each.tolist() for each in again] == [splits.tolist(), values.tolist()]


def test_rows_are_gathered_and_ranges_made(run, text):
    options = {"PARAMS_RAGGED_RANK": 1, "OUTPUT_RAGGED_RANK": 1, "Tsplits": LONG}
    splits, values = run("RaggedGather", np.int64([0, 2, 3]), text("a", "b", "c"), np.int32([1, 0, 1]), **options)
    assert (splits.tolist(), values.tolist()) == ([0, 1, 3, 4], [b"c", b"a", b"b", b"c"])
    splits, values = run("RaggedRange", np.int32([0, 5]), np.int32([3, 2]), np.int32([1, -2]), Tsplits=LONG)
    assert (splits.tolist(), values.tolist()) == ([0, 3, 5], [0, 1, 2, 5, 3])
    with pytest.raises(RequestError, match="no such row"):
        run("RaggedGather", np.int64([0, 2]), text("a", "b"), np.int32([1]), **options)


@pytest.mark.parametrize("step", [0, 1])
def test_ranges_that_do_not_end_are_refused(run, step):
    with pytest.raises(RequestError, match=r"step of 0|too large"):
        run("RaggedRange", np.int64([0]), np.int64([2**60]), np.int64([step]), Tsplits=LONG)


@pytest.mark.parametrize(
    ("shape", "partitions", "kinds", "message"),
    [
        ([-1, -1], [np.int64([0, 9])], [b"ROW_SPLITS"], "splits do not fit"),
        ([-1], [np.int64([0, 2])], [b"ROW_SPLITS"], "shape does not fit"),
        ([2**20, 2**20], [np.int64([0, 2])], [b"ROW_SPLITS"], "too large"),
        ([-1, -1], [np.int64(1), np.int64([0, 5])], [b"FIRST_DIM_SIZE", b"VALUE_ROWIDS"], "out of order"),
        ([-1, -1], [np.int64([0, 0])], [b"VALUE_ROWIDS"], "no such partition"),
        ([-1, -1], [], [], "no partitions"),
    ],
)
def test_partitions_that_do_not_fit_are_refused(run, shape, partitions, kinds, message):
    with pytest.raises(RequestError, match=message):
        run(
            "RaggedTensorToTensor",
            np.int64(shape),
            np.int64([1, 2]),
            np.int64(0),
            *partitions,
            row_partition_types=tuple(kinds),
        )


def test_what_is_no_ragged_tensor_is_refused(run, text):
    with pytest.raises(RequestError, match="no ragged tensor"):
        run("RaggedTensorFromVariant", text("a"), output_ragged_rank=1, Tvalues=LONG, Tsplits=LONG)
