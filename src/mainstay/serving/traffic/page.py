"""The traffic page: rules, counts and differences of shadows as JSON, for people and programs that watch."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mainstay.serving.rest.answers import JSON
from mainstay.serving.rest.interface import Exchange

TRAFFIC_PATH = "/mainstay/traffic"


class TrafficPage:
    """Answers ``GET /mainstay/traffic``.

    Args:
        report: Hands the report of all processes to the function it is given, on the event loop, now or later.
    """

    def __init__(self, report: Callable[[Callable[[dict[str, Any]], None]], None]) -> None:
        self._report = report

    def handle(self, exchange: Exchange) -> bool:
        """Answer a request for the page.

        Returns:
            Whether it was one.
        """
        if exchange.target.partition("?")[0] != TRAFFIC_PATH or exchange.method not in ("GET", "HEAD"):
            return False
        self._report(lambda report: exchange.reply(200, json.dumps(report, indent=1).encode(), (), JSON))
        return True
