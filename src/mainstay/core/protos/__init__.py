"""Wire formats: message classes of our own `.proto` files, in a private pool that TensorFlow may share a process with."""

from mainstay.core.protos.pool import message_class

__all__ = ["message_class"]
