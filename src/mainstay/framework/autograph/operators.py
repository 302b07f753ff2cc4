"""What `ag__` offers to converted code: Python's own behaviour for Python values, staging for traced ones."""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax.numpy as jnp

from mainstay.core import ModelError
from mainstay.framework.autograph.branches import staged_if, staged_value, truth
from mainstay.framework.autograph.calls import converted_call
from mainstay.framework.autograph.iteration import rounds_of
from mainstay.framework.autograph.jumps import ends_loop
from mainstay.framework.autograph.loops import staged_loop
from mainstay.framework.autograph.staging import is_traced, plain
from mainstay.framework.autograph.state import Place, find_places

Thunk = Callable[[], Any]
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "is": operator.is_,
    "is not": operator.is_not,
    "in": lambda item, container: item in container,
    "not in": lambda item, container: item not in container,
}
_UNSIZED_ROUNDS = 1000
"""A Python iterator without a length may give this many items to a loop that a tensor may end."""


class Operators:
    """The operators of the functions of one file.

    Args:
        filename: The file that the user wrote.
    """

    def __init__(self, filename: str) -> None:
        self.filename = filename
        self._warned: set[int] = set()

    def __repr__(self) -> str:
        return f"<operators of autograph for {os.path.basename(self.filename)}>"

    def _where(self, line: int) -> str:
        return f"{self.filename}:{line}"

    def call(self, function: Any) -> Any:
        """Return what is called in place of a function."""
        return converted_call(function, self.filename)

    def if_stmt(
        self, test: Any, then: Thunk, otherwise: Thunk | None, places: Sequence[str], live: Sequence[str], line: int
    ) -> None:
        """Run `if test: then() else: otherwise()`."""
        if is_traced(test):
            found = find_places(places, then, otherwise)
            staged_if(test, (then, otherwise or _nothing), found, live, self._where(line))
        elif plain(test):
            then()
        elif otherwise is not None:
            otherwise()

    def while_stmt(self, test: Thunk, body: Thunk, places: Sequence[str], live: Sequence[str], line: int) -> None:
        """Run `while test(): body()`; from the first traced test on the rest of the loop is staged."""
        while True:
            answer = test()
            if is_traced(answer):
                staged_loop(test, body, find_places(places, body, test), live, self._where(line))
                return
            if not plain(answer):
                return
            body()

    def for_stmt(
        self,
        items: Any,
        test: Thunk | None,
        body: Callable[[Any], None],
        places: Sequence[str],
        live: Sequence[str],
        line: int,
    ) -> None:
        """Run `for item in items: body(item)`, as long as `test()` holds before each round."""
        rounds = rounds_of(items)
        if rounds is not None:
            staged_loop(test, body, find_places(places, body, test), live, self._where(line), rounds)
        elif test is None:
            for item in plain(items):
                body(item)
        else:
            self._for_until(plain(items), test, body, find_places(places, body, test), live, line)

    def _for_until(
        self,
        items: Iterable[Any],
        test: Thunk,
        body: Callable[[Any], None],
        places: Sequence[Place],
        live: Sequence[str],
        line: int,
    ) -> None:
        """Unroll a Python loop that `break` or `return` may end: rounds after a traced one are conditional."""
        sized, where = hasattr(items, "__len__"), self._where(line)
        conditional = 0

        def go_on(item: Any) -> None:
            for place in places:
                if ends_loop(place.name):
                    place.write(False)  # known in here
            body(item)

        for item in items:
            going = test()
            if is_traced(going):
                conditional += 1
                if not sized and conditional > _UNSIZED_ROUNDS:
                    raise ModelError(
                        "a tensor decides when a loop over a Python iterator ends, and the iterator does not end",
                        where=where,
                        fix="loop over `range(n)`, a tensor, or `while True:`",
                    )
                staged_if(going, (lambda item=item: go_on(item), _nothing), places, live, where)  # type: ignore[misc]
            elif going:
                body(item)
            else:
                return
            going = test()
            if not is_traced(going) and not going:
                return

    def if_exp(self, test: Any, then: Thunk, otherwise: Thunk, line: int) -> Any:
        """Return `then() if test else otherwise()`."""
        if is_traced(test):
            return staged_value(test, (then, otherwise), self._where(line))
        return then() if plain(test) else otherwise()

    def and_(self, first: Any, *rest: Any) -> Any:
        """Return `first and rest[0]() and …`; the last argument is the line."""
        *thunks, line = rest
        value = first
        for number, thunk in enumerate(thunks):
            if is_traced(value):
                others = thunks[number:]
                then = lambda: self.and_(others[0](), *others[1:], line)  # noqa: B023, E731
                return staged_value(value, (then, lambda: value), self._where(line), truthful=True)  # noqa: B023
            if not plain(value):
                return value
            value = thunk()
        return value

    def or_(self, first: Any, *rest: Any) -> Any:
        """Return `first or rest[0]() or …`; the last argument is the line."""
        *thunks, line = rest
        value = first
        for number, thunk in enumerate(thunks):
            if is_traced(value):
                others = thunks[number:]
                otherwise = lambda: self.or_(others[0](), *others[1:], line)  # noqa: B023, E731
                return staged_value(value, (lambda: value, otherwise), self._where(line), truthful=True)  # noqa: B023
            if plain(value):
                return value
            value = thunk()
        return value

    def not_(self, value: Any, line: int) -> Any:
        """Return `not value`."""
        return jnp.logical_not(truth(value, self._where(line))) if is_traced(value) else not plain(value)

    def compare(self, left: Any, signs: Sequence[str], *rest: Any) -> Any:
        """Return `left < rest[0]() < …`; each operand is evaluated once, and the last argument is the line."""
        *thunks, line = rest
        right = thunks[0]()
        result = _COMPARISONS[signs[0]](left, right)
        if len(thunks) == 1:
            return result
        return self.and_(result, lambda: self.compare(right, signs[1:], *thunks[1:], line), line)

    def checked(self, test: Any, line: int) -> Any:
        """Return the condition of an `assert`, or True for a traced one, which a compiled program cannot check."""
        if not is_traced(test):
            return test
        if line not in self._warned:
            self._warned.add(line)
            warnings.warn_explicit(
                "an assertion about a traced value is not checked: the value is not known while the function is traced",
                UserWarning,
                self.filename,
                line,
            )
        return True

    def proceed(self, *flags: Any) -> Any:
        """Return whether no flag of a jump is set."""
        traced = [flag for flag in flags if is_traced(flag)]
        if any(not is_traced(flag) and flag for flag in flags):
            return False
        going: Any = True
        for flag in traced:
            going = jnp.logical_not(flag) if going is True else jnp.logical_and(going, jnp.logical_not(flag))
        return going

    def finish(self, done: Any, value: Thunk, falls_through: bool, line: int) -> Any:
        """Return what a function whose `return`s became flags returns at its end."""
        if not is_traced(done):
            return value() if done else None
        result = value()
        if falls_through and result is not None:
            raise ModelError(
                "the function returns a value only if a condition on a tensor holds, and nothing otherwise",
                where=self._where(line),
                expected="a value of one shape and dtype on every way through the function",
                fix="end the function with a `return` of such a value",
            )
        return result


def _nothing() -> None:
    """The `else` that was not written."""
