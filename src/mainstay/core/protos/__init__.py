"""Wire formats: message classes of our own `.proto` files, in a pool of their own beside which TensorFlow can live."""

from mainstay.core.protos.pool import message_class

__all__ = ["message_class"]
