"""Parts of timestamps: integer arithmetic on microseconds since the epoch, in UTC.

A column of timestamps is an int64 column of microseconds in a `preprocessing_fn`; calendar days follow the
proleptic Gregorian calendar.
"""

from __future__ import annotations

from mainstay.transform.misuse import misuse
from mainstay.transform.nodes import Node, apply, check_node

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND


def decode_timestamp(x: Node) -> Node:
    """Return ISO-8601 strings as microseconds since 1970-01-01 in UTC, int64.

    Without an offset a time is in UTC. A string that is no timestamp is an error, when the data is analysed and when
    a request is served.

    Args:
        x: A column of strings.

    Raises:
        TransformError: `x` is no such column.
    """
    column = check_node(x, "decode_timestamp")
    if column.dtype != "string":
        raise misuse(
            "decode_timestamp is for strings",
            received=f"a column of {column.dtype}",
            fix="use the column as it is: a column of timestamps is in microseconds already",
        )
    return apply("DecodeTimestamp", column)


def second_of_minute(x: Node) -> Node:
    """Return the second, 0 to 59, int64, of microseconds since the epoch.

    Args:
        x: A column of timestamps.

    Raises:
        TransformError: `x` is no such column.
    """
    return _moments(x, "second_of_minute") // _SECOND % 60


def minute_of_hour(x: Node) -> Node:
    """Return the minute, 0 to 59, int64, of microseconds since the epoch.

    Args:
        x: A column of timestamps.

    Raises:
        TransformError: `x` is no such column.
    """
    return _moments(x, "minute_of_hour") // (60 * _SECOND) % 60


def hour_of_day(x: Node) -> Node:
    """Return the hour, 0 to 23, int64, of microseconds since the epoch.

    Args:
        x: A column of timestamps.

    Raises:
        TransformError: `x` is no such column.
    """
    return _moments(x, "hour_of_day") // (3600 * _SECOND) % 24


def day_of_week(x: Node) -> Node:
    """Return the day of the week, Monday 0 to Sunday 6, int64, of microseconds since the epoch.

    Args:
        x: A column of timestamps.

    Raises:
        TransformError: `x` is no such column.
    """
    return (_moments(x, "day_of_week") // _DAY + 3) % 7


def day_of_month(x: Node) -> Node:
    """Return the day of the month, 1 to 31, int64, of microseconds since the epoch.

    Args:
        x: A column of timestamps.

    Raises:
        TransformError: `x` is no such column.
    """
    day, month = _march_day_and_month(_moments(x, "day_of_month"))
    return day - (153 * month + 2) // 5 + 1


def month_of_year(x: Node) -> Node:
    """Return the month, 1 to 12, int64, of microseconds since the epoch.

    Args:
        x: A column of timestamps.

    Raises:
        TransformError: `x` is no such column.
    """
    _, month = _march_day_and_month(_moments(x, "month_of_year"))
    return (month + 2) % 12 + 1


def _moments(x: Node, operation: str) -> Node:
    column = check_node(x, operation)
    if column.dtype != "int64":
        raise misuse(
            f"{operation} is for timestamps",
            expected="a column of timestamps, or of int64 microseconds since 1970-01-01",
            received=f"a column of {column.dtype}",
            fix="use tft.decode_timestamp(x) on strings" if column.dtype == "string" else None,
        )
    return column


def _march_day_and_month(moments: Node) -> tuple[Node, Node]:
    """Return the day of the year counted from 1 March, and the month counted from March, both from 0.

    The arithmetic is that of Howard Hinnant's ``civil_from_days``: a year that starts in March ends in its leap day.
    """
    day_of_era = (moments // _DAY + 719_468) % 146_097
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day = day_of_era - (365 * year + year // 4 - year // 100)
    return day, (5 * day + 2) // 153
