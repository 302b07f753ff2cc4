"""TensorFlow's programming model over JAX and Keras variables."""

from mainstay.framework import _setup  # noqa: F401  (first: it chooses the backend)
from mainstay.framework.backend import require_jax_backend
from mainstay.framework.functions import Function, function
from mainstay.framework.jax_internals import SUPPORTED_JAX
from mainstay.framework.tapes import GradientTape, UnconnectedGradients

__all__ = ["SUPPORTED_JAX", "Function", "GradientTape", "UnconnectedGradients", "function", "require_jax_backend"]
