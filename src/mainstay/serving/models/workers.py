"""Threads that load and unload models beside the ones that serve.

They have the same priority as those. One that had a lower priority would at times hold Python's lock and not be run,
and everybody would wait for it, for seconds on a busy machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_SWITCH_SECONDS = 0.0002


class Workers:
    """A few daemon threads that run blocking work for an event loop.

    Args:
        loop: The event loop.
        count: How many threads.
        name: What they are called.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int, *, name: str) -> None:
        self._loop = loop
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{i}", daemon=True) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Run `work` on one of the threads; called on the event loop, and the future is of that loop."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((work, future))
        return future

    def close(self) -> None:
        """Let the threads end when everything that was given to them is done; nobody waits for that."""
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._do(*job)
            # The last job keeps a model alive as long as this thread waits for the next one.
            del job

    def _do(self, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        result: Any = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:  # whoever waits for the future gets it
            failure = error
        try:
            self._loop.call_soon_threadsafe(_settle, future, result, failure)
        except RuntimeError:  # the loop is closed: nobody waits
            return
        finally:
            del result, failure


def _settle(future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if future.cancelled():
        return
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)


class _Switching:
    """How many loads want threads to be switched often, and what was set before."""

    lock = threading.Lock()
    count = 0
    before = 0.0


@contextlib.contextmanager
def frequent_switches() -> Iterator[None]:
    """Let threads that compute in Python hand over 25 times as often as usual, so that a request waits less for one."""
    with _Switching.lock:
        if not _Switching.count:
            _Switching.before = sys.getswitchinterval()
            sys.setswitchinterval(min(_SWITCH_SECONDS, _Switching.before))
        _Switching.count += 1
    try:
        yield
    finally:
        with _Switching.lock:
            _Switching.count -= 1
            if not _Switching.count:
                sys.setswitchinterval(_Switching.before)
