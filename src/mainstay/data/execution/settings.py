"""Settings: how many threads and processes a dataset may use, and how many bytes."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

WORKERS = ("auto", "threads", "processes")

_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_MOST_BYTES = 512 << 20
_MOST_PROCESSES = 16


def available_cores() -> int:
    """Return how many cores this process may use: those of its affinity, within the quota of its container."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = _CPU_QUOTA.read_text().split()
        return max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        return cores


def default_ram_budget() -> int:
    """Return how many bytes stages may hold where nobody says so: 512 MiB, or a quarter of the machine's memory."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        memory = 4 * _MOST_BYTES
    return min(_MOST_BYTES, max(memory // 4, 1))


def is_free_threaded() -> bool:
    """Return whether this interpreter runs Python on several threads at a time."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled is not None and not enabled()


@dataclass(frozen=True)
class Settings:
    """How a dataset runs.

    Args:
        threads: How many threads run tasks.
        is_fixed: Whether that number holds even where an operation asks for more calls at a time.
        processes: How many worker processes there are at most.
        workers: ``auto``, ``threads`` or ``processes``: where row functions run.
        ram_budget: How many bytes all stages may hold between them.
        is_tuned: Whether depths and workers follow what is measured.
        deterministic: Whether the order is kept where an operation does not say.
    """

    threads: int = field(default_factory=available_cores)
    is_fixed: bool = False
    processes: int = field(default_factory=lambda: min(available_cores(), _MOST_PROCESSES))
    workers: str = "auto"
    ram_budget: int = field(default_factory=default_ram_budget)
    is_tuned: bool = True
    deterministic: bool = True
