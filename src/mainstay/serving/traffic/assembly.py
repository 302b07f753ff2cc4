"""The traffic rules of a server, tied to its engine: the router, the file that they come from, and their page."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mainstay.serving.engine import Engine
from mainstay.serving.operations.families import Metrics
from mainstay.serving.operations.pages import GuardedPage
from mainstay.serving.rest.interface import PathInterface
from mainstay.serving.status import logger
from mainstay.serving.traffic.config import TrafficConfig, read_traffic
from mainstay.serving.traffic.file import TrafficFile
from mainstay.serving.traffic.measures import measure
from mainstay.serving.traffic.page import TRAFFIC_PATH, TrafficPage
from mainstay.serving.traffic.router import TrafficRouter
from mainstay.serving.traffic.statistics import merge_reports

TRAFFIC = "traffic"
"""The name under which processes are asked for their part of the report."""


class Traffic:
    """What a server does about traffic.

    Args:
        engine: The server's engine; its router is set, and its observers are added to.
        rules: The rules, or the file that they are in, which is read again when it changes.

    Raises:
        StorageError: The file cannot be read.
        ArgumentError: It is wrong.

    Attributes:
        router: Chooses the versions; it can be given other rules at any time.
    """

    def __init__(self, engine: Engine, rules: TrafficConfig | Path) -> None:
        self._engine = engine
        config = rules if isinstance(rules, TrafficConfig) else read_traffic(rules)
        self.router = TrafficRouter(config, loop=engine.loop)
        self._file = None if isinstance(rules, TrafficConfig) else TrafficFile(rules, self.router)
        engine.router = self.router
        engine.observers += (self.router,)

    def page(self, gather: Callable[[str], Awaitable[list[bytes]]]) -> PathInterface:
        """Return what answers ``/mainstay/traffic``.

        Args:
            gather: Asks all processes for their reports.
        """

        def report(done: Callable[[dict[str, Any]], None]) -> None:
            task = self._engine.loop.create_task(_gathered(gather, done))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        tasks: set[Any] = set()
        return GuardedPage(self._engine, TrafficPage(report), (TRAFFIC_PATH,), "GetTraffic")

    def collect(self) -> bytes:
        """Return the report of this process."""
        return json.dumps(self.router.report(self._engine.snapshot)).encode()

    def measure(self, metrics: Metrics) -> None:
        """Put what is known of the shadows into the metrics of this process."""
        measure(self.router.statistics, metrics)

    def tick(self) -> None:
        """Do what is due about once a second: look at the file, ask the guards."""
        if self._file is not None:
            self._file.poll()
        self.router.tick()

    def reload(self) -> None:
        """Read the file now.

        Raises:
            StorageError: It cannot be read.
            ArgumentError: It is wrong; the rules stay as they are.
        """
        if self._file is not None:
            self._file.reload()


async def _gathered(gather: Callable[[str], Awaitable[list[bytes]]], done: Callable[[dict[str, Any]], None]) -> None:
    try:
        found = merge_reports([json.loads(part) for part in await gather(TRAFFIC) if part])
    except Exception as error:  # whoever asked has to be answered
        logger.warning("the processes cannot be asked about their traffic: %s", error)
        found = {"models": {}, "error": f"{type(error).__name__}: {error}"}
    done(found)
