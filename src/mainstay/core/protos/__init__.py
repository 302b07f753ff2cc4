"""Wire formats: message classes of our own `.proto` files, in a pool of their own beside which TensorFlow can live."""

from mainstay.core.protos.pool import descriptor_pool, message_class

__all__ = ["descriptor_pool", "message_class"]
