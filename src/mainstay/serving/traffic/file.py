"""The traffic file of a running server: read again when it changes; a file that is wrong changes nothing."""

from __future__ import annotations

from pathlib import Path

from mainstay.core import MainstayError
from mainstay.serving.status import logger
from mainstay.serving.traffic.config import read_traffic
from mainstay.serving.traffic.router import TrafficRouter


class TrafficFile:
    """Keeps a router to what a file says.

    Args:
        path: The file.
        router: The router, which has the file's rules already.
    """

    def __init__(self, path: Path, router: TrafficRouter) -> None:
        self._path = path
        self._router = router
        self._stamp = self._look()

    def _look(self) -> tuple[int, ...] | None:
        """Return what changes when the file does; None where it is not there."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def poll(self) -> None:
        """Read the file if it has changed; one that is wrong is logged, and the rules stay as they are."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.reload()
        except MainstayError as error:
            logger.error("the traffic rules stay as they are: %s", error.one_line())

    def reload(self) -> None:
        """Read the file now.

        Raises:
            StorageError: It cannot be read.
            ArgumentError: It is wrong.
        """
        config = read_traffic(self._path)
        if config != self._router.config:
            self._router.configure(config)
            logger.info("traffic rules are in force for %s", ", ".join(sorted(config.models)) or "no model")
