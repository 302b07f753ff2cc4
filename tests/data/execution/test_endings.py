"""However a program ends, its worker processes end with it, at once, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

START = """
import os, sys, threading
import numpy as np
from mainstay.data.addressing import View
from mainstay.data.execution.engine import Engine
from mainstay.data.execution.settings import Settings
from mainstay.data.execution.task import Task
from mainstay.data.feeds import RowFeed
from mainstay.data.functions.function import Function
from mainstay.data.plan import Parallel
from mainstay.data.sources.arrays import RangeSource
from mainstay.data.chunks import Chunk

class Where(Function):
    name, is_row_bound = "where", True
    def __call__(self, chunk):
        if STUCK and chunk.columns[0][0] > 700 and os.getpid() != PARENT:
            threading.Event().wait(600)
        pids = np.full((chunk.length, 2000), os.getpid())
        return chunk.with_columns(pids)

PARENT = os.getpid()
engine = Engine(Settings(threads=2, workers="processes", processes=1))
node = Parallel(Task(RowFeed(RangeSource(0, 1000, 1), View(1000), 10), (Where(),)), engine)
chunks = node.run(None, ())
kept = [next(chunks) for _ in range(10)]
while len(engine._crew._workers._workers) < 1:
    threading.Event().wait(0.01)
print(*(worker.process.pid for worker in engine._crew._workers._workers), flush=True)
"""

ENDINGS = {
    "an exception": ("raise SystemExit(3)", 3),
    "an iterator left half way": ("del chunks", 0),
    "an engine that is closed": ("engine.close(10); print(threading.active_count())", 0),
}


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(condition) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return condition()


@pytest.fixture
def started() -> Iterator:
    processes: list[subprocess.Popen[str]] = []

    def start(ending: str, *, stuck: bool = False) -> tuple[subprocess.Popen[str], list[int]]:
        # From standard input: there is no file that a child could import again.
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        process.stdin.write(f"STUCK = {stuck}\n{START}\n{ending}\n")
        process.stdin.close()
        pids = [int(pid) for pid in process.stdout.readline().split()]
        if not pids:
            pytest.fail(process.stderr.read())
        return process, pids

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize("name", ENDINGS)
def test_workers_end_with(name: str, started) -> None:
    ending, code = ENDINGS[name]
    process, pids = started(ending)
    assert process.wait(60) == code, process.stderr.read()
    assert len(pids) == 1
    assert until(lambda: not any(map(is_running, pids)))
    assert "Traceback" not in process.stderr.read()


def test_workers_end_with_the_data_and_their_memory_has_no_name(started) -> None:
    maps_of = "sys.platform == 'linux' and open('/proc/self/maps').read()"
    process, pids = started(f"print(sum(1 for _ in chunks))\nprint({maps_of})")
    count, _, maps = process.stdout.read().partition("\n")
    assert (process.wait(60), count) == (0, "90"), process.stderr.read()
    assert until(lambda: not any(map(is_running, pids)))
    assert sys.platform != "linux" or "memfd:mainstay-data (deleted)" in maps
    assert "/dev/shm/" not in maps


def test_workers_end_at_once_when_their_parent_is_killed_whatever_they_are_at(started) -> None:
    process, pids = started("list(chunks)", stuck=True)
    process.kill()
    assert until(lambda: not any(map(is_running, pids)))


def test_an_interrupt_ends_the_program_and_the_workers_though_they_are_stuck(started) -> None:
    process, pids = started("print('on', flush=True)\nlist(chunks)", stuck=True)
    assert process.stdout.readline() == "on\n"
    assert os.getpgid(pids[0]) != os.getpgid(process.pid)  # Ctrl-C on a terminal does not reach the worker.
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert until(lambda: not any(map(is_running, pids)))
    assert process.stderr.read().splitlines()[-1] == "KeyboardInterrupt"


FORK = """
import os, warnings
warnings.simplefilter("ignore")
child = os.fork()
if not child:
    code = 1
    try:
        next(chunks)
    except Exception as error:
        fresh = sum(chunk.length for chunk, _ in node.run(950, ()))
        code = 42 if "does not go on in a process that was forked" in str(error) and fresh == 50 else 2
    chunks = None
    os._exit(code)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), sum(chunk.length for chunk, _ in chunks))
"""


def test_a_fork_goes_on_with_iterators_of_its_own_only(started) -> None:
    process, pids = started(FORK)
    assert process.stdout.read().split() == ["42", "900"], process.stderr.read()
    assert process.wait(60) == 0
    assert until(lambda: not any(map(is_running, pids)))


def test_a_function_that_never_returns_does_not_keep_the_interpreter_from_ending() -> None:
    script = (
        "import threading\nfrom mainstay.data import Dataset\n"
        "it = iter(Dataset.range(100).map(lambda x: (int(x) > 40 and threading.Event().wait(600), x)[1]))\n"
        "print(len([next(it) for _ in range(2)]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
