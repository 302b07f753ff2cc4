"""JSON text as TF Serving reads and writes it: bare words NaN and Infinity, text after the document ignored."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from mainstay.core import RequestError

_WORDS = re.compile(r'"(?:[^"\\]|\\.)*"|-?\b(?:Infinity|Inf|NaN)\b', re.DOTALL)
_LOOSE = json.JSONDecoder()
_SHOWER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
_SHOWN = 120


def parse(body: bytes) -> Any:
    """Return the value of a JSON document.

    Where a key comes twice in an object, the last one counts.

    Raises:
        RequestError: The text is not JSON; the message ends in the byte offset of the fault.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _parse_loosely(body, error)


def _parse_loosely(body: bytes, strict: orjson.JSONDecodeError) -> Any:
    """Read what the strict parser refuses though TF Serving takes it: NaN, infinities and text behind the document."""
    if not body:
        raise _fault("The document is empty.", "", 0)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"JSON Parse error: Invalid encoding in string. at offset: {error.start}") from error
    spelled = _python_words(text) if "Inf" in text or "-NaN" in text else text
    start = len(spelled) - len(spelled.lstrip(" \t\r\n"))
    try:
        value, _ = _LOOSE.raw_decode(spelled, start)
        # A lone surrogate is no character; the strict parser refuses it, and so must this one.
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        if error.pos > strict.pos:
            raise _fault(error.msg, spelled, error.pos) from error
        raise _fault(strict.msg, text, strict.pos) from error
    except UnicodeEncodeError as error:
        raise _fault("The surrogate pair in string is invalid.", text, strict.pos) from error
    except RecursionError as error:
        raise _fault("The nesting is too deep.", text, strict.pos) from error
    except ValueError as error:
        raise _fault("A number is too long.", text, strict.pos) from error
    return value


def _fault(reason: str, text: str, position: int) -> RequestError:
    offset = len(text[:position].encode())
    return RequestError(f"JSON Parse error: {_sentence(reason)} at offset: {offset}")


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
