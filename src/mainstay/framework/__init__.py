"""TensorFlow's programming model over JAX and Keras variables."""

from mainstay.framework import _setup  # noqa: F401  (first: it chooses the backend)
from mainstay.framework.autograph import do_not_convert
from mainstay.framework.backend import require_jax_backend
from mainstay.framework.clipping import clip_by_global_norm, clip_by_norm, global_norm
from mainstay.framework.compilation_cache import set_compilation_cache
from mainstay.framework.config import (
    functions_run_eagerly,
    list_logical_devices,
    list_physical_devices,
    run_functions_eagerly,
)
from mainstay.framework.conversion import cast, constant, convert_to_tensor
from mainstay.framework.functions import ConcreteFunction, Function, RetracingWarning, function
from mainstay.framework.jax_internals import SUPPORTED_JAX
from mainstay.framework.kernels import (
    dropout_generator,
    install_kernels,
    kernels_enabled,
    plain_kernels,
    set_dropout_generator,
)
from mainstay.framework.modules import Module
from mainstay.framework.printing import print  # noqa: A004
from mainstay.framework.tapes import GradientTape, UnconnectedGradients, custom_gradient, stop_gradient
from mainstay.framework.variables import Variable

__all__ = [
    "SUPPORTED_JAX",
    "ConcreteFunction",
    "Function",
    "GradientTape",
    "Module",
    "RetracingWarning",
    "UnconnectedGradients",
    "Variable",
    "cast",
    "clip_by_global_norm",
    "clip_by_norm",
    "constant",
    "convert_to_tensor",
    "custom_gradient",
    "do_not_convert",
    "dropout_generator",
    "function",
    "functions_run_eagerly",
    "global_norm",
    "install_kernels",
    "kernels_enabled",
    "list_logical_devices",
    "list_physical_devices",
    "plain_kernels",
    "print",
    "require_jax_backend",
    "run_functions_eagerly",
    "set_compilation_cache",
    "set_dropout_generator",
    "stop_gradient",
]
