"""`GradientTape`: records what is computed in its context and gives gradients of it, eager and inside `function`."""

from __future__ import annotations

import enum
import functools
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal

import jax
import jax.numpy as jnp
import keras

from mainstay.core import ArgumentError
from mainstay.framework.jax_internals import is_inexact
from mainstay.framework.keras_internals import (
    is_variable,
    observe_reads,
    raw_value,
    stateless_scope,
    stop_observing,
)
from mainstay.framework.tapes.backward import sweep
from mainstay.framework.tapes.recording import Recording


class UnconnectedGradients(enum.Enum):
    """What `GradientTape.gradient` gives for a source that the target does not depend on."""

    NONE = "none"
    """None."""
    ZERO = "zero"
    """Zeros of the source's shape and dtype."""


Unconnected = UnconnectedGradients | Literal["none", "zero"]


class GradientTape:
    """Record operations for automatic differentiation.

    Trainable variables that are read in the context are watched by themselves, arrays by `watch`. Inside the context
    values stay plain arrays: print them, branch on them, convert them to NumPy (which, as in TensorFlow, cuts the
    gradient). Tapes nest for derivatives of higher order, and work inside `function`, `jax.jit`, `jax.vmap` and
    `jax.grad`.

    Args:
        persistent: Whether several gradients may be asked for; a persistent tape keeps all intermediate values until
            it is dropped or `reset`.
        watch_accessed_variables: Whether trainable variables are watched when they are read.

    Example:
        >>> import mainstay as tf
        >>> x = tf.constant(3.0)
        >>> with tf.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = x * x
        >>> float(tape.gradient(y, x))
        6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watches_reads = watch_accessed_variables
        self._recording = Recording()
        self._reads: dict[int, tuple[Any, list[Any]]] = {}
        self._watched: set[int] = set()
        self._open = False
        self._used = False
        self._scope: Any = None

    def __enter__(self) -> GradientTape:
        if self._open:
            raise ArgumentError("this tape is recording already", fix="use one `with` block for each tape")
        if self._used and not self._persistent:
            raise self._consumed()
        self._open = True
        self._scope = stateless_scope()
        self._recording.start()
        observe_reads(self._on_read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = False
        stop_observing(self._on_read)
        self._scope = None
        if not self._recording.stop() and error is None:
            raise ArgumentError(
                "a tape was closed while a tape or a transformation that was started inside of it is still running",
                fix="close the innermost context first, as nested `with` blocks do",
            )

    # What is watched

    def watch(self, tensor: Any) -> None:
        """Record what is computed from arrays or variables from now on.

        Args:
            tensor: An array, a variable, or a structure of them; a value of an integer, bool or string dtype is not
                watched, with a warning.

        Raises:
            ArgumentError: A value is no JAX array and no variable, or the tape is closed.
        """
        for value in keras.tree.flatten(tensor):
            if is_variable(value):
                self._watch_value(value, raw_value(value))
            elif not isinstance(value, jax.Array):
                raise ArgumentError(
                    "a tape watches arrays and variables",
                    received=f"{type(value).__name__}: {value!r}",
                    fix="make an array of it with constant(...), or a variable with Variable(...), and use that",
                )
            elif self._is_differentiable(value, "watched"):
                self._recording.track(value)
                self._watched.add(id(value))

    def watched_variables(self) -> tuple[Any, ...]:
        """Return the variables that the tape watches, in the order in which they were first read or watched."""
        return tuple(variable for variable, _ in self._reads.values())

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Stop recording for the body of a `with` block; what is computed there counts as constant.

        Raises:
            ArgumentError: The tape is not recording.
        """
        if not self._recording.active:
            raise ArgumentError("the tape is not recording", fix="use stop_recording() inside of `with tape:`")
        self._recording.active = False
        try:
            yield
        finally:
            self._recording.active = self._open

    def reset(self) -> None:
        """Forget everything that was recorded and watched, as a new tape would start."""
        self._forget()
        self._used = False

    def _forget(self) -> None:
        self._recording.clear()
        self._reads, self._watched = {}, set()

    def _on_read(self, variable: Any, value: Any) -> Any:
        """Watch a variable that is read; return a copy of its value if the tape knows the value as something else.

        `variable.assign(y)` makes y itself the value. As in TensorFlow no gradient goes through an assignment, so that
        what is read afterwards must not be taken for y.
        """
        if not self._recording.active:
            return None
        if stateless_scope() is not self._scope and value is not variable._value:
            return None  # a scope that began inside of this tape put its own value there
        replacement = self._recording.untied(value) if self._is_foreign(variable, value) else None
        if self._watches_reads and variable.trainable:
            self._watch_value(variable, value if replacement is None else replacement)
        return replacement

    def _is_foreign(self, variable: Any, value: Any) -> bool:
        """Return whether the tape knows the value of a variable as that of something else."""
        if id(value) not in self._recording.tracked:
            return False
        if self._scope is not None and id(value) in self._watched:
            return False  # the values of a stateless scope are watched in the place of the variables
        _, own = self._reads.get(id(variable), (variable, []))
        return not any(known is value for known in own)

    def _watch_value(self, variable: Any, value: Any) -> None:
        _, values = self._reads.setdefault(id(variable), (variable, []))
        if not any(known is value for known in values):
            values.append(value)
            if is_inexact(value):
                self._recording.track(value)

    def _is_differentiable(self, value: Any, role: str) -> bool:
        if is_inexact(value):
            return True
        warnings.warn(
            f"the dtype of the {role} tensor must be floating (as float32), got {value.dtype}: it has no gradient",
            stacklevel=3,
        )
        return False

    # Gradients

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: Unconnected = UnconnectedGradients.NONE,
    ) -> Any:
        """Return the gradient of the sum of the targets with respect to each source.

        Args:
            target: An array or a structure of arrays, computed in the context of the tape.
            sources: An array or a variable, or a structure of them. A variable that was assigned to in the context
                gives the sum over all values that were read.
            output_gradients: The cotangent of each target, in the structure of `target`; ones without it.
            unconnected_gradients: What a source gives that no target depends on: "none" (None) or "zero".

        Returns:
            The structure of `sources` with an array of the shape and dtype of each source, or None.

        Raises:
            ArgumentError: The tape was consumed, or `output_gradients` does not fit `target`.
            ModelError: The gradient goes through something that has none, as a `while` loop without a bound.
        """
        unconnected = _unconnected(unconnected_gradients)
        flat = _checked(keras.tree.flatten(sources), "source")
        targets = _checked(keras.tree.flatten(target), "target")
        seeds = list(zip(targets, _output_gradients(targets, output_gradients), strict=True))
        self._consume()
        found = self._pull(seeds, flat)
        gradients = [_or_zeros(g, source, unconnected) for g, source in zip(found, flat, strict=True)]
        self._finish()
        return _like(sources, gradients)

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: Unconnected = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """Return the derivative of each element of the target with respect to each element of each source.

        Args:
            target: One array.
            sources: An array or a variable, or a structure of them.
            unconnected_gradients: As in `gradient`.
            parallel_iterations: Accepted for programs written for TensorFlow; all rows are computed at once.
            experimental_use_pfor: Accepted likewise.

        Returns:
            The structure of `sources` with an array of shape ``target.shape + source.shape`` each, or None.

        Raises:
            ArgumentError: The tape was consumed, or `target` is not one array.
        """
        unconnected = _unconnected(unconnected_gradients)
        target = _single(target, "target")
        flat = _checked(keras.tree.flatten(sources), "source")
        self._consume()
        size = math.prod(target.shape)
        rows = jnp.eye(size, dtype=target.dtype).reshape(size, *target.shape)
        found = self._pull_rows(target, flat, rows)
        self._finish()
        shapes = [(*target.shape, *source.shape) for source in flat]
        results = [_shaped(r, s, source, unconnected) for r, s, source in zip(found, shapes, flat, strict=True)]
        return _like(sources, results)

    def batch_jacobian(
        self,
        target: Any,
        source: Any,
        unconnected_gradients: Unconnected = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """Return the Jacobian of each row of the target with respect to the same row of the source.

        Row i of the target must depend on row i of the source only, as in a network without batch statistics.

        Args:
            target: An array [batch, …].
            source: An array or a variable [batch, …].
            unconnected_gradients: As in `gradient`.
            parallel_iterations: Accepted for programs written for TensorFlow; all rows are computed at once.
            experimental_use_pfor: Accepted likewise.

        Returns:
            An array of shape ``[batch] + target.shape[1:] + source.shape[1:]``, or None.

        Raises:
            ArgumentError: The tape was consumed, or the two do not have the same batch size.
        """
        unconnected = _unconnected(unconnected_gradients)
        target, source = _single(target, "target"), _single(source, "source")
        if not target.shape or not source.shape or target.shape[0] != source.shape[0]:
            raise ArgumentError(
                "the first dimension of target and source must be the same batch",
                received=f"a target of shape {tuple(target.shape)}, a source of shape {tuple(source.shape)}",
                fix="use jacobian(...) if the rows do not belong together",
            )
        self._consume()
        batch, *inner = target.shape
        size = math.prod(inner)
        rows = jnp.broadcast_to(jnp.eye(size, dtype=target.dtype)[:, None], (size, batch, size))
        [found] = self._pull_rows(target, [source], rows.reshape(size, *target.shape))
        self._finish()
        found = None if found is None else jnp.moveaxis(found, 0, 1)
        return _shaped(found, (*target.shape, *source.shape[1:]), source, unconnected)

    def _pull(self, seeds: Sequence[tuple[Any, Any]], sources: Sequence[Any]) -> list[Any]:
        """Return the cotangent of each source, or None."""
        values = [self._values_of(source) for source in sources]
        wanted = {id(value) for several in values for value in several}
        starts = []
        for target, seed in seeds:
            for value in self._values_of(target)[-1:] if is_variable(target) else [target]:
                known = id(value) in self._recording.tracked or id(value) in wanted
                if known and self._is_differentiable(value, "target"):
                    starts.append((value, seed))
        cotangents = sweep(tuple(self._recording.records), starts, wanted)
        found = [[cotangents[id(value)] for value in several if id(value) in cotangents] for several in values]
        return [functools.reduce(jnp.add, several) if several else None for several in found]

    def _pull_rows(self, target: Any, sources: Sequence[Any], rows: Any) -> list[Any]:
        def pull(row: Any) -> list[Any]:
            return self._pull([(target, row)], sources)

        found: list[Any] = jax.vmap(pull)(rows)
        return found

    def _values_of(self, source: Any) -> list[Any]:
        """Return the values that stand for a source: those read from a variable, or the array itself."""
        if not is_variable(source):
            return [source]
        _, values = self._reads.get(id(source), (source, []))
        if values:
            return values
        # Another variable, whose value was assigned from this one's, may have been read in its place.
        value = raw_value(source)
        return [value] if id(value) in self._watched else []

    def _consume(self) -> None:
        if self._used and not self._persistent:
            raise self._consumed()
        self._used = True
        if not self._persistent:
            self._recording.active = False

    def _finish(self) -> None:
        if not self._persistent:
            self._forget()

    def _consumed(self) -> ArgumentError:
        return ArgumentError(
            "a GradientTape that is not persistent gives one set of gradients (or Jacobians), and gave it already",
            fix="ask for all gradients in one call, gradient(target, [a, b]), or use GradientTape(persistent=True)",
        )


def _unconnected(choice: Any) -> UnconnectedGradients:
    try:
        return UnconnectedGradients(getattr(choice, "value", choice))
    except ValueError:
        raise ArgumentError(
            "there is no such way to treat unconnected gradients",
            where="unconnected_gradients",
            expected='"none" or "zero"',
            received=repr(choice),
        ) from None


def _checked(values: list[Any], role: str) -> list[Any]:
    for value in values:
        if not (is_variable(value) or isinstance(value, jax.Array)):
            raise ArgumentError(
                f"a {role} is an array or a variable",
                where=role,
                received=f"{type(value).__name__}: {value!r}",
                fix="take what was computed in the context of the tape, before it became a number or a NumPy array"
                if role == "target"
                else "take what was watched: an array that was handed to watch, or a variable",
            )
    return values


def _single(value: Any, role: str) -> Any:
    if isinstance(value, list | tuple | dict):
        raise ArgumentError(
            f"the {role} must be one array",
            where=role,
            received=type(value).__name__,
            fix="ask for each on its own, with a persistent tape",
        )
    return _checked([value], role)[0]


def _output_gradients(targets: Sequence[Any], given: Any) -> list[Any]:
    """Return the cotangent of each target: the given one, or ones."""
    flat = [None] * len(targets) if given is None else keras.tree.flatten(given)
    if len(flat) != len(targets):
        raise ArgumentError(
            "there must be one output gradient for each target",
            where="output_gradients",
            expected=len(targets),
            received=len(flat),
        )
    return [_seed(target, gradient) for target, gradient in zip(targets, flat, strict=True)]


def _seed(target: Any, gradient: Any) -> Any:
    if gradient is None:
        return jnp.ones(target.shape, target.dtype)
    gradient = jnp.asarray(gradient, target.dtype)
    if gradient.shape != tuple(target.shape):
        raise ArgumentError(
            "an output gradient must have the shape of its target",
            where="output_gradients",
            expected=tuple(target.shape),
            received=gradient.shape,
        )
    return gradient


def _or_zeros(gradient: Any, source: Any, unconnected: UnconnectedGradients) -> Any:
    if gradient is None and unconnected is UnconnectedGradients.ZERO:
        return jnp.zeros(source.shape, source.dtype)
    return gradient


def _shaped(rows: Any, shape: tuple[int, ...], source: Any, unconnected: UnconnectedGradients) -> Any:
    if rows is None:
        return jnp.zeros(shape, source.dtype) if unconnected is UnconnectedGradients.ZERO else None
    return rows.reshape(shape)


def _like(sources: Any, results: list[Any]) -> Any:
    if is_variable(sources) or not isinstance(sources, list | tuple | dict):
        return results[0]
    return keras.tree.pack_sequence_as(sources, results)
