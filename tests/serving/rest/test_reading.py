import pytest

from mainstay.serving.calls import Call
from mainstay.serving.rest.reading import is_slow


@pytest.mark.parametrize(
    ("size", "content_type", "slow"),
    [
        (1000, b"application/json", False),
        (1 << 20, b"application/json", True),
        (1 << 20, b"", True),
        (1 << 20, b"application/x-npy", False),
        (1 << 20, b"application/vnd.apache.arrow.stream", False),
    ],
)
def test_much_json_is_read_elsewhere_and_arrays_never(size, content_type, slow):
    call = Call("REST", "Predict", "m", received=0.0)
    call.headers = {b"content-type": content_type}
    assert is_slow(bytes(size), call) is slow


def test_archives_are_unpacked_elsewhere():
    call = Call("REST", "Predict", "m", received=0.0)
    call.headers = {b"content-type": b"application/x-npy"}
    assert is_slow(b"PK" + bytes(1 << 20), call)
