"""The compilation cache, which is on for everything that the framework compiles; `mainstay.core` has it."""

from __future__ import annotations

from mainstay.core import CompilationCache as CompilationCache
from mainstay.core import compilation_cache_folder as default_folder  # noqa: F401
from mainstay.core import set_compilation_cache as set_compilation_cache
from mainstay.core import start_compilation_cache

start_compilation_cache()
