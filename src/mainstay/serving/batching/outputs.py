"""The outputs of an execution, and the part of them that answers one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(slots=True, eq=False)
class Run:
    """One execution of a batch, shared by the answers to all requests in it.

    Args:
        rows: How many rows of requests it had.
        started: When it began, in seconds of the monotonic clock.
        ended: When it was over.
        padded_rows: How many rows the executable computed, padding included.
        known: What was worked out once for all its requests, such as whether every number is finite.
        parts: The executions that it stands for, where a request was spread over several.
    """

    rows: int
    started: float = 0.0
    ended: float = 0.0
    padded_rows: int = 0
    known: dict[str, Any] = field(default_factory=dict)
    parts: Sequence[Run] = ()


@dataclass(slots=True, eq=False)
class Outputs:
    """The outputs for some rows. Nobody changes one; it is not frozen for speed alone.

    Args:
        arrays: By name, `[rows, ...]`; strings are arrays of object (bytes or str). Those of a signature that does
            not work on rows have any shape.
        run: The execution that they come from; the last one where there were several.
        whole: The outputs of the whole execution.
    """

    arrays: Mapping[str, Array]
    run: Run
    whole: Mapping[str, Array]

    @classmethod
    def of(cls, arrays: Mapping[str, Array], run: Run | None = None) -> Outputs:
        """Return the outputs of a whole execution."""
        return cls(arrays, run or Run(0), arrays)

    @property
    def finite(self) -> bool:
        """Whether no NaN and no infinity is among the numbers of the execution; worked out once for all of it."""
        known = self.run.known.get("finite")
        if known is None:
            known = self.run.known["finite"] = all(map(_finite, self.whole.values()))
        return bool(known)

    def slice(self, start: int, stop: int) -> Outputs:
        """Return the rows from `start` to before `stop`."""
        arrays = self.arrays
        if len(arrays) == 1:  # the usual case, a comprehension cheaper
            (name,) = arrays
            return Outputs({name: arrays[name][start:stop]}, self.run, self.whole)
        return Outputs({name: array[start:stop] for name, array in arrays.items()}, self.run, self.whole)

    @classmethod
    def join(cls, pieces: Sequence[Outputs]) -> Outputs:
        """Return the rows of all pieces, in order, as if one execution had given them."""
        arrays = {name: np.concatenate([piece.arrays[name] for piece in pieces]) for name in pieces[0].arrays}
        runs = list({id(piece.run): piece.run for piece in pieces}.values())
        run = Run(
            sum(run.rows for run in runs),
            min(run.started for run in runs),
            max(run.ended for run in runs),
            sum(run.padded_rows for run in runs),
            parts=runs,
        )
        return cls.of(arrays, run)


def _finite(array: Array) -> bool:
    if array.dtype.kind in "fc":
        return bool(np.isfinite(array).all())
    return array.dtype.kind != "V" or bool(np.isfinite(array.astype(np.float32)).all())  # bfloat16 is a void to NumPy
