"""Tensors of any kind, for TensorBoard plugins that have no function of their own here."""

from __future__ import annotations

from typing import Any

from mainstay.core import ArgumentError, message_class
from mainstay.summary.messages import double_tensor
from mainstay.summary.recording import host_numbers, record
from mainstay.summary.texts import encode_text, is_text


def write(tag: str, tensor: Any, step: Any = None, metadata: Any = None) -> bool:
    """Record a tensor for a TensorBoard plugin that has no function of its own here.

    Args:
        tag: The name of the series.
        tensor: Numbers of any shape, or strings.
        step: The step; without it, the default one.
        metadata: A `SummaryMetadata` message, of any protobuf module, or its bytes; it names the plugin.

    Returns:
        Whether it was recorded: there is a default writer, and `record_if` allows it.

    Raises:
        ArgumentError: An argument is wrong.
    """
    message = message_class("tensorflow.SummaryMetadata")
    try:
        raw = metadata if isinstance(metadata, bytes) else b"" if metadata is None else metadata.SerializeToString()
        parsed = message.FromString(raw)
    except Exception as error:
        raise ArgumentError(
            "the metadata of a summary is wrong",
            where=tag,
            expected="a SummaryMetadata message or its bytes",
            received=repr(metadata),
        ) from error
    if is_text(tensor):
        return record(tag, lambda: encode_text(tensor), (), step, parsed)
    return record(tag, lambda value: double_tensor(host_numbers(value, tag)), (tensor,), step, parsed)
