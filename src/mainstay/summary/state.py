"""Where the summaries of a thread go: its default writer, its default step, and whether they are recorded."""

from __future__ import annotations

import contextlib
import operator
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainstay.core import ArgumentError
from mainstay.summary.tracing import is_tracer, wait_for_compiled_summaries

if TYPE_CHECKING:
    from mainstay.summary.writers import SummaryWriter

_thread = threading.local()
_last_step = 2**63 - 1


@dataclass(slots=True, eq=False)
class SummaryState:
    """The defaults of one thread. Compiled functions keep that of the thread that traced them.

    Args:
        writer: Where summaries go; none are recorded without one.
        step: The step of summaries that name none.
        condition: Whether summaries are recorded: a bool, a traced bool, or a function that gives one.
    """

    writer: SummaryWriter | None = None
    step: Any = None
    condition: Any = True


def current_state() -> SummaryState:
    """Return the state of this thread."""
    try:
        state: SummaryState = _thread.state
    except AttributeError:
        state = _thread.state = SummaryState()
    return state


def read(value: Any) -> Any:
    """Return the array that a variable holds, or anything else as it is."""
    if type(value) not in (int, float, str) and hasattr(value, "assign") and hasattr(value, "value"):
        return value.value
    return value


def checked_step(step: Any) -> int:
    """Return a step as an int.

    Raises:
        ArgumentError: It is not a whole number from 0 on.
    """
    if type(step) is int and 0 <= step <= _last_step:
        return step
    value = read(step)
    try:
        if isinstance(value, str | bytes | bool):
            raise TypeError
        if hasattr(value, "__float__") and not hasattr(value, "__index__"):
            number = float(value)
            whole = int(number)
            if whole != number:
                raise ValueError
        else:
            whole = operator.index(value)
    except (TypeError, ValueError, OverflowError):
        raise _step_error(step) from None
    if not 0 <= whole <= _last_step:
        raise _step_error(step)
    return whole


def check_step(step: Any) -> None:
    """Refuse a step that could never be recorded; None and traced values are left for later.

    Raises:
        ArgumentError: See `checked_step`.
    """
    if step is not None and not is_tracer(read(step)):
        checked_step(step)


def _step_error(step: Any) -> ArgumentError:
    return ArgumentError(
        "the step of a summary is wrong",
        where="step",
        expected="a whole number from 0 to 2**63 - 1",
        received=repr(step),
        fix="count steps with an int, or with an integer variable such as optimizer.iterations",
    )


@contextlib.contextmanager
def record_if(condition: bool | Callable[[], Any] | Any) -> Iterator[None]:
    """Record the summaries of the block only where a condition holds.

    Args:
        condition: A bool, a scalar bool array, or a function without arguments that gives one; a function is called
            for each summary. Inside a compiled function, a traced array decides on each run.
    """
    state = current_state()
    before = state.condition
    state.condition = condition
    try:
        yield
    finally:
        wait_for_compiled_summaries()
        state.condition = before


def should_record_summaries() -> bool:
    """Return whether a summary would be recorded now: there is a default writer, and `record_if` allows it."""
    state = current_state()
    return state.writer is not None and condition_holds(state.condition)


def condition_holds(condition: Any) -> bool:
    """Return what a condition of `record_if` says now."""
    if condition is True:
        return True
    return bool(read(condition() if callable(condition) else condition))


def get_step() -> Any:
    """Return the default step of this thread, or None."""
    return current_state().step


def set_step(step: Any) -> None:
    """Set the default step of this thread.

    Args:
        step: A whole number from 0 on, an integer variable that is read for each summary, or None.

    Raises:
        ArgumentError: It is none of these.
    """
    check_step(step)
    wait_for_compiled_summaries()
    current_state().step = step
