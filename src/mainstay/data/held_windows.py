"""Windows of rows that are read once and handed out in parts, to whatever threads ask for the parts."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

from mainstay.data.chunks import Chunk

_MOST = 3


class HeldWindows:
    """The last few windows. The first thread that asks for one reads it, and the others wait.

    A window is let go when each of its parts has been asked for; what nobody goes on with gives way to newer ones.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: OrderedDict[Hashable, tuple[Future[Chunk], list[int]]] = OrderedDict()

    def get(self, name: Hashable, parts: int, read: Callable[[], Chunk]) -> Chunk:
        """Return a window, for one of its parts.

        Args:
            name: Which window.
            parts: How often it will be asked for in all.
            read: Reads it.
        """
        with self._lock:
            is_new = name not in self._windows
            if is_new:
                self._windows[name] = Future(), [parts]
                while len(self._windows) > _MOST:
                    self._windows.popitem(last=False)
            future, left = self._windows[name]
            left[0] -= 1
            if left[0] <= 0:
                del self._windows[name]
        if is_new:
            try:
                future.set_result(read())
            except BaseException as error:
                with self._lock:
                    self._windows.pop(name, None)
                future.set_exception(error)
        return future.result()

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
