"""The private descriptor pool: every message of ours under its genuine full name, and nothing in the default pool.

Registering a file such as ``tensorflow/core/framework/types.proto`` in protobuf's default pool would make a later
``import tensorflow`` of the same process fail, and the other way round. Messages of two pools are exchanged as bytes.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

from mainstay.core.errors import ArgumentError

DESCRIPTOR_SET = "descriptors.binpb"
"""The compiled `.proto` files of this folder; ``tools/compile_protos.py`` makes it again."""


@functools.cache
def descriptor_pool() -> Any:
    """Return the private pool, which `json_format` and `text_format` need to read an ``Any``.

    Returns:
        A ``google.protobuf.descriptor_pool.DescriptorPool``; services are in it too.
    """
    from google.protobuf import descriptor_pb2
    from google.protobuf.descriptor_pool import DescriptorPool

    pool = DescriptorPool()
    compiled = resources.files(__package__).joinpath(DESCRIPTOR_SET).read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(compiled).file:
        pool.Add(file)
    return pool


@functools.cache
def message_class(name: str) -> Any:
    """Return the class of a protobuf message.

    Args:
        name: The message's full name on the wire, such as ``tensorflow.BundleEntryProto``.

    Returns:
        The class, with ``FromString`` and ``SerializeToString``; enums are read as numbers.

    Raises:
        ArgumentError: There is no message of that name.
    """
    from google.protobuf import message_factory

    try:
        return message_factory.GetMessageClass(descriptor_pool().FindMessageTypeByName(name))
    except KeyError as error:
        raise ArgumentError("there is no wire message of this name", received=name) from error
