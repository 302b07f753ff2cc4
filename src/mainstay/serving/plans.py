"""What a signature asks of the values of each input, worked out once."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes  # noqa: F401  (makes bfloat16 a dtype of NumPy)
import numpy as np

from mainstay.hostops import HostInput

EXACT_INTEGERS = {"float16": 2**11, "bfloat16": 2**8, "float32": 2**24, "float64": 2**53}
_LARGEST = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38, "float32": 3.4028234663852886e38}


@dataclass(frozen=True, slots=True)
class InputPlan:
    """How values of one input are read.

    Args:
        name: The input's name.
        dtype: A name of `core.DTYPES`.
        optional: Whether a row may lack it.
        inner: The shape of one row's value; empty for a single value.
        free: Whether any shape is taken, whatever `inner` says: an imported graph itself knows what fits.
    """

    name: str
    dtype: str
    optional: bool
    inner: tuple[int | None, ...]
    free: bool = False

    @classmethod
    def of(cls, item: HostInput, *, free: bool = False) -> InputPlan:
        """Return the plan of an input `[batch, *inner]`."""
        return cls(item.spec.name, item.spec.dtype, item.optional, item.spec.shape[1:], free)

    @property
    def is_integer(self) -> bool:
        """Whether it takes whole numbers only."""
        return self.dtype.startswith(("int", "uint"))

    @property
    def is_float(self) -> bool:
        """Whether it takes any number."""
        return "float" in self.dtype

    @property
    def described(self) -> str:
        """What a value has to be, for people."""
        if self.free or not self.inner:
            return self.dtype
        return f"{self.dtype} of shape [{', '.join('any' if axis is None else str(axis) for axis in self.inner)}]"

    def bounds(self, kind: type) -> tuple[float, float] | None:
        """Return the range in which a value of this Python type is taken as it is; None for no limit."""
        if self.is_integer:
            limits = np.iinfo(self.dtype)
            return int(limits.min), int(limits.max)
        if kind is int:
            return -EXACT_INTEGERS[self.dtype], EXACT_INTEGERS[self.dtype]
        largest = _LARGEST.get(self.dtype)
        return None if largest is None else (-largest, largest)

    def accepts(self, kind: type) -> bool:
        """Whether a value of this Python type needs no conversion, apart from `bounds`."""
        if kind is type(None):
            return self.optional
        if self.inner or self.free:
            return False
        if self.is_float:
            return kind is float or kind is int
        return kind is {"bool": bool, "string": str}.get(self.dtype, int)
