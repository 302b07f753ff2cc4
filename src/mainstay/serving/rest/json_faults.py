"""Where and why a text is no JSON, in the words of RapidJSON, which TF Serving reads requests with.

It is asked only when a faster parser has refused a text, to tell the client what is wrong. It nests as deep as the text
does without recursion, and builds nothing.
"""

from __future__ import annotations

import math
import re

_SPACE = re.compile(rb"[ \t\r\n]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_HEX = re.compile(rb"[0-9a-fA-F]{4}")
_WORD = re.compile(rb"-?(?:NaN|Infinity|Inf)")
_LITERALS = {ord("n"): b"null", ord("t"): b"true", ord("f"): b"false"}
_INFINITY = b"Infinity"
_OBJECT, _ARRAY = ord("{"), ord("[")
_MOST_DEPTH = 1024


class _FaultError(Exception):
    """A fault: what it is, and its offset."""


def find_fault(text: bytes) -> tuple[str, int] | None:
    """Return what is wrong with a document and at which byte, or None where nothing is.

    Args:
        text: The document; what follows its value is not looked at.

    Example:
        >>> find_fault(b'{"instances": [1, 2')
        ('Missing a comma or ] after an array element.', 19)
    """
    start = 3 if text.startswith(b"\xef\xbb\xbf") else 0
    try:
        place = _skip(text, start)
        if place == len(text):
            return "The document is empty.", place
        _scan(text, place)
    except _FaultError as fault:
        reason, place = fault.args
        return reason, place
    return None


def _scan(text: bytes, place: int) -> None:
    """Read one value, whatever it holds."""
    open_values: list[int] = []
    while True:
        byte = text[place] if place < len(text) else 0
        if byte in (_OBJECT, _ARRAY):
            if len(open_values) >= _MOST_DEPTH:
                raise _FaultError("The nesting is too deep.", place)
            inside = _skip(text, place + 1)
            closing = text[inside : inside + 1]
            if closing != (b"}" if byte == _OBJECT else b"]"):
                open_values.append(byte)
                place = _member(text, inside) if byte == _OBJECT else inside
                continue
            place = inside + 1
        else:
            place = _scalar(text, place, byte)
        while open_values:  # a value has ended: what holds it goes on, or ends as well
            place = _skip(text, place)
            follower = text[place : place + 1]
            is_object = open_values[-1] == _OBJECT
            if follower == b",":
                place = _skip(text, place + 1)
                place = _member(text, place) if is_object else place
                break
            if follower != (b"}" if is_object else b"]"):
                raise _FaultError(
                    "Missing a comma or } after an object member."
                    if is_object
                    else "Missing a comma or ] after an array element.",
                    place,
                )
            open_values.pop()
            place += 1
        else:
            return


def _skip(text: bytes, place: int) -> int:
    found = _SPACE.match(text, place)
    return place if found is None else found.end()


def _member(text: bytes, place: int) -> int:
    """Read a name and the colon behind it."""
    if text[place : place + 1] != b'"':
        raise _FaultError("Missing a name for object member.", place)
    place = _skip(text, _string(text, place))
    if text[place : place + 1] != b":":
        raise _FaultError("Missing a colon after a name of object member.", place)
    return _skip(text, place + 1)


def _scalar(text: bytes, place: int, byte: int) -> int:
    if byte == ord('"'):
        return _string(text, place)
    literal = _LITERALS.get(byte)
    if literal is None:
        return _number(text, place)
    for letter in literal:
        if place >= len(text) or text[place] != letter:
            raise _FaultError("Invalid value.", place)
        place += 1
    return place


def _string(text: bytes, place: int) -> int:
    place += 1
    while True:
        found = _PLAIN.match(text, place)
        place = place if found is None else found.end()
        if place >= len(text) or text[place] == 0:
            raise _FaultError("Missing a closing quotation mark in string.", place)
        if text[place] == ord('"'):
            return place + 1
        if text[place] != ord("\\"):
            raise _FaultError("Invalid encoding in string.", place)
        place = _escape(text, place)


def _escape(text: bytes, place: int) -> int:
    letter = text[place + 1 : place + 2]
    if letter != b"u":
        if not letter or letter not in b'"\\/bfnrt':
            raise _FaultError("Invalid escape character in string.", place)
        return place + 2
    code = _hex(text, place + 2, place)
    if not 0xD800 <= code <= 0xDFFF:
        return place + 6
    if code > 0xDBFF or text[place + 6 : place + 8] != b"\\u":
        raise _FaultError("The surrogate pair in string is invalid.", place)
    if not 0xDC00 <= _hex(text, place + 8, place) <= 0xDFFF:
        raise _FaultError("The surrogate pair in string is invalid.", place)
    return place + 12


def _hex(text: bytes, place: int, escape: int) -> int:
    found = _HEX.match(text, place)
    if found is None:
        raise _FaultError("Incorrect hex digit after \\u escape in string.", escape)
    return int(found[0], 16)


def _number(text: bytes, place: int) -> int:
    word = _WORD.match(text, place)
    if word is not None:
        return _word_end(text, word)
    found = _NUMBER.match(text, place)
    if found is None:
        raise _FaultError("Invalid value.", place + (text[place : place + 1] == b"-"))
    end = found.end()
    if found[1] is None and found[2] is None and text[end : end + 1] == b".":
        raise _FaultError("Miss fraction part in number.", end + 1)
    if found[2] is None and text[end : end + 1] in (b"e", b"E"):
        sign = text[end + 1 : end + 2] in (b"+", b"-")
        raise _FaultError("Miss exponent in number.", end + 1 + sign)
    if math.isinf(float(found[0])):
        raise _FaultError("Number too big to be stored in double.", place)
    return end


def _word_end(text: bytes, word: re.Match[bytes]) -> int:
    """Return where NaN or an infinity ends; an ``Inf`` that goes on has to go on as Infinity."""
    end = word.end()
    if not word[0].endswith(b"Inf") or text[end : end + 1] != b"i":
        return end
    for letter in _INFINITY[3:]:
        if text[end : end + 1] != bytes([letter]):
            break
        end += 1
    raise _FaultError("Invalid value.", end)
