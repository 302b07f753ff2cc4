"""A parent keeps its workers up, asks them all as one, replaces them in turn, and leaves nobody behind."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mainstay.core import ArgumentError, UnavailableError
from mainstay.serving.operations.families import Metrics
from mainstay.serving.processes.counts import retire
from mainstay.serving.processes.sockets import reserve_port
from mainstay.serving.processes.supervisor import SharedSockets, Supervisor, SupervisorOptions

PROGRAM = Path(__file__).with_name("worker_program.py")
SECONDS = 60


class Parent:
    """A supervisor of worker programs, on the test's own event loop."""

    def __init__(self, how="work", workers=2, **options):
        self.ready = asyncio.Event()
        self.supervisor = Supervisor(
            (sys.executable, str(PROGRAM), how),
            SupervisorOptions(workers=workers, first_wait_seconds=0.001, **options),
            SharedSockets(),
            retire=retire,
            on_ready=self.ready.set,
        )
        self.started, self.reloaded = asyncio.Queue(), asyncio.Queue()
        start, reload = self.supervisor._start, self.supervisor.reload

        async def noted_start(number):
            worker = await start(number)
            if self.ready.is_set():
                self.started.put_nowait(worker)
            return worker

        async def noted_reload(config=b""):
            answer = await reload(config)
            self.reloaded.put_nowait(answer)
            return answer

        self.supervisor._start, self.supervisor.reload = noted_start, noted_reload

    async def __aenter__(self):
        self.running = asyncio.ensure_future(self.supervisor.run())
        await asyncio.wait_for(self.ready.wait(), SECONDS)
        return self

    async def __aexit__(self, *error):
        if not self.running.done():
            os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(self.running, SECONDS) == 0

    async def total(self):
        """Return how often workers have counted themselves, and the processes there are by number."""
        metrics = Metrics()
        for part in await self.supervisor.gather("metrics"):
            metrics.merge(Metrics.from_bytes(part))
        processes = metrics.families["process"].values if "process" in metrics.families else {}
        count = metrics.families["workers_total"].values[()] if metrics.families else 0
        return count, {int(number): int(pid) for pid, number in processes}

    async def restarted(self):
        """Wait until the next worker that is started answers."""
        worker = await asyncio.wait_for(self.started.get(), SECONDS)
        await asyncio.wait_for(worker.ready.wait(), SECONDS)
        return worker


def run(body, **keys):
    async def main():
        async with Parent(**keys) as parent:
            await body(parent)

    asyncio.run(main())


def test_workers_are_asked_as_one_and_drain_at_the_end(capfd):
    async def body(parent):
        count, processes = await parent.total()
        assert count == 2
        assert set(processes) == {0, 1}
        assert await parent.supervisor.reload(b"a config") == b"changed"

    run(body)
    printed = capfd.readouterr().out
    for number in (0, 1):
        assert f"worker {number} a config" in printed
        assert f"worker {number} stopped" in printed


def test_a_worker_that_crashes_is_started_again_its_counts_stay_and_it_gets_what_the_others_have(caplog, capfd):
    async def body(parent):
        await parent.supervisor.reload(b"newer")
        _, before = await parent.total()
        os.kill(before[0], signal.SIGKILL)
        worker = await parent.restarted()
        count, after = await parent.total()
        assert after == {0: worker.process.pid, 1: before[1]}
        assert count == 3

    run(body)
    assert "was ended by SIGKILL" in caplog.text
    assert capfd.readouterr().out.count("worker 0 newer") == 2


def test_a_configuration_that_one_worker_refuses_is_refused(caplog):
    async def body(parent):
        with pytest.raises(ArgumentError) as caught:
            await parent.supervisor.reload(b"refuse one")
        assert (caught.value.summary, caught.value.where, caught.value.received) == ("refused", "$.models", "1")
        assert parent.supervisor._config == b""
        _, before = await parent.total()
        with pytest.raises(UnavailableError, match="the process is gone"):
            await parent.supervisor.reload(b"crash")
        # Workers that a configuration has killed are started without it.
        after = {worker.number: worker.process.pid for worker in [await parent.restarted(), await parent.restarted()]}
        assert set(after) == {0, 1}
        assert not set(after.values()) & set(before.values())

    with caplog.at_level(logging.INFO, "mainstay.serving"):
        run(body)
    assert "worker 0 has taken the configuration" in caplog.text
    assert "worker 1 did not take the configuration" in caplog.text


