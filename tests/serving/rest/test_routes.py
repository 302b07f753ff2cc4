import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import RequestError
from mainstay.serving.rest.routes import Route, parse_path


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/models/m:predict", Route("predict", "m")),
        ("/V1/Models/m:PREDICT", Route("predict", "m")),
        ("/v1/models/m/versions/007:predict", Route("predict", "m", 7)),
        ("/v1/models/m/labels/stable:classify", Route("classify", "m", None, "stable")),
        ("/v1/models/m:regress", Route("regress", "m")),
        ("/v1/models/a%20b%2Fc:predict", Route("predict", "a b/c")),
        ("/v1/models/m", Route("status", "m")),
        ("/v1/models", Route("status", "")),
        ("/v1/models/m/versions/3", Route("status", "m", 3)),
        ("/v1/models/m/labels/x/metadata", Route("metadata", "m", None, "x")),
        ("/v1/models/m/metadata", Route("metadata", "m")),
    ],
)
def test_paths_of_the_interface_are_understood(path, route):
    assert parse_path(path) == route


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/m:predict/",
        "/v1/models/m:explain",
        "/v1/models/m/versions/x:predict",
        "/v1/models/m/versions/-1",
        "/v1/models/m/versions/1/labels/x",
        "/v1/models/",
        "/v1/models/:predict",
        "/v2/models/m",
        "/",
        "",
        "/v1/models/m:predict\n",
    ],
)
def test_other_paths_are_not(path):
    assert parse_path(path) is None


@pytest.mark.parametrize("number", [str(2**63), "9" * 400])
def test_a_version_of_too_many_digits_is_refused(number):
    with pytest.raises(RequestError, match=f"Failed to convert version: {number} to numeric."):
        parse_path(f"/v1/models/m/versions/{number}")


def test_a_model_has_an_openapi_document():
    assert parse_path("/v1/models/m/openapi.json") == Route("openapi", "m")
    assert parse_path("/v1/models/m/labels/stable/openapi.json") == Route("openapi", "m", None, "stable")


@given(st.text(max_size=30))
def test_no_text_breaks_the_grammar(text):
    parse_path("/v1/models/" + text)
    parse_path(text)
