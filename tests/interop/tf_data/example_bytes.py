"""tf.Example messages by hand, in encodings too that no writer produces and every reader has to read."""

import struct


def _varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number, payload):
    """A field of length-delimited bytes."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def integers(*values, packed=True):
    body = [_varint(value) for value in values]
    return field(3, field(1, b"".join(body)) if packed else b"".join(b"\x08" + one for one in body))


def floats(*values, packed=True):
    body = [struct.pack("<f", value) for value in values]
    return field(2, field(1, b"".join(body)) if packed else b"".join(b"\x0d" + one for one in body))


def strings(*values):
    return field(1, b"".join(field(1, value) for value in values))


def entry(name, feature):
    """An entry of the map of features."""
    return field(1, field(1, name.encode()) + field(2, feature))


def example(**features):
    return field(1, b"".join(entry(name, feature) for name, feature in features.items()))
