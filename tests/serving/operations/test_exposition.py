"""Metrics as text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.serving.operations.exposition import render, wants_openmetrics
from mainstay.serving.operations.families import Family, Metrics

CARS = Family("cars_total", "counter", "Cars that passed.\nAll \\ of them.", ("lane",))
PLAIN = Family(":tensorflow:serving:request_count", "counter", "Requests.", ("model",))
SPEED = Family("speed_metres", "histogram", "Speed.", ("lane",), bounds=(0.0001, 10.0, 1249390.123))


def some():
    metrics = Metrics()
    metrics.add(CARS, ('a"\\\nb',), 3)
    metrics.add(PLAIN, ("m",), 4)
    metrics.add(SPEED, ("left",), ((1, 0, 2, 1), 7.25))
    return metrics


def test_the_text_format_escapes_and_accumulates():
    assert render(some()).decode() == (
        "# HELP cars_total Cars that passed.\\nAll \\\\ of them.\n"
        "# TYPE cars_total counter\n"
        'cars_total{lane="a\\"\\\\\\nb"} 3\n'
        "# HELP :tensorflow:serving:request_count Requests.\n"
        "# TYPE :tensorflow:serving:request_count counter\n"
        ':tensorflow:serving:request_count{model="m"} 4\n'
        "# HELP speed_metres Speed.\n"
        "# TYPE speed_metres histogram\n"
        'speed_metres_bucket{lane="left",le="0.0001"} 1\n'
        'speed_metres_bucket{lane="left",le="10"} 1\n'
        'speed_metres_bucket{lane="left",le="1.24939e+06"} 3\n'
        'speed_metres_bucket{lane="left",le="+Inf"} 4\n'
        'speed_metres_sum{lane="left"} 7.25\n'
        'speed_metres_count{lane="left"} 4\n'
    )


def test_openmetrics_names_counters_without_their_suffix_and_has_an_end(lint):
    text = render(some(), openmetrics=True).decode()
    assert "# TYPE cars counter\n" in text
    assert "# TYPE :tensorflow:serving:request_count unknown\n" in text
    assert text.endswith("# EOF\n")
    assert lint(text, openmetrics=True)["cars_total", (("lane", 'a"\\\nb'),)] == 3


def test_numbers_that_are_not_finite_are_written_as_the_format_has_them():
    metrics = Metrics()
    family = Family("b", "gauge", "B.", ("x",))
    for value in (float("inf"), -float("inf"), float("nan"), 0.1, 1e300):
        metrics.add(family, (str(value),), value)
    text = render(metrics).decode()
    for expected in ('b{x="inf"} +Inf', 'b{x="-inf"} -Inf', 'b{x="nan"} NaN', 'b{x="0.1"} 0.1', 'b{x="1e+300"} 1e+300'):
        assert expected in text


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_any_text_is_a_label(lint, text, openmetrics):
    metrics = Metrics()
    metrics.add(CARS, (text,), 1)
    assert lint(render(metrics, openmetrics=openmetrics), openmetrics=openmetrics) == {
        ("cars_total", (("lane", text),)): 1
    }


def test_half_a_character_does_not_break_the_page(lint):
    metrics = Metrics()
    metrics.add(CARS, ("\ud800",), 1)
    assert lint(render(metrics)) == {("cars_total", (("lane", "?"),)): 1}


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;q=0.5",
            True,
        ),
        ("text/plain;version=0.0.4, application/openmetrics-text; q=0.5", False),
        ("Application/OpenMetrics-Text; q=0", False),
        ("application/openmetrics-text; q=abc", False),
        (";;,,q=", False),
    ],
)
def test_the_scraper_says_which_format_it_wants(accept, wanted):
    assert wants_openmetrics(accept) is wanted
