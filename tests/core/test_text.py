import pytest

from mainstay.core import format_number, format_percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (12345.0, "12,345"),
        (0.031234, "0.0312"),
        (3.14159, "3.142"),
        (123.456, "123.5"),
        (98765.4321, "98,765"),
        (1.2e-7, "1.2e-07"),
        (-2.5, "-2.500"),
        (1e300, "1e+300"),
        (float("nan"), "–"),
        (float("inf"), "∞"),
        (None, "–"),
    ],
)
def test_numbers_read_well(value, text):
    assert format_number(value) == text


def test_a_small_share_is_not_shown_as_none():
    assert format_percent(0.0001) == "< 0.1 %"
    assert format_percent(0.0) == "0.0 %"
    assert format_percent(1.0) == "100.0 %"
