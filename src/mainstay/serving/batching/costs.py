"""What batches cost, measured while a model warms up and whenever one runs: it decides where the next one runs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence

_WEIGHT = 0.1
"""How much a measurement counts: some ten later a change shows in full."""

_MOST_TIMES = 4.0
"""A measurement counts for no more than this many times the limit, or what was known: one pause moves no model."""

_MOST_KEYS = 1024

_UNPROVEN = float("inf")


class Costs:
    """The seconds that an execution takes, by the kind of its rows and the size that it is padded to.

    Args:
        sizes: The sizes that are compiled, ascending; a batch is padded to the next one. Empty where none are known.
        execution: ``inline``, ``thread`` or ``auto``, see `BatchingOptions`.
        inline_below_seconds: What may run inline with ``auto``.
    """

    __slots__ = ("_execution", "_known", "_limit", "_padded", "_sizes")

    def __init__(self, sizes: Sequence[int], *, execution: str = "auto", inline_below_seconds: float) -> None:
        self._sizes = tuple(sizes)
        self._execution = execution
        self._limit = inline_below_seconds
        self._padded: dict[int, int] = {}
        self._known: dict[tuple[Hashable, int], float] = {}

    def size(self, rows: int) -> int:
        """Return how many rows are computed for so many: with padding, and at the most the largest size."""
        size = self._padded.get(rows)
        if size is not None:
            return size
        sizes = self._sizes
        if not sizes:
            return rows
        size = sizes[min(bisect_left(sizes, rows), len(sizes) - 1)]
        if rows <= sizes[-1]:
            self._padded[rows] = size
        return size

    def seconds(self, key: Hashable, rows: int) -> float | None:
        """Return what a batch takes; None where that is not known."""
        known = self._known.get((key, self.size(rows)))
        return None if known == _UNPROVEN else known

    def full_rows(self, key: Hashable, rows: int) -> int:
        """Return how many of the rows that wait fill a smaller size, where running the others after it takes less time.

        33 rows that would be padded to 128 are over sooner as 32 and 1.

        Returns:
            The smaller size; 0 where all rows should run together, or where it is not known what they take.
        """
        size = self.size(rows)
        if size <= rows:
            return 0
        place = bisect_left(self._sizes, size)
        if not place:
            return 0
        smaller, known = self._sizes[place - 1], self._known
        together, first = known.get((key, size)), known.get((key, smaller))
        then = known.get((key, self.size(rows - smaller)))
        if together is None or first is None or then is None or together == _UNPROVEN:
            return 0
        return smaller if first + then < together else 0

    def is_inline(self, key: Hashable, rows: int) -> bool:
        """Whether a batch should run on the event loop itself; of kind None it never should, unless all do."""
        if self._execution != "auto":
            return self._execution == "inline"
        known = self._known.get((key, self.size(rows)))
        return known is not None and known < self._limit

    def start(self, rows: int, seconds: float) -> None:
        """Take what a compiled batch of the usual kind takes, as measured beforehand."""
        self._known[(), self.size(rows)] = seconds

    def note(self, key: Hashable, rows: int, seconds: float) -> None:
        """Take the measurement of a batch that has run.

        Args:
            key: The kind of its rows, or None where each differs. The first of a kind does not count: it was compiled.
            rows: Its rows.
            seconds: What it took.
        """
        if key is None:
            return
        place = key, self.size(rows)
        known = self._known.get(place)
        if known is None:
            if len(self._known) >= _MOST_KEYS:
                del self._known[next(iter(self._known))]
            self._known[place] = _UNPROVEN
            return
        if known == _UNPROVEN:
            self._known[place] = seconds
            return
        most = _MOST_TIMES * max(known, self._limit)
        self._known[place] = known + _WEIGHT * (min(seconds, most) - known)
