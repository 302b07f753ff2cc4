"""JSON text as TF Serving reads it: bare words NaN and Infinity, text after the document ignored."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

from mainstay.core import RequestError
from mainstay.serving.rest.json_faults import find_fault

_WORDS = re.compile(r'"(?:[^"\\]|\\.)*"|-?\b(?:Infinity|Inf|NaN)\b', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_KEY_END = re.compile(rb'"[ \t\r\n]*:')
_SHOWER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
_SHOWN = 120
_MOST_DIGITS = 400
# A text beyond this size is not gone through once more to tell its fault.
_MOST_EXAMINED = 1 << 20


def parse(body: bytes) -> Any:
    """Return the value of a JSON document.

    As TF Serving's parser, it takes NaN and infinities, bytes in strings that are no UTF-8, and a byte order mark, and
    ignores what follows the document. Where a key comes twice in an object, the last one counts.

    Raises:
        RequestError: The text is not JSON; the message ends in the byte offset of the fault.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _parse_loosely(body, error)


def parse_first(body: bytes) -> Any:
    """Return the value of a JSON document as `parse` does, but where a key comes twice, the first one counts.

    Raises:
        RequestError: The text is not JSON.
    """
    document = parse(body)
    if _may_repeat(body, document):
        try:
            document = _decode(body, _FIRST)
        except (ValueError, OverflowError, RecursionError) as error:
            raise RequestError("JSON Parse error: the nesting is too deep, or a number too large") from error
    return document


def _may_repeat(body: bytes, document: Any) -> bool:
    """Whether an object may have had a key twice: its text has more colons than it has keys.

    Colons in strings mislead the first, cheap counts, and nearly never the last one.
    """
    colons = body.count(b":")
    if colons <= _count_keys(document) or colons <= (keys := _count_all_keys(document)):
        return False
    return len(_KEY_END.findall(body)) > keys


def _count_keys(document: Any) -> int:
    """Return how many keys the outermost object has, with those of the objects right in it and in its lists."""
    if type(document) is not dict:
        return 0
    count = len(document)
    for value in document.values():
        if type(value) is dict:
            count += len(value)
        elif type(value) is list and value and type(value[0]) is dict:
            count += sum(len(row) for row in value if type(row) is dict)
    return count


def _count_all_keys(document: Any) -> int:
    """Return how many keys all objects have; objects in lists that begin with a plain value are not looked for."""
    count, left = 0, [document]
    while left:
        value = left.pop()
        if type(value) is dict:
            count += len(value)
            left.extend(value.values())
        elif type(value) is list and value and type(value[0]) in (dict, list):
            left.extend(value)
    return count


def _first_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return found


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise OverflowError
    return number


def _int(text: str) -> int | float:
    number = int(text) if len(text) < _MOST_DIGITS else _float(text)
    return number if -(2**63) <= number < 2**64 else _float(text)


_LOOSE = json.JSONDecoder(parse_float=_float, parse_int=_int)
_FIRST = json.JSONDecoder(parse_float=_float, parse_int=_int, object_pairs_hook=_first_of)


def _parse_loosely(body: bytes, strict: orjson.JSONDecodeError) -> Any:
    """Read what the strict parser refuses though TF Serving takes it."""
    if not body:
        raise RequestError("JSON Parse error: The document is empty")
    try:
        return _decode(body, _LOOSE)
    except (ValueError, OverflowError, RecursionError) as error:
        found = find_fault(body) if len(body) <= _MOST_EXAMINED else None
        reason, offset = found or (_sentence(strict.msg), len(strict.doc[: strict.pos].encode("utf-8", "replace")))
        raise RequestError(f"JSON Parse error: {reason} at offset: {offset}") from error


def _decode(body: bytes, decoder: json.JSONDecoder) -> Any:
    text = body.decode("utf-8-sig", "surrogateescape")
    spelled = _python_words(text) if "Inf" in text or "-NaN" in text else text
    value, _ = decoder.raw_decode(spelled, len(spelled) - len(spelled.lstrip(" \t\r\n")))
    # A lone surrogate that is written as such is no character; the strict parser refuses it, and so must this one.
    # Bytes that are no text have become surrogates of their own on the way here, and stay.
    if _SURROGATE.search(body):
        json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    return value


def _python_words(text: str) -> str:
    def spell(found: re.Match[str]) -> str:
        word = found.group()
        if word[0] == '"':
            return word
        if word.endswith("NaN"):
            return "NaN"
        return "-Infinity" if word[0] == "-" else "Infinity"

    return _WORDS.sub(spell, text)


def _sentence(message: str) -> str:
    text = message.split(": line")[0].rstrip(".")
    return text[:1].upper() + text[1:] + "."


def show(value: Any) -> str:
    """Return a JSON value as compact text for an error message, cut when long, whatever its size and depth."""
    text = ""
    try:
        for piece in _SHOWER.iterencode(value):
            text += piece[: _SHOWN + 1]
            if len(text) > _SHOWN:
                return f"{text[:_SHOWN]}…"
    except RecursionError:
        return f"{text}…"
    return text


def path(base: str, key: str) -> str:
    """Return the path of an object's member: ``$.a.b`` or, for a name that is no word, ``$.a["b c"]``."""
    return f"{base}.{key}" if key.isidentifier() else f"{base}[{show(key)}]"
