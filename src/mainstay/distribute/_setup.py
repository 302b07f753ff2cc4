"""Makes sure that Keras uses JAX, then makes its models work under strategies."""

from mainstay.framework import require_jax_backend

require_jax_backend()

from mainstay.distribute.trainers import install  # noqa: E402

install()
