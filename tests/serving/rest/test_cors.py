import pytest

from mainstay.serving.rest.options import RestOptions

HEADERS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, GET",
    "access-control-allow-headers": "Content-Type",
}


@pytest.fixture
def open_server(start):
    return start(rest=RestOptions(enable_cors=True))


def test_pages_of_other_origins_may_ask_whether_they_may(open_server):
    status, body, headers = open_server.request(
        "OPTIONS", "/v1/models/m:predict", None, {"Origin": "https://a.example"}
    )
    assert (status, body) == (200, b"")
    assert headers.items() >= HEADERS.items()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/models/m:predict", b'{"instances": [1.0]}', 200),
        ("/v1/models/m:predict", b"{", 400),
        ("/v1/models/none:predict", b'{"instances": [1.0]}', 404),
        ("/v1/other", b"{}", 400),
    ],
)
def test_every_answer_may_be_read_by_them(open_server, path, body, status):
    answered, _, headers = open_server.request("POST", path, body)
    assert answered == status
    assert headers.items() >= HEADERS.items()


def test_nothing_is_open_unless_it_is_asked_for(start):
    server = start()
    status, _, headers = server.request("OPTIONS", "/v1/models/m:predict")
    assert status == 400
    assert not HEADERS.keys() & headers.keys()
    assert not HEADERS.keys() & server.request("POST", "/v1/models/m:predict", b'{"instances": [1.0]}')[2].keys()
