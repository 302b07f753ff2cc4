"""Reading one item ahead, on a thread of its own: parsing releases the GIL, so that a consumer can work meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")


def read_ahead(items: Generator[Item, Any, Any]) -> Generator[Item, None, None]:
    """Yield the items in order while the next one is being made.

    Args:
        items: What makes them, none of them None; it runs on one thread at a time, and is closed with this generator.
    """
    with contextlib.closing(items), ThreadPoolExecutor(1, thread_name_prefix="mainstay-read") as pool:
        future = pool.submit(next, items, None)
        while (item := future.result()) is not None:
            future = pool.submit(next, items, None)
            yield item
