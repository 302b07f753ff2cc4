"""Errors as one line, whatever a client put into them."""

from mainstay.core import RequestError
from mainstay.serving.status import message_of


def test_an_error_is_one_line_even_if_what_it_quotes_has_several():
    error = RequestError("no model a\r\nERROR forged\x0b\u2028here", where="x", received="1\n2")
    assert message_of(error) == "no model a ERROR forged  here; x: received 1 2"
