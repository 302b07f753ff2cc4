"""Load from wrk (HTTP/1.1) and h2load (HTTP/2), and the processor time that a server takes for it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Figures(NamedTuple):
    """What one run of load gave; times in microseconds."""

    rate: float
    p50: float
    p99: float
    cpu: float
    answers: int
    errors: int


@dataclass
class Process:
    """A server and every process below it."""

    popen: subprocess.Popen[bytes]

    @property
    def numbers(self) -> list[int]:
        return _tree(self.popen.pid)

    def cpu_seconds(self) -> float:
        """Return the processor time that all of its threads have taken so far."""
        total = 0
        for number in self.numbers:
            for task in _listed(f"/proc/{number}/task"):
                with suppress(OSError):
                    total += int(Path(f"/proc/{number}/task/{task}/schedstat").read_text().split()[0])
        return total / 1e9

    def memory_mb(self) -> float:
        """Return its proportional share of memory."""
        total = 0.0
        for number in self.numbers:
            with suppress(OSError):
                found = re.search(r"Pss:\s+(\d+)", Path(f"/proc/{number}/smaps_rollup").read_text())
                total += int(found[1]) / 1e3 if found else 0
        return total

    def stop(self) -> None:
        """End it, and everything below it."""
        numbers = self.numbers
        self.popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(10)
        for number in numbers:
            with suppress(OSError):
                os.kill(number, signal.SIGKILL)
        self.popen.wait()


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _tree(number: int) -> list[int]:
    found = [number]
    for task in _listed(f"/proc/{number}/task"):
        with suppress(OSError):
            for child in Path(f"/proc/{number}/task/{task}/children").read_text().split():
                found += _tree(int(child))
    return found


def http_load(process: Process, url: str, script: Path, *, connections: int, seconds: float) -> Figures:
    """Send the same request over keep-alive connections, each waiting for its answer."""
    before = process.cpu_seconds()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s", "-s", script, url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    cpu = process.cpu_seconds() - before
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", output)
    if found is None:
        raise SystemExit(f"wrk said: {output}")
    answers, duration, p50, p99, errors, _ = map(int, found.groups())
    return Figures(answers / duration * 1e6, p50, p99, cpu / max(answers, 1) * 1e6, answers, errors)


def grpc_load(process: Process, url: str, body: Path, *, concurrency: tuple[int, int], seconds: float) -> Figures:
    """Send the same gRPC message over so many connections with so many streams each."""
    connections, streams = concurrency
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        command = ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}", "-d", body]
        command += ["--log-file", log.name, "-H", "content-type: application/grpc", "-H", "te: trailers", url]
        before = process.cpu_seconds()
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        cpu = process.cpu_seconds() - before
        lines = [line.split() for line in Path(log.name).read_text().splitlines()]
    times = sorted(int(line[2]) for line in lines if line[1] == "200")
    if not times:
        raise SystemExit(f"h2load said: {output}")
    errors = len(lines) - len(times)
    middle, last = times[len(times) // 2], times[int(len(times) * 0.99)]
    return Figures(len(times) / seconds, middle, last, cpu / len(times) * 1e6, len(times), errors)
