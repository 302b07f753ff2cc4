"""Timestamps: ISO-8601 strings to microseconds since the epoch, in UTC."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from mainstay.core import TransformError
from mainstay.hostops.registry import HostOp, Kernel, Site, register
from mainstay.hostops.signatures import takes
from mainstay.hostops.words import Words

Array = np.ndarray[Any, Any]

_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
    r" ?(?:([Zz])|([+-])([0-9]{2})(?::?([0-9]{2}))?)?)?"
)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SECOND = 1_000_000


def parse_timestamp(text: str) -> int | None:
    """Return the microseconds since 1970-01-01T00:00:00Z of an ISO-8601 date or time; None if it is none.

    Without an offset it is in UTC, digits beyond microseconds are cut off, and a leap second is none.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    if not 1 <= month <= 12 or not 1 <= day <= _DAYS[month - 1]:
        return None
    if month == 2 and day == 29 and (year % 4 or (year % 100 == 0 and year % 400)):
        return None
    hour, minute, second = int(match[4] or 0), int(match[5] or 0), int(match[6] or 0)
    away_hours, away_minutes = int(match[10] or 0), int(match[11] or 0)
    if hour > 23 or minute > 59 or second > 59 or away_hours > 23 or away_minutes > 59:
        return None
    away = (away_hours * 60 + away_minutes) * (-1 if match[9] == "-" else 1)
    seconds = ((_days(year, month, day) * 24 + hour) * 60 + minute - away) * 60 + second
    return seconds * _SECOND + int((match[7] or "")[:6].ljust(6, "0"))


def _days(year: int, month: int, day: int) -> int:
    """Return the days since 1970-01-01 in the proleptic Gregorian calendar, years counted from March."""
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 719_469


def _bind_decode(site: Site) -> Kernel:
    def decode(x: Any, missing: Array | None) -> Array:
        if not isinstance(x, Words):
            return np.asarray(x.view(np.int64))
        moments = [parse_timestamp(token) for token in x.tokens]
        if None in moments:
            _refuse_unparsed(x, np.array([moment is None for moment in moments]), missing, site.where)
        return x.pick(np.array([0 if moment is None else moment for moment in moments], np.int64))

    return decode


def _refuse_unparsed(x: Words, bad: Array, missing: Array | None, where: str) -> None:
    """Refuse strings that are no timestamps, unless they stand only where a value is missing."""
    rows = x.pick(bad)
    if missing is not None:
        rows = rows & ~missing
    if rows.any():
        row = int(np.argmax(rows))
        position = row if x.codes is None else int(x.codes[row])
        raise TransformError(
            "a string is no timestamp",
            where=f"{where}[{row}]",
            expected="ISO-8601 such as 2024-05-31, 2024-05-31 13:45 or 2024-05-31T13:45:10.25+02:00",
            received=repr(x.tokens[position]),
            fix="write it that way, or leave it out where the time is unknown",
        )


register(
    HostOp("DecodeTimestamp", 1, takes(("string",), gives="int64"), _bind_decode, reads_missing=True, shape="rows")
)
