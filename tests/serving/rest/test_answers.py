import json

import pytest

from mainstay.core import ArtifactError, RequestError, TransformError, UnavailableError
from mainstay.serving.rest.answers import refusal, refusal_of
from mainstay.serving.status import message_of


def test_an_error_is_told_on_one_line_with_its_place():
    error = RequestError("it is wrong", where="$.a", expected="int64", received='"x"', fix="send a number")
    assert message_of(error) == 'it is wrong; $.a: expected int64, received "x"; send a number'
    assert message_of(RequestError("it is wrong")) == "it is wrong"
    assert "\n" not in message_of(RequestError("two\nlines"))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestError("x"), 400),
        (TransformError("x"), 400),
        (UnavailableError("x"), 503),
        (ArtifactError("x"), 500),
        (ZeroDivisionError("x"), 500),
    ],
)
def test_each_kind_of_error_has_its_status(error, status):
    answer = refusal_of(error)
    assert answer.status == status
    assert "x" in json.loads(answer.body)["error"]


def test_a_message_that_is_no_text_is_told_all_the_same():
    assert json.loads(refusal(400, "a\udcff").body) == {"error": "a?"}
