"""`GradientTape` and `custom_gradient`: gradients of what was computed, without wrapping a single array."""

from mainstay.framework.tapes.custom import custom_gradient, stop_gradient
from mainstay.framework.tapes.tape import GradientTape, UnconnectedGradients

__all__ = ["GradientTape", "UnconnectedGradients", "custom_gradient", "stop_gradient"]
