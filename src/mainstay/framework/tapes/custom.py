"""`custom_gradient` and `stop_gradient`: gradients that the user writes, or forbids."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras

from mainstay.core import ArgumentError
from mainstay.framework.jax_internals import is_inexact, runs_eagerly
from mainstay.framework.keras_internals import is_variable, observe_reads, raw_value, stop_observing


def stop_gradient(value: Any) -> Any:
    """Return values that tapes and `jax.grad` take for constants.

    Args:
        value: An array, a variable, or a structure of them.

    Returns:
        The structure, with the same numbers.
    """
    return keras.tree.map_structure(lambda leaf: jax.lax.stop_gradient(_value(leaf)), value)


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function its own gradient, as `tf.custom_gradient` does.

    The function returns its result and a function ``grad`` that takes the gradient of each array of the result and
    returns the gradient of each array among the arguments. If it reads trainable variables, ``grad`` must take the
    keyword argument ``variables``, a list of them, and return a pair: the gradients of the arguments and a list with
    those of the variables. The result holds under `GradientTape`, `jax.grad` and `function`, also for derivatives of
    higher order: these go through the operations of ``grad``.

    ``grad`` is traced: it must not turn values into Python numbers or branch on them.

    Args:
        f: A function of arrays, or of structures of them.

    Returns:
        The function, which returns the result only.

    Raises:
        ArgumentError: ``f`` returns no pair, ``grad`` gives another number of gradients than there are arguments or
            variables, or variables are read and ``grad`` does not take ``variables``.

    Example:
        >>> import mainstay as tf
        >>> @tf.custom_gradient
        ... def clipped(x):
        ...     def grad(upstream):
        ...         return tf.ops.clip(upstream, -1.0, 1.0)
        ...     return x, grad
        >>> x = tf.constant(2.0)
        >>> with tf.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = 10.0 * clipped(x)
        >>> float(tape.gradient(y, x))
        1.0
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if runs_eagerly():
            return _pair(f, f(*args, **kwargs))[0]
        read: list[Any] = []

        def observer(variable: Any, _: Any) -> None:
            if variable.trainable and not any(known is variable for known in read):
                read.append(variable)

        observe_reads(observer)
        try:
            result, grad = _pair(f, f(*args, **kwargs))
        finally:
            stop_observing(observer)
        arguments = keras.tree.flatten((args, kwargs))
        variables = [variable for variable in read if not any(variable is argument for argument in arguments)]
        if variables and not _takes_variables(grad):
            names = ", ".join(variable.path for variable in variables)
            raise ArgumentError(
                "the function reads variables, and its gradient does not take them",
                where=f.__qualname__,
                expected="def grad(*upstream, variables): ... return gradients, gradients_of_variables",
                received=f"def grad{inspect.signature(grad)}; the variables {names}",
                fix="add the keyword argument, or hand the variables in as arguments",
            )
        return _with_gradient(f.__qualname__, result, grad, arguments, variables)

    return wrapped


def _value(leaf: Any) -> Any:
    return leaf.value if is_variable(leaf) else leaf


def _pair(f: Callable[..., Any], returned: Any) -> tuple[Any, Callable[..., Any]]:
    if not (isinstance(returned, tuple) and len(returned) == 2 and callable(returned[1])):
        raise ArgumentError(
            "a function with its own gradient must return its result and a function",
            where=f.__qualname__,
            expected="return result, grad",
            received=type(returned).__name__,
        )
    return returned


def _takes_variables(grad: Callable[..., Any]) -> bool:
    parameters = inspect.signature(grad).parameters.values()
    return any(
        item.kind is item.VAR_KEYWORD or (item.name == "variables" and item.kind is not item.VAR_POSITIONAL)
        for item in parameters
    )


def _with_gradient(
    name: str, result: Any, grad: Callable[..., Any], arguments: Sequence[Any], variables: Sequence[Any]
) -> Any:
    """Return `result` cut off from the operations that made it, with `grad` in their place."""
    leaves = [jnp.asarray(_value(leaf)) for leaf in keras.tree.flatten(result)]
    outputs = [leaf for leaf in leaves if is_inexact(leaf)]
    places = [k for k, leaf in enumerate(arguments) if is_inexact(leaf) and (is_variable(leaf) or _is_array(leaf))]
    inputs = [raw_value(leaf) if is_variable(leaf) else leaf for leaf in [arguments[k] for k in places]]
    inputs += [raw_value(variable) for variable in variables]

    def pull(cotangents: Sequence[Any]) -> list[Any]:
        given = iter(cotangents)
        upstream = [next(given) if is_inexact(leaf) else jnp.zeros_like(leaf) for leaf in leaves]
        returned = grad(*upstream, variables=list(variables)) if variables else grad(*upstream)
        if variables:
            returned, of_variables = returned
            of_variables = _counted(name, of_variables, len(variables), "variables")
        else:
            of_variables = []
        of_arguments = _counted(name, returned, len(arguments), "arguments")
        found = [of_arguments[k] for k in places] + of_variables
        return [
            jnp.zeros(value.shape, value.dtype) if gradient is None else _fitting(name, gradient, value)
            for gradient, value in zip(found, inputs, strict=True)
        ]

    # The gradient closes over values of the forward pass; those that a transformation follows become operands.
    convertible, hoisted = jax.closure_convert(pull, outputs)

    @jax.custom_vjp
    def identity(outputs: list[Any], inputs: list[Any], hoisted: list[Any]) -> list[Any]:  # noqa: ARG001
        return outputs

    def forward(outputs: list[Any], inputs: list[Any], hoisted: list[Any]) -> tuple[list[Any], list[Any]]:
        # Through the rule again, so that an outer derivative of the result also takes the user's gradient.
        return identity(outputs, inputs, hoisted), hoisted

    def backward(hoisted: list[Any], cotangents: list[Any]) -> tuple[Any, ...]:
        return None, convertible(cotangents, *hoisted), None

    identity.defvjp(forward, backward)
    kept = iter(identity([jax.lax.stop_gradient(output) for output in outputs], inputs, hoisted))
    return keras.tree.pack_sequence_as(result, [next(kept) if is_inexact(leaf) else leaf for leaf in leaves])


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array)


def _counted(name: str, gradients: Any, number: int, what: str) -> list[Any]:
    flat = keras.tree.flatten(gradients)
    if len(flat) != number:
        raise ArgumentError(
            f"the gradient function must give one gradient for each of the {what}",
            where=name,
            expected=number,
            received=len(flat),
        )
    return list(flat)


def _fitting(name: str, gradient: Any, value: Any) -> Any:
    gradient = jnp.asarray(_value(gradient), value.dtype)
    if gradient.shape != value.shape:
        raise ArgumentError(
            "a gradient must have the shape of what it belongs to",
            where=name,
            expected=value.shape,
            received=gradient.shape,
        )
    return gradient
