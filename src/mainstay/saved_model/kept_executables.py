"""Executables that are kept from one process to the next, and found again without lowering their program.

JAX keeps what it compiled under the digest of the lowered program, so that each start lowers every program again, in
Python, for every batch size. Here the key is made of what lowering starts from. Entries are machine code in the
compilation cache, which belongs to one user; where JAX has changed inside, nothing is kept.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import logging
import os
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.monitoring
import numpy as np

from mainstay.core import CompilationCache, compilation_cache, digest_json
from mainstay.saved_model.program import Program

_FORMAT = "mainstay executable 3"

logger = logging.getLogger("mainstay.saved_model")

_ASKED = "/jax/compilation_cache/compile_requests_use_cache"
_FOUND = "/jax/compilation_cache/cache_hits"

_thread = threading.local()


class Fresh:
    """Whether the compiler itself made what this thread has compiled within the block, as far as is known for sure.

    An executable that JAX found in its cache cannot be kept: what it writes a second time lacks functions.

    Attributes:
        is_sure: Whether it did, after the block.
    """

    def __init__(self) -> None:
        self.is_sure = False

    def __enter__(self) -> Fresh:
        _listen()
        _thread.events = []
        return self

    def __exit__(self, *error: object) -> None:
        events, _thread.events = _thread.events, None
        self.is_sure = _ASKED in events and _FOUND not in events


def _note(event: str, **_: Any) -> None:
    events = getattr(_thread, "events", None)
    if events is not None:
        events.append(event)


@functools.cache
def _listen() -> None:
    jax.monitoring.register_event_listener(_note)


class KeptExecutables:
    """The executables of one program that other processes have compiled.

    Args:
        program: The program.
        options: The compiler's options.
        device: What it runs on.
        cache: Where they are kept.
    """

    def __init__(
        self, program: Program, options: Mapping[str, str], *, device: jax.Device, cache: CompilationCache
    ) -> None:
        self._cache = cache
        self._device = device
        self._count = len(program.results)
        self._circumstances = {
            "format": _FORMAT,
            "jax": [jax.__version__, importlib.metadata.version("jaxlib")],
            "processor": _processor(),
            "flags": os.environ.get("XLA_FLAGS", ""),
            "cpus": [os.cpu_count(), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0],
            "options": dict(options),
            "x64": program.x64,
            "convention": program.calling_convention,
            "module": hashlib.sha256(program.module).hexdigest(),
            "arguments": [[t.name, list(map(str, t.shape)), t.dtype, t.weight] for t in program.arguments],
        }

    @classmethod
    def of(cls, program: Program, weights: Sequence[jax.Array], options: Mapping[str, str]) -> KeptExecutables | None:
        """Return those of a program, or None where nothing is kept: only a single processor's are."""
        cache = compilation_cache()
        if cache is None or jax.default_backend() != "cpu" or jax.config.values["jax_default_device"] is not None:
            return None
        device = jax.devices()[0]
        if any(weight.devices() != {device} for weight in weights):
            return None
        return cls(program, options, device=device, cache=cache)

    def _key(self, specs: Sequence[tuple[tuple[int, ...], Any]]) -> str:
        shapes = [[list(shape), str(np.dtype(dtype))] for shape, dtype in specs]
        return digest_json({**self._circumstances, "shapes": shapes})

    def find(
        self, specs: Sequence[tuple[tuple[int, ...], Any]], instead: Callable[[], Callable[..., Any]]
    ) -> Callable[..., Any] | None:
        """Return the executable for arrays of these shapes and dtypes, or None if there is none that can be read.

        Args:
            specs: The shapes and dtypes.
            instead: Compiles it, which is done if the one that is found does not run.
        """
        content = self._cache.get(self._key(specs))
        if content is None:
            return None
        # Whatever an older or newer JAX makes of it: it is compiled again.
        with contextlib.suppress(Exception):
            return _Kept(content, specs, device=self._device, results=self._count, instead=instead)
        return None

    def keep(self, specs: Sequence[tuple[tuple[int, ...], Any]], compiled: Any) -> None:
        """Keep what was compiled for arrays of these shapes and dtypes."""
        with contextlib.suppress(Exception):
            self._cache.put(self._key(specs), compiled.runtime_executable().serialize())


@functools.cache
def _processor() -> str:
    """Return what tells processors apart that do not run each other's machine code."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        told = {line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}
        return hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest()
    return f"{platform.machine()} {platform.processor()}"


class _Kept:
    """An executable that another process has compiled; it takes and gives what JAX's own do.

    Whether it can run shows when it first runs. Until then it is doubted, and compiled anew if it fails.
    """

    def __init__(
        self,
        content: bytes,
        specs: Sequence[tuple[tuple[int, ...], Any]],
        *,
        device: Any,
        results: int,
        instead: Callable[[], Callable[..., Any]],
    ) -> None:
        from jax._src import compiler
        from jax._src.lib import xla_client  # type: ignore[attr-defined]

        options = compiler.get_compile_options(num_replicas=1, num_partitions=1)
        devices = xla_client.DeviceList((device,))
        self._execute = device.client.deserialize_executable(content, devices, options).execute_sharded
        self._put = xla_client.batched_device_put
        self._sharding = jax.sharding.SingleDeviceSharding(device)
        self._device = [device]
        self._forms = [jax.core.ShapedArray(shape, np.dtype(dtype)) for shape, dtype in specs]
        self._results = results
        self._instead: Callable[[], Callable[..., Any]] | None = instead
        self._other: Callable[..., Any] | None = None

    def __call__(self, weights: list[jax.Array], arrays: Sequence[Any]) -> list[Any]:
        """Return the outputs for the weights and the arrays, in order."""
        if self._other is not None:
            return list(self._other(weights, arrays))
        instead = self._instead
        if instead is None:
            return self._run(weights, arrays)
        try:
            outputs = self._run(weights, arrays)
            for output in outputs:
                output.block_until_ready()
        except Exception as error:
            logger.warning("a kept executable does not run and is compiled again: %s", error)
            self._other = instead()
            return list(self._other(weights, arrays))
        self._instead = None
        return outputs

    def _run(self, weights: list[jax.Array], arrays: Sequence[Any]) -> list[Any]:
        put, sharding, device = self._put, self._sharding, self._device
        placed = [put(form, sharding, [array], device) for form, array in zip(self._forms, arrays, strict=True)]
        outputs = self._execute([*weights, *placed]).disassemble_into_single_device_arrays()
        if len(outputs) != self._results:
            raise RuntimeError(f"an executable gave {len(outputs)} results instead of {self._results}")
        return [output[0] for output in outputs]
