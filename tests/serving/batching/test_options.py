import pytest

from mainstay.core import ArgumentError
from mainstay.serving import BatchingOptions


def test_by_default_nothing_waits_for_company_and_large_requests_are_split():
    options = BatchingOptions()
    assert (options.enabled, options.batch_timeout_seconds) == (True, 0.0)
    assert (options.execution_rows, options.request_rows) == (128, None)


def test_the_largest_request_and_the_largest_execution_may_differ():
    options = BatchingOptions(max_batch_size=100, max_execution_batch_size=10, allowed_batch_sizes=[2, 10])
    assert (options.execution_rows, options.request_rows) == (10, 100)
    assert options.allowed_batch_sizes == (2, 10)
    assert BatchingOptions(max_batch_size=100, enable_large_batch_splitting=False).request_rows == 100


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_batch_size": 0}, "max_batch_size is out of range"),
        ({"max_batch_size": True}, "max_batch_size is out of range"),
        ({"max_batch_size": 2.5}, "max_batch_size is out of range"),
        ({"max_enqueued_batches": 0}, "max_enqueued_batches is out of range"),
        ({"num_batch_threads": -1}, "num_batch_threads is out of range"),
        ({"batch_timeout_seconds": -0.1}, "batch_timeout_seconds is out of range"),
        ({"batch_timeout_seconds": float("nan")}, "batch_timeout_seconds is out of range"),
        ({"inline_below_seconds": float("inf")}, "inline_below_seconds is out of range"),
        ({"aging_seconds": "1"}, "aging_seconds is out of range"),
        ({"execution": "gpu"}, "unknown way of execution"),
        ({"allowed_batch_sizes": [4, 4, 128]}, "allowed_batch_sizes entries must be monotonically increasing"),
        ({"allowed_batch_sizes": [0, 128]}, "allowed_batch_sizes are no sizes"),
        (
            {"allowed_batch_sizes": [4, 64]},
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 64; expected 128",
        ),
        (
            {"allowed_batch_sizes": [4, 128], "max_execution_batch_size": 64},
            "Last entry in allowed_batch_sizes must match max_execution_batch_size; last entry was 128; expected 64",
        ),
        ({"max_execution_batch_size": 129}, "should be less than or equal to max_batch_size"),
        ({"max_execution_batch_size": 8, "enable_large_batch_splitting": False}, "for requests that are split"),
    ],
)
def test_options_out_of_range_or_in_contradiction_are_refused(wrong, message):
    with pytest.raises(ArgumentError, match=message):
        BatchingOptions(**wrong)
