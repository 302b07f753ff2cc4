"""Nodes: the columns that a `preprocessing_fn` computes with, as a graph of host operations yet to be run.

A node holds no values. Whatever would need some, such as ``if x > 0`` or ``np.log(x)``, is refused where the user
wrote it, rather than traced into something else than it says.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import numpy as np

from mainstay.core import TransformError
from mainstay.hostops import can_miss, result_dtype
from mainstay.transform.misuse import misuse, user_location

_SCALARS = (bool, int, float, str, np.generic)
_NUMPY = (np.generic, np.ndarray)
_RANK = {"bool": 0, "int32": 1, "int64": 2, "float32": 3, "float64": 4}
_UFUNCS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}
"""What a NumPy scalar on the left of an operator calls instead of the operator of the column on the right."""

_INSTEAD = {
    "astype": "tft.cast(column, dtype)",
    "fillna": "tft.fill_missing(column, value)",
    "isna": "tft.is_missing(column)",
    "isnull": "tft.is_missing(column)",
    "str": "tft.lower, tft.strip, tft.string_length, ... on the column itself",
    "dt": "tft.hour_of_day(column), tft.day_of_week(column), ...",
    "hour": "tft.hour_of_day(column)",
    "dayofweek": "tft.day_of_week(column)",
    "weekday": "tft.day_of_week(column)",
    "absolute": "tft.abs(column)",
    "isnan": "tft.is_nan(column)",
    "std": "tft.var(column), and tft.sqrt of it",
    "len": "tft.string_length(column)",
    "map": "tft.compute_and_apply_vocabulary(column)",
    "power": "tft.square(column) or tft.sqrt(column)",
    "clip_by_value": "tft.clip(column, low, high)",
}


@dataclass(frozen=True, eq=False)
class Measure:
    """What one pass over the data finds out about a node: moments, a sum, a count, quantiles or token counts.

    Args:
        kind: Which accumulator takes the node's values.
        source: The node.
        capacity: How many distinct tokens are counted exactly, for token counts.
    """

    kind: str
    source: Node
    capacity: int = 0


@dataclass(frozen=True, eq=False)
class Pending:
    """A part of a graph that is known once a measure is taken.

    Args:
        measure: The measure.
        resolve: Makes the value out of the measure's result.
    """

    measure: Measure
    resolve: Callable[[Any], Any]


class Node:
    """A column inside a `preprocessing_fn`: the result of an operation on other columns.

    It takes ``+ - * / // % -x abs() ** 2``, comparisons, and ``& | ~`` between booleans, with columns and plain
    numbers; for everything else there are the functions of this room. As in NumPy, numbers of different dtypes are
    cast to the wider one, while a plain number takes on the column's dtype (an integer column and a float give
    float64); ``/`` between integers gives float64.

    Attributes:
        dtype: Its dtype, a name of `core.DTYPES`.
        optional: Whether it can have missing values.
        is_constant: Whether it is one value for all rows, such as a mean.
    """

    __slots__ = ("attrs", "dtype", "inputs", "is_constant", "op", "optional", "where")
    __hash__ = object.__hash__
    is_constant: bool

    def __init__(
        self, op: str, inputs: tuple[Node, ...], attrs: Mapping[str, Any], dtype: str, optional: bool = False
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.attrs = attrs
        self.dtype = dtype
        self.optional = optional
        self.is_constant = op == "Const" or (bool(inputs) and all(node.is_constant for node in inputs))
        self.where = user_location()

    def __repr__(self) -> str:
        return f"<column of {self.dtype} from {self.op}>"

    def __add__(self, other: Any) -> Node:
        return _arithmetic("AddV2", "+", self, other)

    def __radd__(self, other: Any) -> Node:
        return _arithmetic("AddV2", "+", other, self)

    def __sub__(self, other: Any) -> Node:
        return _arithmetic("Sub", "-", self, other)

    def __rsub__(self, other: Any) -> Node:
        return _arithmetic("Sub", "-", other, self)

    def __mul__(self, other: Any) -> Node:
        return _arithmetic("Mul", "*", self, other)

    def __rmul__(self, other: Any) -> Node:
        return _arithmetic("Mul", "*", other, self)

    def __truediv__(self, other: Any) -> Node:
        return _arithmetic("RealDiv", "/", self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return _arithmetic("RealDiv", "/", other, self)

    def __floordiv__(self, other: Any) -> Node:
        return _arithmetic("FloorDiv", "//", self, other)

    def __rfloordiv__(self, other: Any) -> Node:
        return _arithmetic("FloorDiv", "//", other, self)

    def __mod__(self, other: Any) -> Node:
        return _arithmetic("FloorMod", "%", self, other)

    def __rmod__(self, other: Any) -> Node:
        return _arithmetic("FloorMod", "%", other, self)

    def __neg__(self) -> Node:
        return apply("Neg", numeric(self, "-x"))

    def __pos__(self) -> Node:
        return numeric(self, "+x")

    def __abs__(self) -> Node:
        return apply("Abs", numeric(self, "abs"))

    def __pow__(self, exponent: Any) -> Node:
        if exponent == 2 and isinstance(exponent, (int, float)):
            return apply("Square", numeric(self, "**"))
        if exponent == 0.5 and isinstance(exponent, float):
            return apply("Sqrt", floating(self, "**"))
        raise misuse(
            "a column can be raised to the powers 2 and 0.5 only",
            fix="write x * x * x, or tft.exp(exponent * tft.log(x))",
        )

    def __eq__(self, other: object) -> Node:  # type: ignore[override]
        return _compare("Equal", "==", self, other)

    def __ne__(self, other: object) -> Node:  # type: ignore[override]
        return _compare("NotEqual", "!=", self, other)

    def __lt__(self, other: Any) -> Node:
        return _compare("Less", "<", self, other)

    def __le__(self, other: Any) -> Node:
        return _compare("LessEqual", "<=", self, other)

    def __gt__(self, other: Any) -> Node:
        return _compare("Greater", ">", self, other)

    def __ge__(self, other: Any) -> Node:
        return _compare("GreaterEqual", ">=", self, other)

    def __and__(self, other: Any) -> Node:
        return _logic("LogicalAnd", "&", self, other)

    def __rand__(self, other: Any) -> Node:
        return _logic("LogicalAnd", "&", other, self)

    def __or__(self, other: Any) -> Node:
        return _logic("LogicalOr", "|", self, other)

    def __ror__(self, other: Any) -> Node:
        return _logic("LogicalOr", "|", other, self)

    def __xor__(self, other: Any) -> Node:
        return _compare("NotEqual", "^", self, other)

    def __invert__(self) -> Node:
        if self.dtype != "bool":
            raise misuse("~ is for columns of booleans", received=f"a column of {self.dtype}")
        return apply("LogicalNot", self)

    def __bool__(self) -> bool:
        raise misuse(
            "a column is neither true nor false: it has a value for every row, and none while it is traced",
            fix="use tft.where(condition, a, b) instead of if, and & | ~ in brackets instead of and, or, not "
            "and chained comparisons",
        )

    def __float__(self) -> float:
        return self._no_number("float()")

    def __int__(self) -> int:
        return self._no_number("int()")

    def __index__(self) -> int:
        return self._no_number("the use as an index")

    def __complex__(self) -> complex:
        return self._no_number("complex()")

    def __round__(self, digits: int | None = None) -> Node:
        return self._no_number("round()")

    def __floor__(self) -> Node:
        return self._no_number("math.floor()", "use tft.floor(x)")

    def __ceil__(self) -> Node:
        return self._no_number("math.ceil()", "use -tft.floor(-x)")

    def __trunc__(self) -> Node:
        return self._no_number("math.trunc()", "use tft.cast(x, 'int64')")

    def __len__(self) -> int:
        return _no_values("len()", "use tft.size(x) for the number of rows, tft.string_length(x) for strings")

    def __iter__(self) -> Iterator[Any]:
        return _no_values("iteration", "write what shall happen to every row with operators and tft functions")

    def __contains__(self, item: object) -> bool:
        return _no_values("in", "compare with (x == a) | (x == b)")

    def __getitem__(self, key: object) -> Node:
        return _no_values("indexing", "choose rows with tft.where(condition, a, b)")

    def __setitem__(self, key: object, value: object) -> None:
        _no_values("assignment to rows", "make a new column with tft.where(condition, a, b)")

    def __call__(self, *args: object, **kwargs: object) -> Node:
        """Refuse to be called."""
        return _no_values("calling it", "use the functions of mainstay.transform")

    def __array__(self, *args: object, **kwargs: object) -> NoReturn:
        _no_values("conversion to a NumPy array", "use the functions of mainstay.transform")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Node:
        name = str(ufunc.__name__)
        plain = [item.item() if isinstance(item, _NUMPY) and item.ndim == 0 else item for item in inputs]
        scalars = not any(isinstance(item, np.ndarray) for item in plain)
        if method == "__call__" and name in _UFUNCS and not kwargs and scalars:
            return cast(Node, _UFUNCS[name](*plain))
        raise misuse(f"a column cannot go into numpy.{name}", fix=_instead(name))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> NoReturn:
        name = str(function.__name__)
        raise misuse(f"a column cannot go into numpy.{name}", fix=_instead(name))

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        raise misuse(f"a column has no attribute {name!r}", fix=_instead(name))

    def _no_number(self, operation: str, fix: str | None = None) -> NoReturn:
        advice = (
            fix or "use operators and the functions of mainstay.transform, such as tft.log(x) or tft.cast(x, dtype)"
        )
        _no_values(operation, advice)


def _no_values(operation: str, fix: str) -> NoReturn:
    raise misuse(f"{operation} needs values, and a column has none while it is traced", fix=fix)


def _instead(name: str) -> str:
    from mainstay import transform

    if name in _INSTEAD:
        return f"use {_INSTEAD[name]}"
    if name in transform.__all__:
        return f"use tft.{name}"
    return "use operators and the functions of mainstay.transform"


def apply(op: str, *inputs: Node, **attrs: Any) -> Node:
    """Return the node of an operation, its dtype worked out.

    Args:
        op: The operation's name in the registry of `hostops`.
        inputs: What it takes.
        attrs: Its attributes; values may be `Pending`.

    Raises:
        TransformError: The operation does not take these dtypes.
    """
    try:
        dtype = result_dtype(op, tuple(node.dtype for node in inputs), attrs)
    except TransformError as error:
        raise misuse(error.summary, expected=error.expected, received=error.received, fix=error.fix) from None
    return Node(op, inputs, attrs, dtype, can_miss(op, [node.optional for node in inputs]))


def constant(value: Any, dtype: str) -> Node:
    """Return the node of one value for all rows; the value may be `Pending`."""
    return Node("Const", (), {"dtype": dtype, "value": value}, dtype)


def as_node(value: Any, like: Node, operation: str) -> Node:
    """Return a column as it is, and a plain value as a constant that fits beside `like`.

    Raises:
        TransformError: It is neither, or of a type that does not go with the column.
    """
    if isinstance(value, Node):
        return value
    if value is None:
        raise misuse(f"{operation} between a column and None", fix="use tft.is_missing(x)")
    if not isinstance(value, _SCALARS):
        raise misuse(
            f"{operation} between a column and {type(value).__name__}",
            expected="a column or a plain number, string or boolean",
            fix="compute with columns of `inputs` only",
        )
    plain: Any = value.item() if isinstance(value, np.generic) else value
    dtype = _scalar_dtype(plain, like.dtype)
    if dtype is None:
        raise misuse(
            f"{operation} between a column of {like.dtype} and {plain!r}",
            fix="cast the column, or compare with a value of its type",
        )
    if dtype == "int64" and not -(2**63) <= plain < 2**63:
        raise misuse("a whole number is beyond 64 bits", received=plain, fix="write it as a float")
    return constant(float(plain) if dtype.startswith("float") else plain, dtype)


def _scalar_dtype(value: Any, like: str) -> str | None:
    if isinstance(value, str) or like == "string":
        return "string" if isinstance(value, str) and like == "string" else None
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64" if like == "bool" else like
    return like if like.startswith("float") else "float64" if isinstance(value, float) else None


def pair(left: Any, right: Any, operation: str) -> tuple[Node, Node]:
    """Return two operands, of which at least one is a column, as columns of one dtype.

    Raises:
        TransformError: They do not go together.
    """
    like = left if isinstance(left, Node) else right
    first, second = as_node(left, like, operation), as_node(right, like, operation)
    if first.dtype == second.dtype:
        return first, second
    if "string" in (first.dtype, second.dtype):
        raise misuse(
            f"{operation} between a column of {first.dtype} and one of {second.dtype}",
            fix="turn the other one into strings with tft.as_string",
        )
    common = wider(first.dtype, second.dtype)
    return cast_to(first, common), cast_to(second, common)


def wider(first: str, second: str) -> str:
    """Return the dtype that holds both dtypes of numbers, as NumPy has it: int64 and float32 give float64."""
    low, high = sorted((first, second), key=_RANK.__getitem__)
    return "float64" if high == "float32" and low.startswith("int") else high


def cast_to(node: Node, dtype: str) -> Node:
    """Return a node of that dtype: itself, or cast."""
    return node if node.dtype == dtype else apply("Cast", node, dtype=dtype)


def numeric(node: Any, operation: str) -> Node:
    """Return a column of numbers, booleans as int64.

    Raises:
        TransformError: It is no column, or one of strings.
    """
    column = check_node(node, operation)
    if column.dtype == "string":
        raise misuse(
            f"{operation} is for numbers",
            received="a column of strings",
            fix="make ids of them with tft.compute_and_apply_vocabulary or tft.hash_strings",
        )
    return cast_to(column, "int64") if column.dtype == "bool" else column


def floating(node: Any, operation: str) -> Node:
    """Return a column of floats, integers as float64; see `numeric`."""
    column = numeric(node, operation)
    return column if column.dtype.startswith("float") else cast_to(column, "float64")


def textual(node: Any, operation: str) -> Node:
    """Return a column of strings, integers and booleans as their text.

    Raises:
        TransformError: It is no column, or one of floats.
    """
    column = check_node(node, operation)
    if column.dtype.startswith("float"):
        raise misuse(
            f"{operation} is for strings and integers",
            received=f"a column of {column.dtype}",
            fix="make buckets of it with tft.bucketize, or cast it to int64 first",
        )
    return column if column.dtype == "string" else apply("AsString", column)


def check_node(value: Any, operation: str) -> Node:
    """Return the value if it is a column.

    Raises:
        TransformError: It is something else.
    """
    if not isinstance(value, Node):
        raise misuse(f"{operation} takes a column", expected="a column of `inputs`", received=repr(value))
    return value


def _arithmetic(op: str, sign: str, left: Any, right: Any) -> Node:
    first, second = pair(left, right, sign)
    if first.dtype == "string":
        raise misuse(f"{sign} is for numbers", received="strings", fix="use tft.join([a, b]) to put strings together")
    if op == "RealDiv":
        return apply(op, floating(first, sign), floating(second, sign))
    return apply(op, numeric(first, sign), numeric(second, sign))


def _compare(op: str, sign: str, left: Any, right: Any) -> Node:
    first, second = pair(left, right, sign)
    if first.dtype == "bool" and op not in ("Equal", "NotEqual"):
        first, second = cast_to(first, "int64"), cast_to(second, "int64")
    return apply(op, first, second)


def _logic(op: str, sign: str, left: Any, right: Any) -> Node:
    first, second = pair(left, right, sign)
    if first.dtype != "bool":
        raise misuse(
            f"{sign} is for columns of booleans",
            received=f"columns of {first.dtype}",
            fix="put comparisons in brackets: (x > 0) & (y > 0)",
        )
    return apply(op, first, second)
