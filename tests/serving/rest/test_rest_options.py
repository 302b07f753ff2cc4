import pytest

from mainstay.core import ArgumentError
from mainstay.serving.rest.options import RestOptions


@pytest.mark.parametrize(
    "wrong",
    [
        {"request_timeout_seconds": -1},
        {"request_timeout_seconds": float("inf")},
        {"max_connections": 0},
        {"max_connections": True},
        {"max_buffered_bytes": "much"},
    ],
)
def test_an_option_out_of_range_is_refused_by_its_name(wrong):
    with pytest.raises(ArgumentError, match=f"{next(iter(wrong))} is out of range"):
        RestOptions(**wrong)


def test_a_request_may_wait_for_ever():
    assert RestOptions(request_timeout_seconds=0).request_timeout_seconds == 0
