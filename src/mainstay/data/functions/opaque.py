"""Opaque values: what stands for strings and lists while a function is traced; looking into one ends the trace."""

from __future__ import annotations

from typing import Any, NoReturn


class UntraceableError(Exception):
    """Says why a function cannot be run for many elements at once; it is then called for each.

    Attributes:
        first: What it made of the first element, as a chunk of one, if that is known.
    """

    first: Any = None


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise UntraceableError("it looks into a string or a list, which only Python and host functions can")


class Opaque:
    """A value of the element that can be handed on, and to host functions, but not looked into.

    Args:
        place: The number of the column that it stands for.
    """

    __slots__ = ("place",)

    def __init__(self, place: int) -> None:
        object.__setattr__(self, "place", place)

    def __getattr__(self, name: str) -> NoReturn:
        _refuse()

    __setattr__ = __delattr__ = _refuse
    __array__ = __jax_array__ = __array_ufunc__ = _refuse
    __bool__ = __len__ = __iter__ = __next__ = __contains__ = __getitem__ = _refuse
    __str__ = __repr__ = __format__ = __bytes__ = __hash__ = _refuse
    __int__ = __float__ = __index__ = __complex__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __mod__ = __rmod__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __pow__ = __rpow__ = __matmul__ = _refuse
    __and__ = __or__ = __xor__ = __invert__ = __neg__ = __pos__ = __abs__ = _refuse
    __copy__ = __deepcopy__ = __reduce__ = _refuse
