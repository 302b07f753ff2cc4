"""Imported before anything else of this room: Keras is told its backend before it is imported."""

from mainstay.framework.backend import require_jax_backend

require_jax_backend()
