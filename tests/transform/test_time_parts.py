"""Parts of timestamps agree with Python's calendar."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay import transform as tft
from mainstay.core import TensorSpec
from mainstay.hostops import HostGraph, HostInput

EPOCH = datetime.datetime(1970, 1, 1)


@pytest.fixture(scope="module")
def graph() -> HostGraph:
    def parts(inputs):
        t = inputs["t"]
        return {
            "second": tft.second_of_minute(t),
            "minute": tft.minute_of_hour(t),
            "hour": tft.hour_of_day(t),
            "weekday": tft.day_of_week(t),
            "day": tft.day_of_month(t),
            "month": tft.month_of_year(t),
        }

    return tft.analyze({"t": np.array(["2024-01-01"], "datetime64[us]")}, parts)


def expected(moment: datetime.datetime) -> list[int]:
    return [moment.second, moment.minute, moment.hour, moment.weekday(), moment.day, moment.month]


@given(st.datetimes())
def test_every_moment_has_pythons_parts(graph, moment):
    got = graph({"t": [moment.isoformat()]})
    assert [values[0] for values in got.values()] == expected(moment)


def test_every_day_of_four_centuries_has_pythons_date(graph):
    days = np.arange(np.datetime64("1869-12-25"), np.datetime64("2270-01-05"))
    got = graph({"t": days})
    moments = [datetime.datetime.fromisoformat(str(day)) for day in days]
    assert got["day"].tolist() == [moment.day for moment in moments]
    assert got["month"].tolist() == [moment.month for moment in moments]
    assert got["weekday"].tolist() == [moment.weekday() for moment in moments]


def test_integers_can_be_microseconds():
    data = {"t": np.array([3_600_000_000])}
    graph = tft.analyze(data, lambda inputs: {"hour": tft.hour_of_day(inputs["t"])})
    assert graph.inputs == (HostInput(TensorSpec([None], "int64", "t")),)
    assert graph({"t": [-1]})["hour"].tolist() == [23]
