"""The parent of workers: it starts them, starts them again, asks them, and stops them. It serves nothing itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mainstay.core import MainstayError, UnavailableError
from mainstay.serving.processes.control import COLLECT, FAREWELL, GATHER, GATHER_SECONDS, READY, RELOAD, pack, unpack
from mainstay.serving.processes.counts import METRICS, TENSORFLOW_METRICS
from mainstay.serving.processes.cpus import available_cpus, share_of
from mainstay.serving.processes.seat import WorkerSeat
from mainstay.serving.processes.systemd import notify
from mainstay.serving.processes.wire import Wire
from mainstay.serving.status import logger

_EXIT_ERROR = 2
_KILL_SECONDS = 5.0
_ADDED_UP = (METRICS, TENSORFLOW_METRICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorOptions:
    """How workers are kept.

    Args:
        workers: How many.
        cpus: The CPUs that they share; each gets its own ones where there are enough. Empty leaves them all to all.
        threads: How many threads each computes with; 0 for its share of the CPUs.
        drain_timeout_seconds: How long a worker may take to stop before it is killed.
        first_wait_seconds: How long to wait before a worker that has crashed is started again; twice as long each
            time it crashes again soon.
        longest_wait_seconds: How long to wait at most.
        steady_seconds: How long a worker must run for its next crash to count as the first.
    """

    workers: int
    cpus: tuple[int, ...] = ()
    threads: int = 0
    drain_timeout_seconds: float = 30.0
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 30.0
    steady_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSockets:
    """What the parent holds open for its workers.

    Args:
        rest: The reserved port for HTTP.
        grpc: The reserved port for gRPC.
        unix: The listening UNIX socket for HTTP.
        grpc_unix: The same for gRPC.
    """

    rest: socket.socket | None = None
    grpc: socket.socket | None = None
    unix: socket.socket | None = None
    grpc_unix: socket.socket | None = None


@dataclass(eq=False)
class _Worker:
    """One process."""

    number: int
    process: asyncio.subprocess.Process
    wire: Wire
    started: float
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    counts: dict[str, bytes] = field(default_factory=dict)


class Supervisor:
    """Keeps workers up until it is told to stop.

    Args:
        command: The program and arguments of a worker, which takes its place with `take_seat`.
        options: How many there are, and how they are kept.
        sockets: What they listen on.
        retire: Adds up the counts of two processes, of which none runs any more; what a worker has counted stays in
            the sum when it is gone.
        on_ready: Called once when every worker answers.
    """

    def __init__(
        self,
        command: Sequence[str],
        options: SupervisorOptions,
        sockets: SharedSockets,
        *,
        retire: Callable[[bytes, bytes], bytes] | None = None,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        self._command = tuple(command)
        self._options = options
        self._sockets = sockets
        self._retire = retire
        self._on_ready = on_ready
        self._workers: list[_Worker] = []
        self._config = b""
        self._retired: dict[str, bytes] = {}
        self._failed: int | None = None
        self._settled = False
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._rolling = False

    async def run(self) -> int:
        """Keep the workers up until a signal or a fault at the start ends them all.

        SIGTERM and SIGINT drain, SIGHUP has all read their files again, SIGUSR2 replaces them one after the other.

        Returns:
            The exit code: 0, or that of a worker that refused to start.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_now)
        loop.add_signal_handler(signal.SIGHUP, lambda: asyncio.ensure_future(self._reload_files()))
        loop.add_signal_handler(signal.SIGUSR2, lambda: asyncio.ensure_future(self.replace_all()))
        tasks = [asyncio.ensure_future(self._keep(number)) for number in range(self._options.workers)]
        try:
            await self._stopping.wait()
            await self._drain()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for worker in self._workers:
                with contextlib.suppress(ProcessLookupError):
                    worker.process.kill()
                worker.wire.close()
            await asyncio.gather(*(worker.process.wait() for worker in self._workers))
            await asyncio.sleep(0)  # lets the transports of the processes close
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
                loop.remove_signal_handler(number)
        return self._failed or 0

    def _stop_now(self) -> None:
        if self._stopping.is_set():  # the second time: do not wait for anybody
            for worker in self._workers:
                with contextlib.suppress(ProcessLookupError):
                    worker.process.kill()
        self._stopping.set()

    # Keeping workers up

    async def _keep(self, number: int) -> None:
        """Keep one worker up: start it, and again whenever it ends without having been told to."""
        loop, options = asyncio.get_running_loop(), self._options
        wait = options.first_wait_seconds
        while not self._stopping.is_set():
            worker = await self._start(number)
            code = await self._follow(worker)
            while worker.leaving and not self._stopping.is_set():
                # It was replaced: follow the one that took its place.
                successor = next((one for one in self._workers if one.number == number), None)
                if successor is None:
                    break
                worker = successor
                code = await self._follow(worker)
            if self._stopping.is_set():
                return
            if code == _EXIT_ERROR and not self._settled:
                self._failed = code
                self._stopping.set()
                return
            if loop.time() - worker.started > options.steady_seconds:
                wait = options.first_wait_seconds
            logger.error("worker %d (process %d) %s", number, worker.process.pid, _how_it_ended(code))
            await asyncio.sleep(wait)
            wait = min(2 * wait, options.longest_wait_seconds)

    async def _start(self, number: int) -> _Worker:
        ours, theirs = socket.socketpair()
        try:
            seat = self._seat(number, theirs.fileno())
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env={**os.environ, **seat.to_environment()},
                pass_fds=seat.descriptors,
                stdin=asyncio.subprocess.DEVNULL,
                # A terminal's Ctrl-C goes to the parent alone, which drains the workers.
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        wire = Wire(lambda operation, payload: self._serve(worker, operation, payload), lambda: None)
        worker = _Worker(number, process, wire, asyncio.get_running_loop().time())
        self._workers.append(worker)
        await asyncio.get_running_loop().create_connection(lambda: wire, sock=ours)
        return worker

    def _seat(self, number: int, control: int) -> WorkerSeat:
        options, sockets = self._options, self._sockets
        # Pools of all CPUs in each of several workers would have more threads than there are CPUs to run them.
        share = max(len(options.cpus or available_cpus()) // options.workers, 1)
        return WorkerSeat(
            number=number,
            parent=os.getpid(),
            control=control,
            rest_port=_port_of(sockets.rest),
            grpc_port=_port_of(sockets.grpc),
            unix_socket=_descriptor_of(sockets.unix),
            grpc_unix_socket=_descriptor_of(sockets.grpc_unix),
            cpus=share_of(options.cpus, number, options.workers) if options.cpus else (),
            threads=options.threads or share,
        )

    async def _follow(self, worker: _Worker) -> int:
        """Wait for a worker's end and return its exit code."""
        code = await worker.process.wait()
        worker.wire.close()
        worker.ended.set()
        if worker in self._workers:
            self._workers.remove(worker)
            self._keep_counts(worker)
        return code

    def _keep_counts(self, worker: _Worker) -> None:
        if self._retire is None:
            return
        for name in _ADDED_UP:
            counts = worker.counts.get(name)
            if not counts:
                continue
            try:
                self._retired[name] = self._retire(self._retired.get(name, b""), counts)
            except MainstayError as error:
                logger.error("the counts of worker %d are lost: %s", worker.number, error.one_line())

    def _all_ready(self) -> bool:
        return len(self._workers) == self._options.workers and all(one.ready.is_set() for one in self._workers)

    # The control plane

    async def _serve(self, worker: _Worker, operation: str, payload: bytes) -> bytes:
        if operation == READY:
            worker.ready.set()
            logger.info("worker %d is ready (process %d)", worker.number, worker.process.pid)
            if not self._settled and self._all_ready():
                self._settled = True
                notify("READY=1")
                if self._on_ready is not None:
                    self._on_ready()
            return self._config
        if operation == FAREWELL:
            names, counts = unpack(payload)[::2], unpack(payload)[1::2]
            worker.counts.update({name.decode(): count for name, count in zip(names, counts, strict=True)})
            return b""
        if operation == GATHER:
            return pack(await self.gather(payload.decode()))
        if operation == RELOAD:
            return await self.reload(payload)
        raise UnavailableError(f"unknown operation {operation!r}")

    async def gather(self, name: str) -> list[bytes]:
        """Return the parts of all workers that answer in time, and what those that are gone have left."""
        workers = list(self._workers)
        asked = (one.wire.request(COLLECT, name.encode(), seconds=GATHER_SECONDS) for one in workers)
        found = await asyncio.gather(*asked, return_exceptions=True)
        parts = []
        for worker, part in zip(workers, found, strict=True):
            if isinstance(part, bytes) and part:
                parts.append(part)
                if name in _ADDED_UP:
                    worker.counts[name] = part
        if name in self._retired:
            parts.append(self._retired[name])
        return parts

    async def reload(self, config: bytes = b"") -> bytes:
        """Have all workers take a configuration, or read their files again where there is none.

        Raises:
            MainstayError: The error of the first worker that refused it; each worker's is logged.
        """
        async with self._reloading:
            workers = [one for one in self._workers if one.ready.is_set()]
            found = await asyncio.gather(*(one.wire.request(RELOAD, config) for one in workers), return_exceptions=True)
            refused = []
            for worker, answer in zip(workers, found, strict=True):
                if isinstance(answer, BaseException):
                    refused.append(answer)
                    logger.error("worker %d did not take the configuration: %s", worker.number, answer)
                else:
                    logger.info("worker %d has taken the configuration", worker.number)
            if refused:
                raise refused[0]
            if config:
                self._config = config
            return next((answer for answer in found if isinstance(answer, bytes)), b"")

    async def _reload_files(self) -> None:
        notify("RELOADING=1")
        with contextlib.suppress(MainstayError):  # each worker's has been logged
            await self.reload()
        notify("READY=1")

    async def replace_all(self) -> None:
        """Replace the workers one after the other: the next one leaves when the one before has been replaced."""
        if self._rolling or self._stopping.is_set():
            return
        self._rolling = True
        try:
            for old in sorted(self._workers, key=lambda one: one.number):
                if not await self._replace(old):
                    return
            logger.info("all workers have been replaced")
        finally:
            self._rolling = False

    async def _replace(self, old: _Worker) -> bool:
        new = await self._start(old.number)
        ready, ended = asyncio.ensure_future(new.ready.wait()), asyncio.ensure_future(new.process.wait())
        await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        ended.cancel()
        if not new.ready.is_set():
            self._workers.remove(new)
            new.wire.close()
            logger.error("worker %d stays: the one to replace it %s", old.number, _how_it_ended(new.process.returncode))
            return False
        if old.ended.is_set():  # it has crashed meanwhile and is started again anyway
            await self._stop_one(new)
            return True
        old.leaving = True
        await self._stop_one(old)
        return True

    # Stopping

    async def _drain(self) -> None:
        notify("STOPPING=1")
        logger.info("stopping %d workers", len(self._workers))
        await asyncio.gather(*(self._stop_one(worker) for worker in list(self._workers)))

    async def _stop_one(self, worker: _Worker) -> None:
        """Tell a worker to finish what it has, and end it if it does not."""
        with contextlib.suppress(ProcessLookupError):
            worker.process.terminate()
        try:
            await asyncio.wait_for(worker.ended.wait(), self._options.drain_timeout_seconds + _KILL_SECONDS)
        except TimeoutError:
            logger.warning("killing worker %d, which did not stop in time", worker.number)
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()
            await worker.ended.wait()


def _port_of(held: socket.socket | None) -> int | None:
    return None if held is None else int(held.getsockname()[1])


def _descriptor_of(opened: socket.socket | None) -> int | None:
    return None if opened is None else opened.fileno()


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
