"""What the texts of a CSV column are: the kinds of values, their inference over a whole file, and their conversion.

The rules, which `docs/formats/csv.md` explains:

- An integer is ``0`` or digits without a leading zero, after ``-`` or nothing, within 64 bits, so that its text can
  be had back from it. ``007``, ``+5``, ``-0`` and integers beyond 64 bits are therefore no integers.
- A float is a decimal number with or without a point and an exponent, or an infinity; but not a code like ``007`` or
  ``+5``, an integer beyond 64 bits, or a number beyond float64.
- ``true`` and ``false`` in any case are booleans.
- A timestamp is an ISO 8601 date, or a date and a time; with a zone it becomes UTC. Digits beyond the
  microsecond are cut off.
- Blanks around any of these are ignored, and the texts of `MISSING_TEXTS`, in any case, are missing values.
- Everything else is a string, unchanged to the last blank. Only an empty field is a missing string.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mainstay.core import ArgumentError

MISSING_TEXTS = ("#n/a", "-nan", "<na>", "n/a", "na", "nan", "none", "null")
"""What says, in any case, that a value of a column of numbers, booleans or timestamps is missing."""

_Numbers = np.ndarray[Any, Any]
_MISSING = pa.array(MISSING_TEXTS)
_PROBE_ROWS = 50
_BEYOND_INT64 = 2.0**63
_IS_NUMBER_START = np.zeros(256, bool)
_IS_NUMBER_START[list(b"0123456789+-.")] = True


class _View(NamedTuple):
    """An array of strings with its bytes, where each string begins and ends in them, and its first byte.

    Where a string is empty or null, the first byte is any.
    """

    text: pa.StringArray
    content: _Numbers
    starts: _Numbers
    ends: _Numbers
    first: _Numbers


@dataclass(frozen=True)
class Kind:
    """A kind of values that a column may have.

    Args:
        name: Its name, for messages.
        type: The Arrow type of the values.
        parse: Converts texts without blanks around; None where one does not fit.
        wider: The names of the kinds that a column with a value of this kind may turn out to have.
    """

    name: str
    type: pa.DataType
    parse: Callable[[_View], pa.Array | None]
    wider: tuple[str, ...] = ()


def convert(text: pa.StringArray, kind: Kind) -> pa.Array | None:
    """Return the values that texts stand for, or None where one of them is not of that kind.

    Args:
        text: The texts; empty fields are nulls.
        kind: The kind.
    """
    if kind is STRING:
        return text
    view = _drop_missing(_view(text))
    values = kind.parse(view)
    return kind.parse(_view(_tidy(view.text))) if values is None else values


def narrow(kinds: tuple[Kind, ...], text: pa.StringArray) -> tuple[Kind, ...]:
    """Return the kinds that a column may have after these texts, the one to convert to first.

    Args:
        kinds: The kinds that it may have before them.
        text: More texts of the column.

    Returns:
        `kinds` itself where every text is missing; nothing where a text contradicts what a user asked for.
    """
    for kind in kinds:
        fits_at_first = convert(text.slice(0, _PROBE_ROWS), kind) is not None
        values = convert(text, kind) if fits_at_first else None
        if values is not None:
            if values.null_count == len(values):
                return kinds
            return (kind, *(other for other in kinds if other.name in kind.wider))
    return ()


def settled(kinds: tuple[Kind, ...]) -> Kind:
    """Return the kind of a column that may have these: null where no value was seen and no dtype asked for."""
    return NULL if kinds == ANY_KIND else kinds[0]


def asked_for(dtype: str) -> tuple[Kind, ...]:
    """Return the kinds of a column for which a user gave a dtype; these take more texts than inference does.

    Raises:
        ArgumentError: The dtype is none of int64, float64, bool, string and timestamp.
    """
    if dtype not in _ASKED_FOR:
        raise ArgumentError("unknown dtype", expected=f"one of {', '.join(_ASKED_FOR)}", received=repr(dtype))
    return _ASKED_FOR[dtype]


def _view(text: pa.StringArray) -> _View:
    _, offsets, data = text.buffers()
    edges = (
        np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1] if len(text) else np.zeros(1, int)
    )
    content = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    return _View(text, content, edges[:-1], edges[1:], content.take(edges[:-1], mode="clip"))


def _drop_missing(view: _View) -> _View:
    """Return the texts with nulls for those that say that a value is missing.

    Most are told apart from numbers by their first byte alone, which is what makes this cheap.
    """
    text, _, starts, ends, first = view
    likely = np.flatnonzero(~_IS_NUMBER_START[first] & (starts < ends))
    if not len(likely):
        return view
    says_missing = pc.is_in(pc.ascii_lower(text.take(pa.array(likely))), _MISSING)
    dropped = likely[says_missing.to_numpy(zero_copy_only=False)]
    if not len(dropped):
        return view
    valid = text.is_valid().to_numpy(zero_copy_only=False).copy()
    valid[dropped] = False
    edges, bitmap = np.append(starts, ends[-1]), np.packbits(valid, bitorder="little")
    nulled = pa.StringArray.from_buffers(len(text), pa.py_buffer(edges), text.buffers()[2], pa.py_buffer(bitmap))
    return view._replace(text=nulled)


def _tidy(text: pa.StringArray) -> pa.StringArray:
    """Return the texts without blanks around them and without digits beyond the microsecond, missing ones as nulls."""
    trimmed = pc.ascii_trim(text, " \t")
    is_missing = pc.or_(pc.equal(trimmed, ""), pc.is_in(pc.ascii_lower(trimmed), _MISSING))
    return pc.replace_substring_regex(pc.if_else(is_missing, None, trimmed), r"(:\d{2}\.\d{6})\d+", r"\1")


def _cast(text: pa.StringArray, target: pa.DataType) -> pa.Array | None:
    try:
        return text.cast(target)
    except pa.ArrowInvalid:
        return None


def _any_matches(text: pa.StringArray, indices: _Numbers, pattern: str) -> bool:
    """Return whether one of the texts at these indices matches."""
    if not len(indices):
        return False
    return bool(pc.any(pc.match_substring_regex(text.take(pa.array(indices)), pattern)).as_py())


def _parse_null(view: _View) -> pa.Array | None:
    return pa.nulls(len(view.text)) if view.text.null_count == len(view.text) else None


def _parse_string(view: _View) -> pa.Array | None:
    return view.text


def _parse_int(view: _View) -> pa.Array | None:
    text, content, starts, ends, first = view
    values = _cast(text, pa.int64())
    if values is None:
        return None
    lead = content.take(starts + (first == ord("-")), mode="clip")
    zero = np.flatnonzero(lead == ord("0"))
    return None if (ends[zero] - starts[zero] > 1).any() else values


def _parse_asked_int(view: _View) -> pa.Array | None:
    text = pc.replace_substring_regex(view.text, r"^\+(\d)", r"\1")
    is_hexadecimal = pc.any(pc.match_substring(text, "x", ignore_case=True)).as_py()
    return None if is_hexadecimal else _cast(text, pa.int64())


def _parse_float(view: _View) -> pa.Array | None:
    text, content, starts, _, first = view
    values = _parse_asked_float(view)
    if values is None:
        return None
    large = np.flatnonzero(np.abs(_floats(values)) >= _BEYOND_INT64)
    if len(large):
        texts = text.take(pa.array(large))
        if _cast(texts.filter(pc.match_substring_regex(texts, r"^-?[0-9]+$")), pa.int64()) is None:
            return None
    plus = first == ord("+")
    signed = plus | (first == ord("-"))
    zero = np.flatnonzero(plus | (content.take(starts + signed, mode="clip") == ord("0")))
    second = content.take(starts[zero] + signed[zero] + 1, mode="clip")
    codes = zero[plus[zero] | ((second >= ord("0")) & (second <= ord("9")))]
    return None if _any_matches(text, codes, r"^([+-]?0|\+)[0-9]+$") else values


def _parse_asked_float(view: _View) -> pa.Array | None:
    values = _cast(view.text, pa.float64())
    if values is None:
        return None
    odd = np.flatnonzero(~np.isfinite(_floats(values)))
    return None if _any_matches(view.text, odd, r"[0-9]|(?i:nan)") else values


def _floats(values: pa.DoubleArray) -> _Numbers:
    """Return the numbers of an array; where a value is null, any."""
    return np.frombuffer(values.buffers()[1] or b"", np.float64)[values.offset : values.offset + len(values)]


def _parse_bool(view: _View) -> pa.Array | None:
    shortest = pc.min(pc.binary_length(view.text)).as_py()
    return None if shortest is not None and shortest < len("true") else _cast(view.text, pa.bool_())


def _parse_asked_bool(view: _View) -> pa.Array | None:
    return _cast(view.text, pa.bool_())


def _parse_timestamp(view: _View) -> pa.Array | None:
    return _cast(view.text, pa.timestamp("us"))


def _parse_zoned_timestamp(view: _View) -> pa.Array | None:
    return _cast(view.text, pa.timestamp("us", "UTC"))


NULL = Kind("null", pa.null(), _parse_null)
STRING = Kind("string", pa.string(), _parse_string)
_TIMESTAMPS = (
    Kind("timestamp", pa.timestamp("us"), _parse_timestamp, ("string",)),
    Kind("timestamp with a zone", pa.timestamp("us", "UTC"), _parse_zoned_timestamp, ("string",)),
)

ANY_KIND: tuple[Kind, ...] = (
    Kind("int64", pa.int64(), _parse_int, ("float64", "string")),
    Kind("float64", pa.float64(), _parse_float, ("string",)),
    Kind("bool", pa.bool_(), _parse_bool, ("string",)),
    *_TIMESTAMPS,
    STRING,
)
"""The kinds that a column may have for which no dtype was given."""

_ASKED_FOR: dict[str, tuple[Kind, ...]] = {
    "int64": (Kind("int64", pa.int64(), _parse_asked_int),),
    "float64": (Kind("float64", pa.float64(), _parse_asked_float),),
    "bool": (Kind("bool", pa.bool_(), _parse_asked_bool),),
    "string": (STRING,),
    "timestamp": _TIMESTAMPS,
}
