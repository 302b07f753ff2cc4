"""Metrics that several processes add up."""

import math

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import FormatError
from mainstay.serving.operations.families import Family, Histogram, Metrics

COUNTER = Family("a_total", "counter", "A.", ("x", "y"))
GAUGE = Family("b", "gauge", "B.", merge="max")
LEAST = Family("c", "gauge", "C.", merge="min")
HISTOGRAM = Family("d", "histogram", "D.", ("x",), bounds=(1.0, 2.5))


def metrics_of(counts, gauges, observations):
    metrics = Metrics()
    for labels, count in counts:
        metrics.add(COUNTER, labels, count)
    for value in gauges:
        metrics.add(GAUGE, (), value)
        metrics.add(LEAST, (), value)
    histogram = Histogram(HISTOGRAM.bounds)
    for value in observations:
        histogram.observe(value)
    metrics.add(HISTOGRAM, ('é\n"',), histogram.value)
    return metrics


SETS = st.builds(
    metrics_of,
    st.lists(st.tuples(st.tuples(st.text(max_size=3), st.text(max_size=3)), st.integers(0, 1 << 50)), max_size=5),
    st.lists(st.integers(-1000, 1000), max_size=3),
    st.lists(st.integers(0, 4), max_size=5),
)


def values(metrics):
    return {name: points.values for name, points in metrics.families.items() if points.values}


def copy(metrics):
    return Metrics.from_bytes(metrics.to_bytes())


def test_a_value_on_a_bucket_s_bound_is_in_that_bucket():
    histogram = Histogram((1.0, 2.5))
    for value in (0.0, 1.0, 1.5, 2.5, 3.0):
        histogram.observe(value)
    assert histogram.value == ((2, 2, 1), 8.0)


@settings(max_examples=30)
@given(SETS)
def test_metrics_survive_being_sent(metrics):
    again = copy(metrics)
    assert values(again) == values(metrics)
    assert {name: points.family for name, points in again.families.items()} == {
        name: points.family for name, points in metrics.families.items()
    }


@settings(max_examples=30)
@given(SETS, SETS, SETS)
def test_the_order_in_which_processes_are_added_up_does_not_matter(a, b, c):
    left, right = copy(a), copy(c)
    left.merge(b)
    left.merge(c)
    right.merge(b)
    right.merge(a)
    assert values(left) == values(right)


def test_gauges_take_the_largest_or_the_least_or_the_sum():
    one, other = metrics_of([(("a", "b"), 2)], [1], [1]), metrics_of([(("a", "b"), 3)], [5], [9])
    one.merge(other)
    assert one.families["a_total"].values == {("a", "b"): 5}
    assert one.families["b"].values == {(): 5}
    assert one.families["c"].values == {(): 1}
    assert one.families["d"].values == {('é\n"',): ((1, 0, 1), 10.0)}


def test_infinite_and_missing_numbers_survive_being_sent():
    metrics = Metrics()
    metrics.add(GAUGE, (), math.inf)
    metrics.add(LEAST, (), math.nan)
    again = copy(metrics)
    assert again.families["b"].values == {(): math.inf}
    assert math.isnan(again.families["c"].values[()])


def test_processes_that_disagree_about_a_metric_change_nothing():
    one, other = Metrics(), Metrics()
    one.add(GAUGE, (), 1)
    other.add(COUNTER, ("a", "b"), 1)
    other.add(Family("b", "gauge", "Another."), (), 1)
    with pytest.raises(FormatError, match="disagree"):
        one.merge(other)
    assert list(one.families) == ["b"]


def document(**changes):
    family = {
        "name": "d",
        "kind": "histogram",
        "help": "D.",
        "labels": ["x"],
        "bounds": [1, 2],
        "merge": "sum",
        "points": [[["a"], [[1, 2, 3], 4.0]]],
    }
    return {"version": 1, "families": [family | changes]}


def test_the_document_of_the_bad_ones_is_good():
    assert Metrics.from_bytes(orjson.dumps(document())).families["d"].values == {("a",): ((1, 2, 3), 4.0)}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"3",
        b"{}",
        b'{"version": 2, "families": []}',
        b'{"version": 1}',
        b'{"version": 1, "families": 3}',
        b'{"version": 1, "families": ["a"]}',
        orjson.dumps(document())[:-4],
        orjson.dumps(document(kind="summary")),
        orjson.dumps(document(merge="all")),
        orjson.dumps(document(bounds=[2, 1])),
        orjson.dumps(document(bounds=[1, 1])),
        orjson.dumps(document(bounds=["a", 1])),
        orjson.dumps(document(labels=["x", "y"])),
        orjson.dumps(document(labels=[1])),
        orjson.dumps(document(points=[[["a"], [[1, 2], 4.0]]])),
        orjson.dumps(document(points=[[["a"], [[1, 2, -3], 4.0]]])),
        orjson.dumps(document(points=[[["a"], [[1, 2, 3.5], 4.0]]])),
        orjson.dumps(document(points=[[["a"], 3]])),
        orjson.dumps(document(kind="counter", points=[[["a"], True]])),
        orjson.dumps(document(kind="counter", points=[[["a"], "x"]])),
        orjson.dumps(document(kind="counter", points=[[["a"], None]])),
    ],
)
def test_what_is_no_metrics_is_refused(data):
    with pytest.raises(FormatError):
        Metrics.from_bytes(data)


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_refused_and_nothing_else_happens(data):
    with pytest.raises(FormatError):
        Metrics.from_bytes(data)
