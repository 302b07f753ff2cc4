"""Metrics of the process itself, under the names that Prometheus' clients agree on, and of what runs in it."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path

from mainstay.serving.operations.families import Family, Metrics
from mainstay.serving.operations.release import python_release, release

START_TIME = Family(
    "process_start_time_seconds", "gauge", "When the process started, in seconds since 1970.", merge="min"
)
CPU = Family("process_cpu_seconds_total", "counter", "User and system time that the process has used.")
RESIDENT = Family("process_resident_memory_bytes", "gauge", "Memory that the process holds.")
VIRTUAL = Family("process_virtual_memory_bytes", "gauge", "Addresses that the process has reserved.")
OPEN_FILES = Family("process_open_fds", "gauge", "Files and sockets that are open.")
MOST_FILES = Family("process_max_fds", "gauge", "Files and sockets that may be open.")
THREADS = Family("process_threads", "gauge", "Threads of the process.")
COLLECTIONS = Family("python_gc_collections_total", "counter", "Runs of the garbage collector.", ("generation",))
COLLECTED = Family(
    "python_gc_objects_collected_total", "counter", "Objects that the garbage collector has freed.", ("generation",)
)
BUILD = Family(
    "mainstay_build_info",
    "gauge",
    "What runs here; the value is always 1.",
    ("version", "python", "jax", "numpy"),
    merge="max",
)

_PROC = Path("/proc/self")


class ProcessMetrics:
    """Measures the process. Where there is no `/proc`, what only it knows is left out."""

    def __init__(self) -> None:
        self._start = _start_time()
        self._build = (release(), python_release(), release("jax"), release("numpy"))

    def collect(self, metrics: Metrics) -> None:
        """Put the measurements into `metrics`."""
        times = os.times()
        metrics.add(START_TIME, (), self._start)
        metrics.add(CPU, (), times.user + times.system)
        try:
            sizes = (_PROC / "statm").read_text().split()
            page = os.sysconf("SC_PAGE_SIZE")
            metrics.add(VIRTUAL, (), int(sizes[0]) * page)
            metrics.add(RESIDENT, (), int(sizes[1]) * page)
            metrics.add(OPEN_FILES, (), len(os.listdir(_PROC / "fd")))
            metrics.add(THREADS, (), len(os.listdir(_PROC / "task")))
        except (OSError, ValueError, IndexError):  # not Linux, or a sandbox that hides it
            pass
        self._add_limit(metrics)
        for generation, counts in enumerate(gc.get_stats()):
            metrics.add(COLLECTIONS, (str(generation),), counts["collections"])
            metrics.add(COLLECTED, (str(generation),), counts["collected"])
        metrics.add(BUILD, self._build, 1)

    @staticmethod
    def _add_limit(metrics: Metrics) -> None:
        try:
            import resource
        except ImportError:  # not every platform has it
            return
        metrics.add(MOST_FILES, (), resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _start_time() -> float:
    """Return when the process started, as seconds since 1970; where nobody knows, that is now."""
    try:
        # The name of the program, in brackets, may hold blanks; the fields behind it do not.
        ticks = int((_PROC / "stat").read_text().rpartition(")")[2].split()[19])
        booted = next(
            int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime")
        )
        return booted + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        return time.time()
