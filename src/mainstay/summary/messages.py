"""The messages of an event file: events, and tensors with the plugin that shows them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mainstay.core import message_class

SCALAR, TENSOR, BLOB_SEQUENCE = 1, 2, 3
"""The classes of data that TensorBoard distinguishes: `tensorflow.DataClass`."""

_FLOAT, _DOUBLE, _STRING = 1, 2, 7


@functools.lru_cache(maxsize=1024)
def plugin_metadata(plugin: str, data_class: int, description: str | None = None, content: bytes = b"") -> Any:
    """Return the `tensorflow.SummaryMetadata` that sends a series to the page of a plugin."""
    metadata = message_class("tensorflow.SummaryMetadata")(data_class=data_class, summary_description=description or "")
    metadata.plugin_data.plugin_name = plugin
    metadata.plugin_data.content = content
    return metadata


def float_tensor(value: float) -> Any:
    """Return a `tensorflow.TensorProto` of one float32."""
    tensor = message_class("tensorflow.TensorProto")(dtype=_FLOAT)
    tensor.tensor_shape.SetInParent()
    tensor.float_val.append(value)
    return tensor


def double_tensor(values: np.ndarray[Any, Any]) -> Any:
    """Return a `tensorflow.TensorProto` of an array, as float64."""
    tensor = message_class("tensorflow.TensorProto")(dtype=_DOUBLE)
    for length in values.shape:
        tensor.tensor_shape.dim.add(size=length)
    tensor.tensor_content = np.ascontiguousarray(values, "<f8").tobytes()
    return tensor


def string_tensor(values: Sequence[bytes], shape: Sequence[int]) -> Any:
    """Return a `tensorflow.TensorProto` of byte strings, given row by row."""
    tensor = message_class("tensorflow.TensorProto")(dtype=_STRING)
    for length in shape:
        tensor.tensor_shape.dim.add(size=length)
    if not shape:
        tensor.tensor_shape.SetInParent()
    tensor.string_val.extend(values)
    return tensor


def summary_event(tag: str, tensor: Any, metadata: Any, step: int, wall_time: float) -> bytes:
    """Return a serialized `tensorflow.Event` with one value."""
    event = _event_class()(wall_time=wall_time, step=step)
    value = event.summary.value.add(tag=tag)
    value.tensor.CopyFrom(tensor)
    value.metadata.CopyFrom(metadata)
    return bytes(event.SerializeToString())


def graph_event(graph: bytes, wall_time: float) -> bytes:
    """Return a serialized `tensorflow.Event` with the graph of a run."""
    return bytes(_event_class()(wall_time=wall_time, graph_def=graph).SerializeToString())


@functools.cache
def _event_class() -> Any:
    return message_class("tensorflow.Event")
