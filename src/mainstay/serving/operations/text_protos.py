"""Files of protobuf in text form, as TF Serving's flags name them: read whole, checked, refused with their place."""

from __future__ import annotations

import os
from typing import Any

from mainstay.core import FormatError, message_class, storage_errors

_MOST_BYTES = 4 << 20


def read_text(path: str | os.PathLike[str], what: str, *, most_bytes: int = _MOST_BYTES) -> str:
    """Return a small text file.

    Args:
        path: The file.
        what: What it is, for errors.
        most_bytes: The longest that it may be.

    Raises:
        StorageError: It cannot be read.
        FormatError: It is too long, or no UTF-8.
    """
    with storage_errors(path, "read"), open(path, "rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise FormatError(f"{what} is too long", where=path, expected=f"at most {most_bytes} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{what} is no UTF-8", where=path, received=f"byte {error.start}") from error


def read_text_proto(path: str | os.PathLike[str], name: str, *, secret: bool = False) -> Any:
    """Return the message that a file holds in protobuf's text form.

    Args:
        path: The file.
        name: The full name of the message, such as ``tensorflow.serving.SSLConfig``.
        secret: Whether an error must not quote the file.

    Raises:
        StorageError: It cannot be read.
        FormatError: It is no such message.
    """
    from google.protobuf import text_format

    text = read_text(path, f"the {name.rpartition('.')[2]} file")
    message = message_class(name)()
    try:
        text_format.Parse(text, message, allow_unknown_field=False)
    except (text_format.ParseError, ValueError, RecursionError) as error:
        place = text_format.ParseError.GetLine(error) if isinstance(error, text_format.ParseError) else None
        said = "" if secret else str(error)
        raise FormatError(
            f"this is no {name} in text form",
            where=path if place is None else f"{os.fspath(path)}:{place}",
            received=said or None,
            fix="write it as TF Serving's documentation shows",
        ) from (None if secret else error)
    return message
