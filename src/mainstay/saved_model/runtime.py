"""The process that serves: settings of JAX that make a server's answers and starts faster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mainstay.core import compilation_cache_folder


def tune_for_serving(*, cache_folder: str | os.PathLike[str] | None = None) -> None:
    """Set JAX up for a process that serves models; call it before JAX computes anything.

    Small batches on a CPU are run by the calling thread instead of being handed to another one, which about halves
    their latency. A process that also trains should rather not call this. Both are settings of the whole process;
    the first has no effect once JAX has started its CPU backend.

    Args:
        cache_folder: Where compiled programs are kept for the next start, outside of any artifact; whoever can
            write there decides what runs. Without it, JAX's own ``JAX_COMPILATION_CACHE_DIR`` counts.
    """
    import jax

    config: Any = jax.config
    config.update("jax_cpu_enable_async_dispatch", False)
    if cache_folder is not None:
        config.update("jax_compilation_cache_dir", os.fspath(cache_folder))
    if config.jax_compilation_cache_dir:
        config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def engine_choices() -> Path | None:
    """Return the folder in which it is kept which engine was the fastest, or None where nothing is kept."""
    folder = compilation_cache_folder()
    return None if folder is None else folder / "engines"
