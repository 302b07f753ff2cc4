import pytest

from mainstay.core import RequestError
from mainstay.serving.calls import CRITICALITIES, DEFAULT_PRIORITY, Call, priority_of


@pytest.mark.parametrize(("name", "priority"), [(name, index) for index, name in enumerate(CRITICALITIES)])
def test_a_header_says_how_urgent_a_call_is(name, priority):
    for value in (name, name.upper(), f" {name} "):
        assert priority_of({b"x-mainstay-criticality": value.encode()}) == priority


def test_a_call_is_critical_unless_it_says_otherwise():
    assert CRITICALITIES[DEFAULT_PRIORITY] == "critical"
    assert priority_of({b"accept": b"*/*"}) == DEFAULT_PRIORITY
    assert Call("REST", "Predict", "m", received=0.0).priority == DEFAULT_PRIORITY


@pytest.mark.parametrize("value", [b"", b"urgent", b"0", b"\xff", b"critical,critical"])
def test_an_unknown_criticality_is_refused(value):
    with pytest.raises(RequestError, match="unknown criticality") as caught:
        priority_of({b"x-mainstay-criticality": value})
    assert "critical_plus" in str(caught.value)
