"""What a tape records: the primitives that ran on tracked values, in order, each with its pullback."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from mainstay.core import ModelError
from mainstay.framework.jax_internals import (
    InterceptingTrace,
    is_inexact,
    known_rule,
    run_program,
    running_in,
    start_intercepting,
    stop_intercepting,
    subprograms,
    user_frame,
)
from mainstay.framework.tapes.programs import constants
from mainstay.framework.tapes.rules import Pull, is_light, may_lack_pullback, pull_light, run_with_pull


class Record:
    """One primitive that ran: its tracked inputs, its inexact outputs and how to pull back from these to those."""

    __slots__ = ("inputs", "outputs", "place", "pull")

    def __init__(self, inputs: list[Any], outputs: list[Any], pull: Pull, place: str | None) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.pull = pull
        self.place = place


class Recording:
    """The records of a tape and the values that it tracks; `active` says whether it takes more."""

    def __init__(self) -> None:
        self.active = False
        self.tracked: dict[int, Any] = {}
        self.records: list[Record] = []
        self._trace: InterceptingTrace | None = None

    def start(self) -> None:
        """Let the primitives of this thread pass through this recording."""
        self._trace = start_intercepting(self._intercept)
        self.active = True

    def stop(self) -> bool:
        """Undo `start`; return False if another tape or transformation was started since and is still running."""
        self.active = False
        return self._trace is None or stop_intercepting(self._trace)

    def clear(self) -> None:
        """Forget all values and records."""
        self.tracked, self.records = {}, []

    def track(self, value: Any) -> None:
        """Record what is computed from a value from now on."""
        self.tracked[id(value)] = value

    def untied(self, value: Any) -> Any:
        """Return an object with the numbers of `value` that the tape does not track."""
        with running_in(self._parent):
            return jnp.copy(jax.lax.stop_gradient(value))

    @property
    def _parent(self) -> Any:
        return self._trace.parent if self._trace is not None else None

    def _intercept(self, primitive: Any, operands: Sequence[Any], params: dict[str, Any]) -> Any:
        tracked = self.tracked
        if self.active and tracked:
            positions = tuple([k for k, operand in enumerate(operands) if id(operand) in tracked])
            programs = subprograms(params)
            closed_over = [value for value in constants(programs) if id(value) in tracked] if programs else []
            if closed_over and primitive.name == "jit":
                with running_in(self._trace):
                    return run_program(params["jaxpr"], operands)
            if primitive.name == "stop_gradient":
                return self.untied(operands[0])
            if positions or closed_over:
                return self._record(primitive, operands, params, positions, programs, closed_over)
        with running_in(self._parent):
            return primitive.bind(*operands, **params)

    def _record(
        self,
        primitive: Any,
        operands: Sequence[Any],
        params: dict[str, Any],
        positions: tuple[int, ...],
        programs: Sequence[Any],
        closed_over: list[Any],
    ) -> Any:
        place = None
        pull: Pull
        rule = known_rule(params, operands) if "subfuns" in params else None
        with running_in(self._parent):
            if closed_over:
                outputs = primitive.bind(*operands, **params)
                outputs = list(outputs) if primitive.multiple_results else [outputs]
                pull = functools.partial(_refuse_closure, primitive)
            elif rule is not None or ("subfuns" not in params and is_light(primitive, programs)):
                outputs = primitive.bind(*operands, **params)
                outputs = list(outputs) if primitive.multiple_results else [outputs]
                pull = functools.partial(pull_light, primitive, rule or params, positions, operands)
            else:
                compiled = "subfuns" not in params and not constants(programs)
                outputs, pull = run_with_pull(primitive, params, positions, operands, compiled=compiled)
            if may_lack_pullback(primitive, programs):
                place = user_frame()
        inputs = [*(operands[k] for k in positions), *closed_over]
        self._keep(Record(inputs, [output for output in outputs if is_inexact(output)], pull, place))
        return outputs if primitive.multiple_results else outputs[0]

    def _keep(self, record: Record) -> None:
        if record.outputs:
            self.records.append(record)
            for output in record.outputs:
                self.tracked[id(output)] = output


def _refuse_closure(primitive: Any, _: Sequence[Any]) -> Any:
    raise ModelError(
        "the gradient goes through a jitted function that closes over a watched value inside of a loop or branch",
        received=f"the operation {primitive.name}",
        fix="hand the value to the jitted function as an argument, or leave out the inner jax.jit",
    )
