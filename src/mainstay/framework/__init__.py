"""TensorFlow's programming model over JAX and Keras variables."""

from mainstay.framework import _setup  # noqa: F401  (first: it chooses the backend)
from mainstay.framework.backend import require_jax_backend
from mainstay.framework.conversion import cast, constant, convert_to_tensor
from mainstay.framework.functions import Function, function
from mainstay.framework.jax_internals import SUPPORTED_JAX
from mainstay.framework.tapes import GradientTape, UnconnectedGradients, custom_gradient, stop_gradient
from mainstay.framework.variables import Variable

__all__ = [
    "SUPPORTED_JAX",
    "Function",
    "GradientTape",
    "UnconnectedGradients",
    "Variable",
    "cast",
    "constant",
    "convert_to_tensor",
    "custom_gradient",
    "function",
    "require_jax_backend",
    "stop_gradient",
]
