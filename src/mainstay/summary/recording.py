"""How a summary gets from a call to its writer: at once, or on each run of a compiled function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mainstay.core import ArgumentError
from mainstay.summary.messages import summary_event
from mainstay.summary.state import SummaryState, checked_step, condition_holds, current_state, read
from mainstay.summary.tracing import call_on_each_run, is_compiling, is_tracer

Encode = Callable[..., Any]
"""Makes a `tensorflow.TensorProto` of the values of a summary."""


def record(tag: str, encode: Encode, values: Sequence[Any], step: Any, metadata: Any) -> bool:
    """Record a summary for the default writer of this thread.

    Args:
        tag: The name of the series.
        encode: Makes the tensor of the values; called only where the summary is recorded.
        values: Numbers, arrays or variables; inside a compiled function they may be traced.
        step: The step, or None for the default one.
        metadata: The `tensorflow.SummaryMetadata`.

    Returns:
        Whether it is recorded. Inside a compiled function: whether it may be, on each run.

    Raises:
        ArgumentError: The tag, the step or a value is wrong.
        StorageError: The writer's file could not be written.
    """
    state = current_state()
    if state.writer is None:
        return False
    if not isinstance(tag, str) or not tag:
        raise ArgumentError(
            "the name of a summary is wrong", where="name", expected="a string that is not empty", received=repr(tag)
        )
    chosen = read(state.step if step is None else step)
    if chosen is None:
        raise ArgumentError(
            "the summary has no step",
            where=tag,
            fix="pass step=..., or set one with writer.as_default(step=...) or summary.experimental.set_step",
        )
    plain = [read(value) for value in values]
    if is_tracer(chosen) or is_tracer(state.condition) or any(map(is_tracer, plain)) or is_compiling():
        _record_on_each_run(
            state, tag, encode, plain, chosen if step is not None or is_tracer(chosen) else None, metadata
        )
        return True
    return _record_now(state, tag, encode, plain, chosen, state.condition, metadata)


def _record_now(
    state: SummaryState, tag: str, encode: Encode, values: Sequence[Any], step: Any, condition: Any, metadata: Any
) -> bool:
    writer = state.writer
    if writer is None or not condition_holds(condition):
        return False
    number = checked_step(step)
    tensor = encode(*values)
    writer.add(summary_event(tag, tensor, metadata, number, writer.now()))
    return True


def _record_on_each_run(
    state: SummaryState, tag: str, encode: Encode, values: Sequence[Any], step: Any, metadata: Any
) -> None:
    """Put a callback into the function that is being traced.

    The writer, and what is not traced of the step and the condition, are those of the tracing thread at the time of
    the run: a compiled function stays usable when the writer changes.
    """
    own_step = step is not None
    own_condition = is_tracer(state.condition)

    def on_run(*arrays: Any) -> None:
        *rest, ran_step, ran_condition = arrays
        used_step = ran_step if own_step else read(state.step)
        if hasattr(used_step, "is_ready") and not used_step.is_ready():
            # Waiting for it here would wait for ever where it comes from the very run that waits for this summary.
            raise ArgumentError(
                "the default step is still being computed while a compiled function records a summary",
                where=tag,
                fix="pass the step to the compiled function and name it: step=...",
            )
        used_condition = ran_condition if own_condition else state.condition
        if state.writer is not None and used_step is not None:
            _record_now(state, tag, encode, rest, used_step, used_condition, metadata)

    call_on_each_run(on_run, *values, step if own_step else 0, state.condition if own_condition else True)


def host_numbers(value: Any, tag: str) -> np.ndarray[Any, Any]:
    """Return real numbers as a float64 array on the host, whatever holds them.

    Raises:
        ArgumentError: They are no real numbers.
    """
    try:
        array = np.asarray(read(value))
        if array.dtype.kind in "biufV":
            return array.astype(np.float64)
    except (TypeError, ValueError):
        array = np.asarray(None)
    raise ArgumentError(
        "the value of a summary is wrong",
        where=tag,
        expected="real numbers",
        received=f"{type(value).__name__}: {value!r}",
    )
