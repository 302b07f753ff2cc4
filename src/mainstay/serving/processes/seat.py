"""The place of a worker: which one it is, and what its parent has opened for it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from mainstay.core import SetupError
from mainstay.serving.processes.cpus import limit_threads, pin

SEAT_VARIABLE = "MAINSTAY_WORKER"
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSeat:
    """What a worker is told by its parent, through its environment.

    Args:
        number: Which worker it is, from 0.
        parent: The parent's process id.
        control: The descriptor of the wire to the parent.
        rest_port: The port that the workers share for HTTP; None where there is none.
        grpc_port: The same for gRPC.
        unix_socket: The descriptor of the open UNIX socket for HTTP; None where there is none.
        grpc_unix_socket: The same for gRPC.
        cpus: The CPUs to stay on; empty for all.
        threads: How many threads to compute with; 0 for as many as there are CPUs.
    """

    number: int
    parent: int
    control: int
    rest_port: int | None = None
    grpc_port: int | None = None
    unix_socket: int | None = None
    grpc_unix_socket: int | None = None
    cpus: tuple[int, ...] = ()
    threads: int = 0

    def to_environment(self) -> dict[str, str]:
        """Return the variables that a worker is started with."""
        return {SEAT_VARIABLE: json.dumps(asdict(self))}

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The open descriptors that a worker is started with."""
        return tuple(one for one in (self.control, self.unix_socket, self.grpc_unix_socket) if one is not None)

    def settle(self) -> None:
        """Take the place: end with the parent, stay on the CPUs. Call it before JAX is imported.

        Raises:
            SetupError: The parent is gone, or the CPUs are not there.
        """
        if sys.platform == "linux":
            # The parent may die without a word. The worker then drains, as it does when it is told to stop.
            with contextlib.suppress(AttributeError, OSError):
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != self.parent:
            raise SetupError("the parent of this worker is gone")
        settle_on(self.cpus, self.threads)

    def take_control(self) -> socket.socket:
        """Return the wire to the parent."""
        return socket.socket(fileno=self.control)


def settle_on(cpus: tuple[int, ...], threads: int) -> None:
    """Keep this process to CPUs and threads, where any are given."""
    if cpus:
        pin(cpus)
    if threads:
        limit_threads(threads)


def take_seat(environment: Mapping[str, str] | None = None) -> WorkerSeat | None:
    """Return the place that this process was started for; None where it is no worker.

    What this process starts in turn is no worker: the variable is taken out of the process's environment.

    Raises:
        SetupError: The variable is none of a parent's.
    """
    text = os.environ.pop(SEAT_VARIABLE, None) if environment is None else environment.get(SEAT_VARIABLE)
    if text is None:
        return None
    try:
        given = json.loads(text)
        return WorkerSeat(**{**given, "cpus": tuple(map(int, given["cpus"]))})
    except (ValueError, TypeError, KeyError) as error:
        raise SetupError(
            "the environment names no worker", where=SEAT_VARIABLE, fix="unset the variable, which is a parent's own"
        ) from error
