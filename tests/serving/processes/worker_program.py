"""A worker without a model: it takes its place, answers the control plane, and does what its first argument says."""

import asyncio
import os
import signal
import sys

from mainstay.core import ArgumentError
from mainstay.serving.operations.families import Family, Metrics
from mainstay.serving.processes.control import WorkerControl
from mainstay.serving.processes.seat import take_seat

FAMILY = Family("workers_total", "counter", "Workers that have counted themselves.")
PROCESS = Family("process", "gauge", "The process.", ("pid", "worker"))


def metrics(seat):
    made = Metrics()
    made.add(FAMILY, (), 1)
    made.add(PROCESS, (str(os.getpid()), str(seat.number)), 1)
    return made.to_bytes()


async def work(seat, how):
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    control = WorkerControl(seat, stopping.set)
    control.collectors["metrics"] = lambda: metrics(seat)

    async def reload(config):
        if config == b"refuse" or (config == b"refuse one" and seat.number == 1):
            raise ArgumentError("refused", where="$.models", received=seat.number)
        if config == b"crash":
            os.kill(os.getpid(), signal.SIGKILL)
        print(f"worker {seat.number} {config.decode()}", flush=True)
        return b"changed"

    control.reloader = reload
    await control.connect()
    await control.ready()
    if how == "gather":
        print(len(await control.gather("metrics")), flush=True)
    await stopping.wait()
    await control.leave()
    print(f"worker {seat.number} stopped", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "refuse":
        sys.exit(2)
    seat = take_seat()
    seat.settle()
    asyncio.run(work(seat, sys.argv[1]))
