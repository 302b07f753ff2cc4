"""TensorFlow's programming model over JAX and Keras variables."""

from mainstay.framework.backend import require_jax_backend

__all__ = ["require_jax_backend"]
