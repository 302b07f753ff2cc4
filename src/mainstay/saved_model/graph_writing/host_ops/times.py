"""Timestamps: ISO-8601 strings to microseconds since the epoch, part by part."""

from __future__ import annotations

import numpy as np

from mainstay.saved_model.graph_writing.functions import Ref
from mainstay.saved_model.graph_writing.host_ops.registry import Site, lowers

_PATTERN = (
    r"({year}[0-9]{{4}})-({month}[0-9]{{2}})-({day}[0-9]{{2}})"
    r"(?:[Tt ]({hour}[0-9]{{2}}):({minute}[0-9]{{2}})(?::({second}[0-9]{{2}})(?:[.,]({fraction}[0-9]{{1,9}}))?)?"
    r" ?(?:[Zz]|({sign}[+-])({away_hour}[0-9]{{2}})(?::?({away_minute}[0-9]{{2}}))?)?)?"
)
_PARTS = ("year", "month", "day", "hour", "minute", "second", "fraction", "sign", "away_hour", "away_minute")
_NAMELESS = dict.fromkeys(_PARTS, "?:")
"""RE2 rewrites a string to one of nine groups at most, so that each part has a pattern of its own with just one."""

_LONG_MONTHS = (1, 3, 5, 7, 8, 10, 12)
_EPOCH = "1970-01-01"


def _pattern(part: str | None = None) -> str:
    """Return the pattern of a timestamp in which only one part is a group."""
    return "^" + _PATTERN.format(**_NAMELESS | ({part: ""} if part else {})) + "$"


class _Moment:
    """Strings that are taken apart, and arithmetic with their parts."""

    def __init__(self, site: Site, text: Ref) -> None:
        self._site = site
        self._text = text

    def part(self, name: str, *, before: str = "", after: str = "") -> Ref:
        """Return a part as a string between two others; one that is not there is empty."""
        attrs = {"pattern": _pattern(name), "rewrite": f"{before}\\1{after}"}
        return self._site.op("StaticRegexReplace", self._text, dtype="string", **attrs)

    def number(self, name: str) -> Ref:
        """Return a part as an int64, 0 where it is not there."""
        return self._parsed(self.part(name, before="0"))

    def microseconds(self) -> Ref:
        """Return the fraction of a second in microseconds, further digits cut off."""
        site = self._site
        digits = [self.part("fraction", after="000000"), site.constant(0, np.int32), site.constant(6, np.int32)]
        return self._parsed(site.op("Substr", *digits, dtype="string"))

    def _parsed(self, text: Ref) -> Ref:
        return self._site.op("StringToNumber", text, out_type=np.int64)

    def do(self, op: str, x: Ref, y: Ref | int) -> Ref:
        """Return the result of arithmetic with int64."""
        return self._site.op(op, x, self._site.constant(y, np.int64) if isinstance(y, int) else y)

    def test(self, op: str, x: Ref, y: int) -> Ref:
        """Return where numbers compare so with another."""
        return self._site.op(op, x, self._site.constant(y, np.int64), dtype=bool)

    def both(self, *conditions: Ref) -> Ref:
        """Return where all conditions hold."""
        result = conditions[0]
        for condition in conditions[1:]:
            result = self._site.op("LogicalAnd", result, condition, dtype=bool)
        return result

    def choose(self, condition: Ref, x: Ref | int, y: Ref | int) -> Ref:
        """Return one of two numbers for each condition."""
        pair = [self._site.constant(z, np.int64) if isinstance(z, int) else z for z in (x, y)]
        return self._site.op("SelectV2", condition, *pair)


@lowers("DecodeTimestamp")
def _decode(site: Site, x: Ref) -> Ref:
    missing = site.inputs[0].missing
    text = x if missing is None else site.op("SelectV2", missing, site.constant(_EPOCH), x, dtype="string")
    proper = site.op("StaticRegexFullMatch", text, dtype=bool, pattern=_pattern())
    moment = _Moment(site, text)
    year, month, day = (moment.number(name) for name in ("year", "month", "day"))
    clock = [moment.number(name) for name in ("hour", "minute", "second", "away_hour", "away_minute")]
    ranges = [moment.test("LessEqual", part, most) for part, most in zip(clock, (23, 59, 59, 23, 59), strict=True)]
    site.check(moment.both(proper, _is_date(moment, year, month, day), *ranges), "a string is no timestamp", text)
    hour, minute, second, away_hour, away_minute = clock
    away = moment.do("AddV2", moment.do("Mul", away_hour, 60), away_minute)
    west = site.op("Equal", moment.part("sign"), site.constant("-"), dtype=bool)
    hours = moment.do("AddV2", moment.do("Mul", _days(moment, year, month, day), 24), hour)
    minutes = moment.do("AddV2", moment.do("Mul", hours, 60), minute)
    utc = moment.choose(west, moment.do("AddV2", minutes, away), moment.do("Sub", minutes, away))
    seconds = moment.do("AddV2", moment.do("Mul", utc, 60), second)
    return moment.do("AddV2", moment.do("Mul", seconds, 1_000_000), moment.microseconds())


def _is_date(moment: _Moment, year: Ref, month: Ref, day: Ref) -> Ref:
    """Return where a month and a day are in the Gregorian calendar."""
    by_4, by_100, by_400 = (moment.test("Equal", moment.do("FloorMod", year, each), 0) for each in (4, 100, 400))
    leap = moment.choose(by_400, 29, moment.choose(by_100, 28, moment.choose(by_4, 29, 28)))
    last = moment.choose(moment.test("Equal", month, 2), leap, 30)
    for long in _LONG_MONTHS:
        last = moment.choose(moment.test("Equal", month, long), 31, last)
    room = moment.test("GreaterEqual", moment.do("Sub", last, day), 0)
    limits = [moment.test("GreaterEqual", month, 1), moment.test("LessEqual", month, 12)]
    return moment.both(*limits, moment.test("GreaterEqual", day, 1), room)


def _days(moment: _Moment, year: Ref, month: Ref, day: Ref) -> Ref:
    """Return the days since 1970-01-01 in the proleptic Gregorian calendar, years counted from March."""
    late = moment.test("Greater", month, 2)
    year = moment.choose(late, year, moment.do("Sub", year, 1))
    month = moment.choose(late, moment.do("Sub", month, 3), moment.do("AddV2", month, 9))
    total = moment.do("Mul", year, 365)
    for op, divisor in (("AddV2", 4), ("Sub", 100), ("AddV2", 400)):
        total = moment.do(op, total, moment.do("FloorDiv", year, divisor))
    months = moment.do("FloorDiv", moment.do("AddV2", moment.do("Mul", month, 153), 2), 5)
    return moment.do("Sub", moment.do("AddV2", moment.do("AddV2", total, months), day), 719_469)
