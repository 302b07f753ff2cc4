"""The compilation cache: programs that XLA compiled in one process are there for the next, in a folder of bounded size.

It is on by default wherever Mainstay compiles: in the framework room, and when a saved model is loaded. An entry is
whole or not there, carries its digest, and is made again if it is damaged; several processes may share the folder.
Entries are machine code: the folder belongs to one user, and a machine with another kind of processor, or another
version of XLA, uses a subfolder of its own.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import platform
import secrets
import sys
import threading
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from mainstay.core.errors import ArgumentError

ENVIRONMENT_VARIABLE = "MAINSTAY_COMPILATION_CACHE"
MAX_SIZE = 2 << 30
"""The size in bytes that all entries together have at most, unless the caller says otherwise: 2 GiB."""

MIN_SECONDS = 0.0
"""Programs that compile faster than this, in seconds, are not kept."""

_SUFFIX = ".xla"
_DIGEST = 32


class CompilationCache:
    """A folder of compiled programs, the least recently used of which give way when it grows too large.

    Args:
        folder: The folder; it is made when the first entry is written.
        max_size: How many bytes the entries of the folder and of its neighbours have at most.
    """

    def __init__(self, folder: Path, max_size: int = MAX_SIZE) -> None:
        self._folder = folder
        self._max_size = max_size
        self._size: int | None = None
        self._readable: bool | None = None
        self._writable = True
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return an entry, or None if there is none or a damaged one, which is removed."""
        if self._readable is False:
            return None
        path = self._path(key)
        try:
            content = path.read_bytes()
            if self._readable is None:
                self._check_owner()
                self._readable = True
        except FileNotFoundError:
            return None
        except OSError as error:
            self._readable = self._writable = False
            self._warn("read", error)
            return None
        if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return content[_DIGEST:]

    def put(self, key: str, value: bytes) -> None:
        """Write an entry, unless it alone is larger than the cache may be; a file system that refuses is lived with."""
        if not self._writable or len(value) > self._max_size:
            return
        path = self._path(key)
        partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._check_owner()
            try:
                partial.write_bytes(hashlib.sha256(value).digest() + value)
                os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)
            self._evict(len(value) + _DIGEST)
        except OSError as error:
            self._writable = False
            self._warn("write", error)

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}{_SUFFIX}"

    def _check_owner(self) -> None:
        """Refuse a folder in which others could put machine code for this user to run."""
        status = self._folder.stat()
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
            raise PermissionError(errno.EPERM, "the folder belongs to another user, or others may write to it")

    def _evict(self, added: int) -> None:
        """Remove the least recently used entries, here and in neighbouring folders, down to nine tenths of the size."""
        with self._lock:
            self._size = added + self._size if self._size is not None else sum(self._entries().values())
            if self._size <= self._max_size:
                return
            entries = self._entries()
            self._size = sum(entries.values())
            for path in sorted(entries, key=_last_use):
                if self._size <= self._max_size * 9 // 10:
                    break
                path.unlink(missing_ok=True)
                self._size -= entries[path]

    def _entries(self) -> dict[Path, int]:
        """Return the size of each entry; one that another process removes meanwhile is left out."""
        entries = {}
        for path in self._folder.parent.glob(f"*/*{_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                entries[path] = path.stat().st_size
        return entries

    def _warn(self, action: str, error: OSError) -> None:
        warnings.warn(
            f"the compilation cache cannot be {'read' if action == 'read' else 'written'}: {error.strerror or error}: "
            f"{self._folder}; every process compiles anew. Set {ENVIRONMENT_VARIABLE} to a folder of yours, or to off",
            RuntimeWarning,
            stacklevel=2,
        )


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def default_folder() -> Path | None:
    """Return where compiled programs are kept unless the caller says otherwise, or None where that is off.

    It is the folder that `MAINSTAY_COMPILATION_CACHE` names (``off`` for none), else ``xla`` in the one that
    `MAINSTAY_CACHE` names, else ``~/.cache/mainstay/xla``, or where `XDG_CACHE_HOME` has it.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE, "")
    if named.lower() in ("off", "0", "false", "no"):
        return None
    if named:
        return Path(named).expanduser()
    if root := os.environ.get("MAINSTAY_CACHE"):
        return Path(root).expanduser() / "xla"
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return home / "mainstay" / "xla"


def set_compilation_cache(folder: str | os.PathLike[str] | None, *, max_size: int = MAX_SIZE) -> None:
    """Keep compiled programs in a folder from now on, or nowhere.

    Args:
        folder: The folder, or None for no cache.
        max_size: How many bytes all entries together have at most.

    Raises:
        ArgumentError: The size is not positive.

    Example:
        >>> set_compilation_cache("cache/xla", max_size=1 << 28)
        >>> set_compilation_cache(None)
    """
    if max_size <= 0:
        raise ArgumentError("the size of the compilation cache is not positive", received=max_size)
    from jax.experimental.compilation_cache.compilation_cache import reset_cache

    _state.is_chosen = True
    reset_cache()
    _state.cache = None
    if folder is None:
        _configure("jax_compilation_cache_dir", None)
        return
    own = Path(folder).absolute() / _machine()
    _state.cache = CompilationCache(own, max_size)
    _set_program_cache(lambda path: CompilationCache(own, max_size) if path == str(own) else None)
    _configure("jax_compilation_cache_dir", str(own))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        _configure("jax_persistent_cache_min_compile_time_secs", MIN_SECONDS)


class _State:
    is_chosen = False
    cache: CompilationCache | None = None


_state = _State()


def _configure(name: str, value: Any) -> None:
    import jax

    jax.config.update(name, value)  # type: ignore[no-untyped-call]


def _set_program_cache(cache_of: Callable[[str], Any]) -> None:
    """Let `cache_of` make the cache of JAX's folder; where it gives None, JAX makes its own.

    JAX has no setting for this. Where its inside has another form, its own cache serves, which knows no largest size.
    """
    try:
        from jax._src import compilation_cache

        ordinary = getattr(compilation_cache.get_file_cache, "__wrapped__", compilation_cache.get_file_cache)
    except (ImportError, AttributeError):
        return

    @functools.wraps(ordinary)
    def get_file_cache(path: str) -> Any:
        cache = cache_of(path)
        return ordinary(path) if cache is None else (cache, path)

    compilation_cache.get_file_cache = get_file_cache


def compilation_cache() -> CompilationCache | None:
    """Return the cache that `set_compilation_cache` has set, for entries under keys of the caller's own, or None."""
    return _state.cache


def _machine() -> str:
    """Return a name for what compiled programs depend on: XLA's version, and the processor with its features."""
    features = [platform.system(), platform.machine(), platform.processor(), sys.byteorder]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        features += sorted({line for line in lines if line.startswith(("flags", "Features", "model name", "CPU part"))})
    return f"jaxlib-{metadata.version('jaxlib')}-{hashlib.sha256(chr(10).join(features).encode()).hexdigest()[:12]}"


def start_compilation_cache() -> None:
    """Switch the cache on, unless the user chose another one, or none, before or through JAX's own settings."""
    import jax

    folder = default_folder()
    if folder is not None and not _state.is_chosen and jax.config.values["jax_compilation_cache_dir"] is None:
        set_compilation_cache(folder)
