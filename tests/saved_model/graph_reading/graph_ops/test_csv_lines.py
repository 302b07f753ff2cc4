"""Lines of CSV become columns with defaults, and lines that do not fit are refused with their number."""

import numpy as np
import pytest

from mainstay.core import DataError, RequestError

DEFAULTS = [np.int32([7]), np.float32([])]


def test_missing_fields_have_their_default(run, text):
    numbers, reals, names = run("DecodeCSV", text('1,2,"a ""b"', ",3,x"), *DEFAULTS, text("none"))
    assert numbers.tolist() == [1, 7]
    assert reals.tolist() == [2.0, 3.0]
    assert names.tolist() == [b'a "b', b"x"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1", "another number of fields"),
        ("1,2,3", "another number of fields"),
        ("1,", "required but missing in record 0"),
        ("x,2", "field 0 of record 0 is no number"),
        ("99999999999,2", "field 0 of record 0 is no number"),
        ('1,"2', "quote"),
        ('1,"2"3', "quote"),
        ('1,2"', "quote"),
        ("1,2\n3,4", "end of a line"),
    ],
)
def test_a_line_that_does_not_fit_is_refused(run, text, line, message):
    with pytest.raises(DataError, match=message):
        run("DecodeCSV", text(line), *DEFAULTS)


def test_columns_may_be_selected(run, text):
    assert run("DecodeCSV", text("1,2,3"), np.int32([0]), select_cols=(2,))[0].tolist() == [3]
    with pytest.raises(RequestError, match="selected columns"):
        run("DecodeCSV", text("1,2,3"), np.int32([0]), np.int32([0]), select_cols=(2, 1))
    with pytest.raises(DataError, match="number of fields"):
        run("DecodeCSV", text("1,2,3"), np.int32([0]), select_cols=(10**9,))
