"""Serialized tf.Examples, written byte by byte so that neither side has a part in them."""

import struct


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def feature(values):
    """A Feature of strings, floats or integers; None for one without a kind."""
    if values is None:
        return b""
    if values and isinstance(values[0], bytes):
        return field(1, b"".join(field(1, value) for value in values))
    if values and isinstance(values[0], float):
        return field(2, field(1, struct.pack(f"<{len(values)}f", *values)))
    return field(3, field(1, b"".join(map(varint, values))))


def features(**named):
    return b"".join(field(1, field(1, key.encode()) + field(2, feature(each))) for key, each in named.items())


def example(**named):
    """An Example."""
    return field(1, features(**named))


def sequence_example(context, lists):
    """A SequenceExample: features by name, and lists of features by name."""
    entries = b"".join(
        field(1, field(1, key.encode()) + field(2, b"".join(field(1, feature(step)) for step in steps)))
        for key, steps in lists.items()
    )
    return field(1, features(**context)) + field(2, entries)
