"""When the rewritten kernels are used: in a process with CPUs only, and unless they are switched off."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

import jax
from jax.extend.backend import backends

from mainstay.core import SetupError

ENVIRONMENT_VARIABLE = "MAINSTAY_KERNELS"

# A context that JAX knows of: a function that `jit` has traced with the other choice is traced again.
_plain: Any = jax.make_user_context(False)  # type: ignore[no-untyped-call]


def plain_kernels() -> AbstractContextManager[None]:
    """Switch all rewritten kernels off in this thread, for the body of a `with` statement.

    A program that is traced inside holds JAX's own operations only. Use it around `jax.export` for another device;
    saving and exporting a model do so by themselves.

    Returns:
        The context manager. Functions under `jax.jit` are traced again inside where they were traced outside.

    >>> with plain_kernels():
    ...     kernels_enabled()
    False
    """
    context: AbstractContextManager[None] = _plain(True)
    return context


def kernels_enabled() -> bool:
    """Return whether the rewritten kernels are used by what is traced or executed now in this thread.

    They are used where the process has no device but CPUs, `MAINSTAY_KERNELS` is unset or ``auto``, and no
    `plain_kernels()` is open.

    Raises:
        SetupError: `MAINSTAY_KERNELS` is neither ``auto`` nor ``plain``.
    """
    return not _plain.value and _asked_for() and set(platforms()) == {"cpu"}


def platforms() -> list[str]:
    """Return the platforms that JAX has devices of in this process."""
    return list(backends())


def is_static(*arrays: Any) -> bool:
    """Return whether all dimensions are numbers above zero: no symbolic dimension of `jax.export`, no empty batch."""
    return all(isinstance(size, int) and size > 0 for array in arrays for size in array.shape)


def _asked_for() -> bool:
    choice = os.environ.get(ENVIRONMENT_VARIABLE, "auto")
    if choice not in ("auto", "plain"):
        raise SetupError(
            "the environment asks for kernels that do not exist",
            where=ENVIRONMENT_VARIABLE,
            expected="auto or plain",
            received=choice,
            fix=f"unset {ENVIRONMENT_VARIABLE} or set it to plain",
        )
    return choice == "auto"
