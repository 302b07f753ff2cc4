"""Errors say where, what was expected, what was received and how to fix it, and survive a process boundary."""

import pickle

import pytest

from mainstay.core import DataError, InputError, MainstayError, RequestError
from mainstay.core.errors import _shorten


def every_class(root: type[MainstayError] = MainstayError) -> list[type[MainstayError]]:
    return [root, *(each for child in root.__subclasses__() for each in every_class(child))]


def test_a_message_has_its_parts_in_order_and_leaves_out_what_is_not_known() -> None:
    error = DataError("a line is ragged", where="a.csv:7", expected="3 cells", received="2 cells", fix="add a cell")
    assert str(error) == ("a.csv:7: a line is ragged\n  expected: 3 cells\n  received: 2 cells\n  fix: add a cell")
    assert str(DataError("a file is empty")) == "a file is empty"
    assert str(DataError("x", received=0)) == "x\n  received: 0"


def test_a_message_fits_on_one_line_for_a_log() -> None:
    error = RequestError("wrong type", where="$.instances[0].fare", expected="a number", received="'x'")
    assert error.one_line() == "$.instances[0].fare: wrong type; expected: a number; received: 'x'"


def test_a_hostile_value_cannot_flood_a_terminal() -> None:
    error = DataError("a cell is too large", received="x" * 10_000_000)
    assert len(str(error)) < 700
    assert "(10,000,000 characters)" in str(error)


def test_a_value_at_the_limit_is_shown_whole_and_one_past_it_is_cut() -> None:
    assert _shorten("x" * 500) == "x" * 500
    assert _shorten("a" * 250 + "b" * 251) == "a" * 250 + " … " + "b" * 250 + " (501 characters)"


@pytest.mark.parametrize("kind", every_class(), ids=lambda kind: kind.__name__)
def test_an_error_keeps_its_class_and_parts_across_processes(kind: type[MainstayError]) -> None:
    error = kind("summary", where="here", expected=1, received=None, fix="do that")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.summary, again.where, again.expected, again.received, again.fix) == (
        "summary",
        "here",
        "1",
        None,
        "do that",
    )
    assert str(again) == str(error)


def test_an_error_is_caught_by_its_parents_and_has_its_own_code() -> None:
    with pytest.raises(InputError) as caught:
        raise RequestError("x")
    assert caught.value.code == "MS160"
