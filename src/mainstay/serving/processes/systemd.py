"""Words to systemd: that the server is ready, reloads or stops, where the unit asks for them with ``Type=notify``."""

from __future__ import annotations

import contextlib
import os
import socket
import time

NOTIFY_VARIABLE = "NOTIFY_SOCKET"


def notify(state: str) -> bool:
    """Tell systemd a state, such as ``READY=1``.

    Returns:
        Whether it was told; without systemd, nobody is.
    """
    address = os.environ.get(NOTIFY_VARIABLE, "")
    if not address.startswith(("/", "@")):
        return False
    if state == "RELOADING=1":
        # systemd wants to know since when, by the clock that CLOCK_MONOTONIC is.
        state += f"\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as teller:
        teller.setblocking(False)
        with contextlib.suppress(OSError):
            teller.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
            return True
    return False
