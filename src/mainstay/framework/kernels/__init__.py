"""Operations that XLA's CPU compiler is slow at, in terms of primitives that it is fast at; and masks for dropout."""

from mainstay.framework.kernels.dropout import dropout_generator, set_dropout_generator
from mainstay.framework.kernels.installation import install_kernels
from mainstay.framework.kernels.switch import kernels_enabled, plain_kernels

__all__ = ["dropout_generator", "install_kernels", "kernels_enabled", "plain_kernels", "set_dropout_generator"]
