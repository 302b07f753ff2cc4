"""Arithmetic and casts with TensorFlow's names; every result is the IEEE one, so equal in every batch size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mainstay.hostops.columns import Column
from mainstay.hostops.registry import Attrs, HostOp, Kernel, register


def _cast(attrs: Attrs, assets: Mapping[str, bytes]) -> Kernel:
    dtype = np.dtype(attrs["dtype"])

    def cast(x: Column) -> Column:
        values: Any = x.values
        return Column(values.astype(dtype, copy=False), x.missing)

    return cast


register(HostOp("Cast", 1, _cast, lambda dtypes, attrs: str(attrs["dtype"])))