def test_a_signal_has_all_workers_read_their_files_again(capfd):
    async def body(parent):
        os.kill(os.getpid(), signal.SIGHUP)
        assert await asyncio.wait_for(parent.reloaded.get(), SECONDS) == b"changed"

    run(body, how="gather")
    printed = capfd.readouterr().out
    assert all(f"worker {number} \n" in printed for number in (0, 1))
    # The last of them to start asked all workers how often they have counted themselves.
    assert "2\n" in printed


def test_workers_are_replaced_one_after_the_other(caplog):
    async def body(parent):
        _, before = await parent.total()
        await parent.supervisor.replace_all()
        count, after = await parent.total()
        assert set(after) == {0, 1}
        assert not set(after.values()) & set(before.values())
        assert count == 4
        # A worker stays where its successor does not start.
        parent.supervisor._command = (sys.executable, "-c", "raise SystemExit(7)")
        await parent.supervisor.replace_all()
        assert (await parent.total())[1] == after

    with caplog.at_level(logging.INFO, "mainstay.serving"):
        run(body)
    assert "all workers have been replaced" in caplog.text
    assert "the one to replace it ended with code 7" in caplog.text


def test_a_worker_that_refuses_to_start_ends_the_parent_with_its_code():
    async def main():
        return await asyncio.wait_for(Parent("refuse").supervisor.run(), SECONDS)

    assert asyncio.run(main()) == 2


def test_a_worker_that_does_not_stop_is_killed(caplog):
    program = (
        "import asyncio, signal\n"
        "from mainstay.serving.processes.control import WorkerControl\n"
        "from mainstay.serving.processes.seat import take_seat\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "async def work():\n"
        "    control = WorkerControl(take_seat(), lambda: None)\n"
        "    await control.connect()\n"
        "    await control.ready()\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(work())\n"
    )

    async def main():
        parent = Parent(workers=1, drain_timeout_seconds=-5.0)
        parent.supervisor._command = (sys.executable, "-c", program)
        async with parent:
            pass

    asyncio.run(main())
    assert "killing worker 0" in caplog.text


def test_no_worker_outlives_a_parent_that_is_killed(tmp_path):
    program = (
        "import asyncio, sys\n"
        "from mainstay.serving.processes.supervisor import *\n"
        "def ready():\n"
        "    print(*(one.process.pid for one in parent._workers), flush=True)\n"
        f"command = (sys.executable, {str(PROGRAM)!r}, 'work')\n"
        "parent = Supervisor(command, SupervisorOptions(workers=2), SharedSockets(), on_ready=ready)\n"
        "asyncio.run(parent.run())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        workers = list(map(int, parent.stdout.readline().split()))
        assert len(workers) == 2
        parent.kill()
        # The workers hold the other end of this pipe: it ends when the last of them has.
        parent.stdout.read()
    for pid in workers:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_workers_are_told_the_port_that_was_found_for_them():
    with reserve_port("127.0.0.1", 0) as held:
        supervisor = Supervisor((), SupervisorOptions(workers=2, cpus=(4, 5), threads=3), SharedSockets(rest=held))
        seat = supervisor._seat(1, 9)
        assert (seat.number, seat.rest_port, seat.grpc_port) == (1, held.getsockname()[1], None)
        assert (seat.cpus, seat.threads, seat.parent) == ((5,), 3, os.getpid())


@pytest.mark.parametrize(("cpus", "threads", "expected"), [(range(8), 0, 4), (range(8), 2, 2), ((5,), 0, 1)])
def test_workers_share_the_cpus_between_their_threads(cpus, threads, expected):
    supervisor = Supervisor((), SupervisorOptions(workers=2, cpus=tuple(cpus), threads=threads), SharedSockets())
    assert supervisor._seat(0, 9).threads == expected
