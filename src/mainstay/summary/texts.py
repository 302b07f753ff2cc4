"""Texts: Markdown per step."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.summary.messages import TENSOR, plugin_metadata, string_tensor
from mainstay.summary.recording import record


def text(name: str, data: Any, step: Any = None, description: str | None = None) -> bool:
    """Record a text, or a table of texts.

    Args:
        name: The name of the series; a slash groups series.
        data: A string, or an array of strings; TensorBoard renders Markdown, and arrays of rank 1 and 2 as tables.
        step: The step; without it, the default one.
        description: Markdown to show beside the text.

    Returns:
        Whether it was recorded: there is a default writer, and `record_if` allows it.

    Raises:
        ArgumentError: An argument is wrong.
        StorageError: The event file could not be written.
    """
    if not is_text(data):
        raise ArgumentError(
            "the text of a summary is wrong",
            where=name,
            expected="strings",
            received=f"{type(data).__name__}: {data!r}",
        )
    return record(name, lambda: encode_text(data), (), step, plugin_metadata("text", TENSOR, description))


def is_text(data: Any) -> bool:
    """Return whether data is a string or an array of strings."""
    if isinstance(data, str | bytes):
        return True
    if not isinstance(data, np.ndarray | list | tuple | np.generic):
        return False
    array = np.asarray(data, dtype=object)
    return array.size > 0 and all(isinstance(item, str | bytes) for item in array.flat)


def encode_text(data: Any) -> Any:
    """Return strings as a `tensorflow.TensorProto`, in UTF-8."""
    array = np.asarray(data, dtype=object)  # fixed-width strings would lose trailing zero bytes
    return string_tensor([item if isinstance(item, bytes) else str(item).encode() for item in array.flat], array.shape)
