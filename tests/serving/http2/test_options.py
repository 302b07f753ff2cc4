import pytest

from mainstay.core import ArgumentError
from mainstay.serving.http2.options import GrpcOptions


def test_messages_may_be_as_large_as_those_of_tensorflow_serving_unless_memory_bounds_them():
    options = GrpcOptions()
    assert options.max_message_bytes == 2**31 - 1
    assert options.max_buffered_bytes < options.max_total_buffered_bytes


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_streams": 0},
        {"max_streams": 1.5},
        {"max_streams": 1 << 31},
        {"max_message_bytes": 1 << 31},
        {"max_buffered_bytes": -1},
        {"max_total_buffered_bytes": True},
        {"keepalive_seconds": 0},
        {"keepalive_seconds": float("nan")},
        {"max_connection_age_seconds": 0},
        {"max_connection_age_seconds": "1"},
    ],
)
def test_an_option_out_of_range_is_refused(wrong):
    with pytest.raises(ArgumentError):
        GrpcOptions(**wrong)
