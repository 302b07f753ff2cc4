"""CPU seconds and memory of this process and of all that it started, as Linux counts them."""

from __future__ import annotations

import os
import resource
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def _fields(process: str) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the name, or None once the process is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def descendants() -> dict[int, list[str]]:
    """Return the stat fields of every living process below this one, by id."""
    if not Path("/proc").is_dir():
        return {}
    known = {int(name): fields for name in os.listdir("/proc") if name.isdigit() and (fields := _fields(name))}
    found, layer = {}, {os.getpid()}
    while layer:
        layer = {process for process, fields in known.items() if int(fields[1]) in layer and process not in found}
        found |= {process: known[process] for process in layer}
    return found


def cpu_seconds() -> float:
    """Return the CPU seconds of the whole tree, of processes that have ended too."""
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    alive = sum(sum(int(number) for number in fields[11:15]) for fields in descendants().values())
    return sum(usage.ru_utime + usage.ru_stime for usage in own) + alive / _TICKS


def memory_mb() -> float:
    """Return the resident memory of the tree, each shared page counted once."""
    total = sum(_rollup(str(process), "Pss:") for process in (os.getpid(), *descendants()))
    return total or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def private_mb() -> float:
    """Return the memory of this process that no file stands behind: what a memory map of a file does not add to."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return memory_mb()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:"))) / 1024


def _rollup(process: str, key: str) -> float:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024
