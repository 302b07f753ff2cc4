import pytest

from mainstay.core import ArgumentError
from mainstay.serving import BatchingOptions, ServerOptions


def test_the_defaults_keep_a_server_private_on_the_port_of_the_protocol():
    options = ServerOptions()
    assert (options.host, options.rest_port, options.grpc_port) == ("127.0.0.1", 8501, 8500)
    assert options.batching == BatchingOptions()


@pytest.mark.parametrize(
    "wrong",
    [
        {"rest_port": -1},
        {"rest_port": 70_000},
        {"grpc_port": -1},
        {"max_body_bytes": 0},
        {"max_body_bytes": "1"},
        {"drain_timeout_seconds": float("inf")},
    ],
)
def test_an_option_out_of_range_is_refused(wrong):
    with pytest.raises(ArgumentError):
        ServerOptions(**wrong)
