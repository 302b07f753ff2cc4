"""The one place of this room that reaches inside of JAX, and does nothing where JAX has changed there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

_thread = threading.local()


@contextlib.contextmanager
def without_linear_algebra() -> Iterator[None]:
    """Let this thread call exported programs without JAX loading SciPy first, a third of a second.

    JAX does so in case a program has custom calls of LAPACK; those of saved models never have.
    """
    _install()
    _thread.skips = True
    try:
        yield
    finally:
        _thread.skips = False


def _install() -> None:
    try:
        from jax._src.export import _export
    except ImportError:
        return
    ordinary: Callable[..., Any] | None = getattr(_export, "_ensure_backends_initialized", None)
    if ordinary is None or hasattr(ordinary, "ordinary"):
        return

    def initialize(*args: Any, **kwargs: Any) -> Any:
        return None if getattr(_thread, "skips", False) else ordinary(*args, **kwargs)

    initialize.ordinary = ordinary  # type: ignore[attr-defined]
    _export._ensure_backends_initialized = initialize
