"""The Keras backend: JAX, made sure of before Keras is imported for the first time."""

from __future__ import annotations

import os
import sys

from mainstay.core import SetupError


def require_jax_backend() -> None:
    """Make Keras use JAX, or say why that is not possible any more.

    Keras reads its backend once, when it is imported. Without a choice by the user Mainstay chooses JAX; a user's
    other choice is not overruled in silence.

    Raises:
        SetupError: Keras was imported with another backend before, or ``KERAS_BACKEND`` names another one.
    """
    wanted = os.environ.get("KERAS_BACKEND")
    module = sys.modules.get("keras")
    if module is not None and hasattr(module, "config"):
        backend = module.config.backend()
        if backend != "jax":
            raise SetupError(
                "Keras was imported with another backend before Mainstay could choose JAX",
                expected="the backend jax",
                received=f"the backend {backend}",
                fix="import mainstay before keras, or set the environment variable KERAS_BACKEND=jax",
            )
    elif wanted not in (None, "", "jax"):
        raise SetupError(
            "the environment asks Keras for another backend",
            where="KERAS_BACKEND",
            expected="jax, or nothing",
            received=wanted,
            fix="unset KERAS_BACKEND or set it to jax",
        )
    os.environ["KERAS_BACKEND"] = "jax"
