"""`function`: Python over Keras variables, traced once per kind of arguments and run as one XLA program."""

from mainstay.framework.functions import conditions  # noqa: F401  (puts itself behind `keras.ops.cond`)
from mainstay.framework.functions.concrete import ConcreteFunction
from mainstay.framework.functions.function import Function, function
from mainstay.framework.functions.retracing import RetracingWarning

__all__ = ["ConcreteFunction", "Function", "RetracingWarning", "function"]
