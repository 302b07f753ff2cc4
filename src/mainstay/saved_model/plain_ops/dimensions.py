"""Symbolic dimensions as int32 scalars of a graph, computed from the shapes of its inputs."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mainstay.core import ModelError
from mainstay.saved_model.graph_writing.functions import FunctionBuilder, Ref
from mainstay.saved_model.plain_ops.values import Dimension

_CALLS = {"max": "Maximum", "min": "Minimum", "floordiv": "FloorDiv", "mod": "FloorMod"}
_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "AddV2", ast.Sub: "Sub", ast.Mult: "Mul"}


class Dimensions:
    """The lengths that a function learns from its inputs.

    Args:
        builder: The function.
        axes: For each symbol a tensor and the axis of it that has this length.
        scalars: Symbols whose int32 scalars are there already.
    """

    def __init__(
        self,
        builder: FunctionBuilder,
        axes: Mapping[str, tuple[Ref, int]] | None = None,
        *,
        scalars: Mapping[str, Ref] | None = None,
    ) -> None:
        self._builder = builder
        self._axes = dict(axes or {})
        self._scalars = dict(scalars or {})

    @classmethod
    def of_arguments(cls, builder: FunctionBuilder, closed_jaxpr: Any, arguments: Sequence[Ref]) -> Dimensions:
        """Return the dimensions of a function whose arguments are those of a traced program."""
        axes: dict[str, tuple[Ref, int]] = {}
        for aval, ref in zip(closed_jaxpr.in_avals, arguments, strict=True):
            for axis, size in enumerate(aval.shape):
                if not isinstance(size, int) and str(size).isidentifier():
                    axes.setdefault(str(size), (ref, axis))
        return cls(builder, axes)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols whose lengths are known."""
        return tuple(sorted({*self._axes, *self._scalars}))

    def scalar(self, dimension: Dimension) -> Ref:
        """Return a length as an int32 scalar.

        Args:
            dimension: A number, or an expression of symbols such as ``2*batch + 1``.

        Raises:
            ModelError: The length does not follow from the shapes of the inputs.
        """
        if isinstance(dimension, (int, np.integer)):
            return self._builder.constant(np.int32(dimension))
        text = str(dimension)
        if text not in self._scalars:
            try:
                expression = ast.parse(text.replace("^", "**"), mode="eval").body
            except SyntaxError as error:
                raise ModelError("a dimension is no expression of symbols", received=text) from error
            self._scalars[text] = self._symbol(text) if isinstance(expression, ast.Name) else self._make(expression)
        return self._scalars[text]

    def _make(self, node: ast.expr) -> Ref:
        match node:
            case ast.Constant(value=int(number)):
                return self._builder.constant(np.int32(number))
            case ast.Name(id=name):
                return self.scalar(_Named(name))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._op("Neg", operand)
            case ast.BinOp(left=base, op=ast.Pow(), right=ast.Constant(value=int(exponent))) if exponent > 0:
                made = first = self._make(base)
                for _ in range(exponent - 1):
                    made = self._builder.one("Mul", [made, first], np.int32, ())
                return made
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                return self._op(_OPERATORS[type(operator)], left, right)
            case ast.Call(func=ast.Name(id=name), args=operands) if name in _CALLS:
                return self._op(_CALLS[name], *operands)
        raise ModelError("a dimension is of a form that is not known", received=ast.unparse(node))

    def _op(self, op: str, *operands: ast.expr) -> Ref:
        key = f"{op}({', '.join(ast.unparse(operand) for operand in operands)})"
        if key not in self._scalars:
            inputs = [self._make(operand) for operand in operands]
            self._scalars[key] = self._builder.one(op, inputs, np.int32, ())
        return self._scalars[key]

    def _symbol(self, name: str) -> Ref:
        if name not in self._axes:
            raise ModelError(
                "a dimension does not follow from the shapes of the inputs",
                expected="an input with an axis of this length",
                received=name,
            )
        ref, axis = self._axes[name]
        key = f"shape of {ref.text}"
        if key not in self._scalars:
            rank = None if ref.shape is None else len(ref.shape)
            self._scalars[key] = self._builder.one("Shape", [ref], np.int32, (rank,), out_type=np.int32)
        bounds = [self._builder.constant(np.array([bound], np.int32)) for bound in (axis, axis + 1, 1)]
        return self._builder.one("StridedSlice", [self._scalars[key], *bounds], np.int32, (), shrink_axis_mask=1)


class _Named(str):
    """The name of a symbol, as a dimension."""
