"""A function for one kind of arguments, as `get_concrete_function` gives it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import keras

from mainstay.core import ArgumentError, ModelError, TensorSpec
from mainstay.framework.functions.arguments import Parameters, describe, leaf_key, leaf_paths
from mainstay.framework.functions.failures import user_line
from mainstay.framework.functions.input_signature import match
from mainstay.framework.functions.program import Program
from mainstay.framework.functions.structures import closed, is_array, opened, shape_of, tree


class ConcreteFunction:
    """One traced program of a function, with what it takes, gives and captures.

    Made by `Function.get_concrete_function`. A None in its specs stands for any length: it is traced once with that
    length as a symbol, and compiled for each length that it is called with.

    Args:
        name: The name of the function.
        parameters: The parameters of the function.
        arguments: Its bound arguments: specs in the places of arrays, and Python values.
        program: The traced program.
        call: What runs the function on bound arguments whose lengths were left open; None where none was.
        inline: Runs the Python function itself within a trace or scope that is open already.
    """

    def __init__(
        self,
        name: str,
        parameters: Parameters,
        arguments: OrderedDict[str, Any],
        program: Program,
        call: Callable[[OrderedDict[str, Any]], Any] | None,
        inline: Callable[..., Any],
    ) -> None:
        self.name = name
        self._parameters = parameters
        self._arguments = arguments
        self._program = program
        self._call = call
        self._inline = inline
        self._paths = leaf_paths(opened(arguments))
        self._leaves, self._treedef = tree.tree_flatten(opened(arguments))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program.

        Args:
            *args: The arguments as the function takes them. Python values that the program was traced for may be left
                out.
            **kwargs: Those by name.

        Raises:
            ArgumentError: An argument is not of the kind that the program was traced for.
        """
        given = self._parameters.signature.bind_partial(*args, **kwargs).arguments
        arguments = OrderedDict((key, given.get(key, value)) for key, value in self._arguments.items())
        leaves, treedef = tree.tree_flatten(opened(arguments))
        if treedef != self._treedef or set(given) - set(self._arguments):
            raise ArgumentError(
                "the arguments have another structure than the function was traced for",
                where=self.name,
                expected=", ".join(self._paths) or "no arguments",
                received=", ".join(leaf_paths(opened(arguments))) or "none",
            )
        checked = [self._checked(*item) for item in zip(self._leaves, leaves, self._paths, strict=True)]
        if self._call is not None:
            return self._call(closed(treedef.unflatten(checked)))
        return self._program.run([leaf for leaf in checked if is_array(leaf)])

    def _checked(self, traced: Any, leaf: Any, path: str) -> Any:
        if isinstance(traced, TensorSpec):
            if leaf is traced:
                raise ArgumentError("an argument is missing", where=path, expected=describe(traced))
            return match(traced, leaf, path)
        if leaf_key(traced) != leaf_key(leaf):
            raise ArgumentError(
                "the program was traced for another value of this argument",
                where=path,
                expected=describe(traced),
                received=describe(leaf),
                fix="leave it out, or get another concrete function for it",
            )
        return leaf

    def stateless(self, values: Sequence[Any], arguments: Mapping[str, Any]) -> tuple[Any, list[Any]]:
        """Do what the function does with other values of its variables, none of which changes, for JAX to trace.

        Args:
            values: A value for each of `variables`.
            arguments: The arguments by parameter, structures as in `parameters` with arrays in the places of specs.

        Returns:
            What the function returns, and the values that its variables would have then.
        """
        args, kwargs = self._parameters.unbind(OrderedDict(arguments))
        variables = self.variables
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
            result = self._inline(*args, **kwargs)
            return result, [scope.get_current_value(variable) for variable in variables]

    @property
    def parameters(self) -> dict[str, tuple[Any, Any]]:
        """For each parameter, `inspect.Parameter` and what it was traced for: specs in the places of arrays."""
        known = self._parameters.signature.parameters
        return {name: (known[name], value) for name, value in self._arguments.items()}

    @property
    def written(self) -> tuple[Any, ...]:
        """The variables that the program assigns."""
        return tuple(self._program.trace.written)

    @property
    def structured_input_signature(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and the named arguments, with a `TensorSpec` for each array."""
        return self._parameters.unbind(self._arguments)

    @property
    def structured_outputs(self) -> Any:
        """What the function returns, with a `TensorSpec` for each array; lengths that depend on open ones are None."""
        trace = self._program.trace
        count = len(trace.written)
        return trace.results.fill([_spec(aval) for aval in trace.jaxpr.out_avals[count:]])

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables that the program reads or writes."""
        trace = self._program.trace
        return tuple({id(item): item for item in (*trace.donated, *trace.readonly, *trace.written)}.values())

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """Those of the variables that are trainable."""
        return tuple(item for item in self.variables if item.trainable)

    @property
    def captured_inputs(self) -> list[Any]:
        """What the program takes besides its arguments: its variables, then the arrays that it captured."""
        return [*self.variables, *self._program.trace.captures]

    @property
    def jaxpr(self) -> Any:
        """The traced program, as `jax.make_jaxpr` gives it; it takes its variables and captures before its arrays."""
        return self._program.trace.jaxpr

    def lower(self) -> Any:
        """Return the program lowered for the default device, as `jax.jit(…).lower` does.

        Raises:
            ArgumentError: A length is open; XLA compiles for known lengths.
        """
        specs = [item for item in self._leaves if isinstance(item, TensorSpec)]
        if self._call is not None:
            raise ArgumentError(
                "a program with open lengths cannot be lowered",
                where=self.name,
                received=", ".join(map(describe, specs)),
                fix="get a concrete function with lengths in place of None, or use as_text()",
            )
        return self._program.lower([shape_of(item) for item in specs])

    def as_text(self) -> str:
        """Return the program as StableHLO text."""
        return self._program.as_text()

    def __repr__(self) -> str:
        pairs = zip(self._paths, self._leaves, strict=True)
        return f"<ConcreteFunction {self.name}({', '.join(f'{path}={describe(leaf)}' for path, leaf in pairs)})>"


def _spec(aval: Any) -> TensorSpec:
    axes = [axis if isinstance(axis, int) else None for axis in aval.shape]
    return TensorSpec(axes, aval.dtype)


def symbolic(leaves: list[Any]) -> list[Any]:
    """Return what to trace the specs among `leaves` with: shapes with dtypes, open lengths as symbols.

    Open first lengths are one symbol, the batch; every other open length is its own.
    """
    scope = jax.export.SymbolicScope()
    operands = []
    for index, leaf in enumerate(leaves):
        if isinstance(leaf, TensorSpec):
            names = ["batch" if axis == 0 else f"length_{index}_{axis}" for axis in range(len(leaf.shape))]
            axes = ", ".join(name if size is None else str(size) for name, size in zip(names, leaf.shape, strict=True))
            shape = jax.export.symbolic_shape(f"({axes}{',' if len(leaf.shape) == 1 else ''})", scope=scope)
            operands.append(shape_of(leaf, shape))
        else:
            operands.append(leaf)
    return operands


def needs_a_length(error: Exception, name: str, specs: list[TensorSpec]) -> ModelError:
    """Return the error of a function that cannot be traced with symbols for open lengths."""
    return ModelError(
        "the function cannot be traced for every length of the axes that are None",
        where=user_line(error) or name,
        received=f"{', '.join(map(describe, specs))}; {str(error).splitlines()[0]}",
        fix="give the lengths, or write the line without a condition on them",
    )
