"""Staging: calls of host functions inside a user's function, seen by whoever runs it, who may make them for many rows.

A host function works on one element, such as parsing one record. Inside `staged_calls` a call of it goes to the stage
instead, which knows what the arguments stand for, and can call `many` once for a whole column.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class HostFunction:
    """A function of one element that has a form for many.

    Args:
        name: What it is called in messages, such as ``decode_raw``.
        one: The function of one element.
        many: Takes what `one` takes, with a column of the elements in place of each argument that belongs to an
            element, and returns the structure of columns that `one`, called row by row, would give. None where there
            is no quicker way than to call `one` for each.
        varies: Whether the results for two elements differ in shape, as images do.
        is_slow: Whether an element takes so long, or so much memory, that only few are taken at a time.
        takes_rows: Whether strings that come in batches are handed to `many` row by row; else as they are.
        takes_spans: Whether `many` takes `Spans` as well, and reads strings where they lie.
        open_results: Takes what `one` takes, and names the results whose first axis behind that of the elements has
            another length in each batch; None where there are none.
    """

    name: str
    one: Callable[..., Any]
    many: Callable[..., Any] | None = None
    varies: bool = False
    is_slow: bool = False
    takes_rows: bool = True
    takes_spans: bool = False
    open_results: Callable[..., frozenset[str]] | None = None


class Stage(Protocol):
    """Who is told of the calls."""

    def call(self, function: HostFunction, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Return what the call of a host function gives."""


_STAGE: ContextVar[Stage | None] = ContextVar("mainstay_stage", default=None)


@contextmanager
def staged_calls(stage: Stage | None) -> Iterator[None]:
    """Send the calls of host functions that this thread makes to a stage; None makes them at once again."""
    token = _STAGE.set(stage)
    try:
        yield
    finally:
        _STAGE.reset(token)


def current_stage() -> Stage | None:
    """Return the stage that calls are sent to; None where they are made at once."""
    return _STAGE.get()


def host_function(
    many: Callable[..., Any] | None = None,
    *,
    varies: bool = False,
    is_slow: bool = False,
    is_columnar: bool = False,
    takes_spans: bool = False,
    open_results: Callable[..., frozenset[str]] | None = None,
) -> Callable[[Function], Function]:
    """Return a decorator for a function of one element; see `HostFunction`.

    Args:
        many: Its form for many.
        varies: Whether the results for two elements differ in shape.
        is_slow: Whether only few elements are to be taken at a time.
        is_columnar: Whether it is its own form for many.
        takes_spans: Whether its form for many takes `Spans` as well as Arrow arrays.
        open_results: Names the results whose first axis behind that of the elements has another length in each batch.
    """

    def decorate(function: Function) -> Function:
        """Return the function, which stages its calls where a stage is set."""
        form = function if is_columnar else many
        described = HostFunction(
            function.__name__,
            function,
            form,
            varies=varies,
            is_slow=is_slow,
            takes_spans=takes_spans,
            open_results=open_results,
        )

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            stage = _STAGE.get()
            return function(*args, **kwargs) if stage is None else stage.call(described, args, kwargs)

        return call  # type: ignore[return-value]

    return decorate
