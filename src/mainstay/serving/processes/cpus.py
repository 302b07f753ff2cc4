"""Which CPUs a server's processes use, and how many threads each of them computes with."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from mainstay.core import ArgumentError, SetupError

_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_THREADS_VARIABLE = "NPROC"  # read by XLA when it makes the thread pools of its CPU client


def parse_cpus(text: str) -> tuple[int, ...]:
    """Return the CPUs that a list names, ascending.

    >>> parse_cpus("0-2,6")
    (0, 1, 2, 6)

    Raises:
        ArgumentError: It is no list of CPUs.
    """
    found: set[int] = set()
    for part in text.split(","):
        numbers = _RANGE.fullmatch(part.strip())
        if numbers is None:
            raise ArgumentError("not a list of CPUs", expected="such as 0-3,6", received=text)
        first, last = int(numbers[1]), int(numbers[2] or numbers[1])
        if last < first:
            raise ArgumentError("a range of CPUs is upside down", expected=f"{last}-{first}", received=part)
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def share_of(cpus: Sequence[int], number: int, workers: int) -> tuple[int, ...]:
    """Return the CPUs of one of several workers: neighbours of its own, or all where there are not enough.

    >>> [share_of(range(5), number, 2) for number in range(2)]
    [(0, 1, 2), (3, 4)]
    >>> share_of([7], 1, 2)
    (7,)
    """
    if len(cpus) < workers:
        return tuple(cpus)
    size, more = divmod(len(cpus), workers)
    start = number * size + min(number, more)
    return tuple(cpus[start : start + size + (number < more)])


def available_cpus() -> tuple[int, ...]:
    """Return the CPUs that this process may use."""
    if sys.platform == "linux":
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def pin(cpus: Sequence[int]) -> None:
    """Keep this process and all threads that it starts from now on to some CPUs.

    Raises:
        SetupError: The operating system cannot, or not to these.
    """
    if sys.platform != "linux":
        raise SetupError("processes cannot be kept to CPUs here", received=sys.platform, fix="leave --cpus out")
    try:
        os.sched_setaffinity(0, cpus)
    except (OSError, ValueError, OverflowError) as error:
        there = ",".join(map(str, available_cpus()))
        given = ",".join(map(str, cpus))
        raise SetupError("no such CPUs", where="--cpus", expected=f"some of {there}", received=given) from error


def limit_threads(threads: int) -> None:
    """Let the compiler's thread pools have that many threads; it counts if called before JAX computes anything."""
    os.environ[_THREADS_VARIABLE] = str(threads)
