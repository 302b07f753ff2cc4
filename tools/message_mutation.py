"""Mutation of protocol buffers that knows their structure, for fuzzing what reads them.

A mutated message is mostly one that the parser takes: fields vanish, come twice, change places, or hold values that
readers tend to forget, so that what is tried is the reader's own care and not that of the protobuf library.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

_INTEGERS = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 7, 64, 127, 128, 255, 2**16, 2**31 - 1, 2**31, 2**40, 2**62)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-40, 3e38, float("inf"), float("-inf"), float("nan"))
_TEXTS = ("", "x", "x:1", "^x", "..", "../x", "/etc/passwd", "a/b", "\u0130\u0131", "0", "-1", "x" * 300)
_BYTES = (b"", b"\0", b"\xff", b"../x", b"/etc/passwd", b"VALID", b"frame", b"\x80" * 12)
_LIMITS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def _places(message: Any, most: int) -> list[tuple[Any, Any]]:
    """Return up to `most` pairs of a message inside of a message and one of its fields that is set."""
    found: list[tuple[Any, Any]] = []
    pending = [message]
    while pending and len(found) < most:
        each = pending.pop()
        for field, value in each.ListFields():
            found.append((each, field))
            pending.extend(_messages(field, value))
    return found


def _messages(field: Any, value: Any) -> Iterator[Any]:
    if field.message_type is None:
        return
    if field.message_type.GetOptions().map_entry:
        kind = field.message_type.fields_by_name["value"]
        if kind.message_type is not None:
            yield from value.values()
    elif field.is_repeated:
        yield from value
    else:
        yield value


def _texts(message: Any) -> list[str]:
    """Return the texts of a message: a name in the place of another misleads more than noise."""
    found = []
    for each, field in _places(message, 20_000):
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING and field.type == FieldDescriptor.TYPE_STRING:
            value = getattr(each, field.name)
            found += list(value) if field.is_repeated else [value]
    return found


def _scalar(field: Any, value: Any, chance: random.Random, texts: list[str]) -> Any:
    """Return another value for a field that is no message."""
    if field.type == FieldDescriptor.TYPE_STRING:
        return chance.choice(texts) if texts and chance.random() < 0.7 else chance.choice(_TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return mutate_bytes(value, chance) if value and chance.random() < 0.6 else chance.choice(_BYTES)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return not value
    if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return chance.choice(_FLOATS)
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return chance.choice([0, 1, 2, 3, 7, 9, 10, 14, 20, 21, 23, 29, 101, 120, 99])
    low, high = _LIMITS[field.cpp_type]
    drawn = chance.choice(_INTEGERS) if chance.random() < 0.7 else int(value) + chance.choice((-1, 1))
    return min(max(drawn, low), high)


def _change(message: Any, field: Any, chance: random.Random, texts: list[str]) -> None:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _change_map(field, value, chance)
    elif field.is_repeated:
        _change_list(field, value, chance, texts)
    elif field.message_type is not None or chance.random() < 0.1:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _scalar(field, value, chance, texts))


def _change_map(field: Any, value: Any, chance: random.Random) -> None:
    keys = sorted(value)
    key, other = chance.choice(keys), chance.choice(keys)
    if field.message_type.fields_by_name["value"].message_type is None:
        value[key] = value[other]
    elif chance.random() < 0.5 or key == other:
        del value[key]
    else:
        value[key].CopyFrom(value[other])


def _change_list(field: Any, value: Any, chance: random.Random, texts: list[str]) -> None:
    index, other = chance.randrange(len(value)), chance.randrange(len(value))
    act = chance.random()
    if act < 0.2:
        del value[index]
    elif field.message_type is not None:
        if act < 0.5:
            value.add().CopyFrom(value[index])
        else:
            value[index].CopyFrom(value[other])
    elif act < 0.4:
        value.extend([value[index]] * chance.choice((1, 1, 2, 70)))
    elif act < 0.6:
        value[index] = value[other]
    else:
        value[index] = _scalar(field, value[index], chance, texts)


def mutate_message(message: Any, chance: random.Random, *, changes: int = 1) -> Any:
    """Return a copy of a message with some of its fields changed.

    Args:
        message: The message.
        chance: Draws what is changed.
        changes: How many changes are made.
    """
    copy = type(message)()
    copy.CopyFrom(message)
    texts = _texts(copy)
    for _ in range(changes):
        places = _places(copy, 200_000)
        if places:
            _change(*chance.choice(places), chance, texts)
    return copy


def mutate_bytes(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with a few of them flipped, lost, doubled or cut off."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        if not changed:
            break
        start = chance.randrange(len(changed))
        end = min(len(changed), start + chance.choice((1, 1, 2, 8, 64)))
        act = chance.random()
        if act < 0.4:
            changed[start] ^= 1 << chance.randrange(8)
        elif act < 0.55:
            changed[start:end] = bytes(end - start) if chance.random() < 0.5 else b"\xff" * (end - start)
        elif act < 0.7:
            del changed[start:end]
        elif act < 0.85:
            changed[start:start] = changed[start:end]
        else:
            del changed[start:]
    return bytes(changed)
