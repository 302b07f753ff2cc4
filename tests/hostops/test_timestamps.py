"""Timestamps: ISO-8601 strings and times give the same microseconds."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import TensorSpec, TransformError
from mainstay.hostops import HostGraph, HostInput, HostNode

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def decoder(optional: bool = False) -> HostGraph:
    nodes = [HostNode("DecodeTimestamp", "us", ("t",))]
    output = "us"
    if optional:
        nodes.append(HostNode("Const", "zero", (), {"dtype": "int64", "value": -1}))
        nodes.append(HostNode("FillMissing", "filled", ("us", "zero")))
        output = "filled"
    return HostGraph([HostInput(TensorSpec([None], "string", "t"), optional)], nodes, {"us": output})


def microseconds(moment: datetime.datetime) -> int:
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31 23:59:59.999999", -1),
        ("2024-02-29T12:30", 1_709_209_800_000_000),
        ("2024-02-29 12:30:05.5", 1_709_209_805_500_000),
        ("2024-02-29T12:30:05,123456789Z", 1_709_209_805_123_456),
        ("2024-02-29T12:30:00+02:00", 1_709_202_600_000_000),
        ("2024-02-29T12:30:00 -0530", 1_709_229_600_000_000),
        ("2024-02-29t12:30z", 1_709_209_800_000_000),
        ("2024-02-29T12:30+01", 1_709_206_200_000_000),
        ("0000-03-01", -62_162_035_200_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ],
)
def test_iso_8601_is_read(text, want):
    assert decoder()({"t": [text]})["us"].tolist() == [want]


@given(
    st.datetimes(
        min_value=datetime.datetime(1, 1, 2),
        max_value=datetime.datetime(9999, 12, 30),
        timezones=st.timezones() | st.just(datetime.UTC),
    )
)
def test_every_moment_is_read_as_python_reads_it(moment):
    offset = moment.utcoffset()
    if offset.total_seconds() % 60:
        moment = moment.astimezone(datetime.UTC)
    assert decoder()({"t": [moment.isoformat()]})["us"][0] == microseconds(moment)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2024-13-01",
        "2024-00-10",
        "2023-02-29",
        "1900-02-29",
        "2024-04-31",
        "2024-01-01T24:00",
        "2024-01-01T12:60",
        "2024-01-01T23:59:60",
        "2024-1-1",
        "20240101",
        "2024-01-01T12",
        "2024-01-01 ",
        "２０２４-01-01",
        "2024-01-01T12:00+25:00",
        "2024-01-01T12:00:00.",
        "2024-01-01\n",
    ],
)
def test_what_is_no_timestamp_is_refused_naming_row_and_value(text):
    with pytest.raises(TransformError, match=r"\$\.t\[1\].*no timestamp") as caught:
        decoder()({"t": ["2024-01-01", text]})
    assert repr(text) in str(caught.value)
    with pytest.raises(TransformError, match=r"\$\.t\[99\]"):
        decoder()({"t": ["2024-01-01"] * 99 + [text]})


def test_a_missing_time_is_not_parsed():
    assert decoder(True)({"t": [None, "1970-01-01"]})["us"].tolist() == [-1, 0]
    assert decoder(True)({"t": pa.array([None, "1970-01-01"] * 50)})["us"].tolist() == [-1, 0] * 50


def test_times_of_every_unit_give_the_same_as_strings():
    moments = [datetime.datetime(1969, 12, 31, 23, 59, 59), datetime.datetime(2024, 2, 29, 12, 30, 5), None]
    want = decoder(True)({"t": [m and m.isoformat() for m in moments]})["us"].tolist()
    for unit in ("s", "ms", "us", "ns"):
        array = pa.array(moments, pa.timestamp(unit))
        assert decoder(True)({"t": array})["us"].tolist() == want
        assert decoder(True)({"t": array[:2].to_numpy(zero_copy_only=False)})["us"].tolist() == want[:2]
        assert decoder(True)({"t": pa.array(moments, pa.timestamp(unit, "Europe/Berlin"))})["us"].tolist() == want
    assert decoder(True)({"t": moments})["us"].tolist() == want
    times = np.array(["1969-12-31T23:59:59", "2024-02-29T12:30:05", "NaT"], "datetime64[s]")
    assert decoder(True)({"t": times})["us"].tolist() == want


def test_parts_of_a_microsecond_are_cut_off_downwards_in_every_form():
    nanoseconds = np.array(["1969-12-31T23:59:59.999999999", "2024-01-01T00:00:00.000000999"], "datetime64[ns]")
    want = decoder()({"t": ["1969-12-31T23:59:59.999999999", "2024-01-01T00:00:00.000000999"]})["us"].tolist()
    assert decoder()({"t": nanoseconds})["us"].tolist() == want
    assert decoder()({"t": pa.array(nanoseconds)})["us"].tolist() == want


def test_dates_are_midnight_in_utc():
    days = [datetime.date(1969, 12, 31), datetime.date(2024, 2, 29)]
    want = decoder()({"t": [day.isoformat() for day in days]})["us"].tolist()
    for form in (days, pa.array(days, pa.date32()), pa.array(days, pa.date64())):
        assert decoder()({"t": form})["us"].tolist() == want


def test_times_are_refused_where_strings_are_wanted():
    graph = HostGraph(
        [HostInput(TensorSpec([None], "string", "t"))], [HostNode("StringLength", "n", ("t",))], {"n": "n"}
    )
    with pytest.raises(TransformError, match="strings are wanted"):
        graph({"t": np.array(["2024-01-01"], "datetime64[us]")})
