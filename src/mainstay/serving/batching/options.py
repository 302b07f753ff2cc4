"""How requests are batched: one frozen value, checked when it is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mainstay.core import ArgumentError

EXECUTION_MODES = ("auto", "inline", "thread")

DEFAULT_BATCH_SIZE = 128
DEFAULT_ENQUEUED_BATCHES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchingOptions:
    """How requests become batches, and where these run.

    Args:
        enabled: Whether rows of different requests may share an execution. Without it each request runs alone.
        max_batch_size: The most rows in one execution; with `max_execution_batch_size`, the most in one request.
        batch_timeout_seconds: How long a batch that is not full waits for company. 0, the default, never waits: what
            arrived while the model was busy is the next batch.
        max_enqueued_batches: How many full batches may wait for one signature; requests beyond are refused, the least
            critical first.
        num_batch_threads: How many threads run batches on a device.
        thread_pool_name: The name of these threads.
        allowed_batch_sizes: The sizes that batches are padded to, ascending, the last one being the largest batch;
            empty for the sizes that a model was loaded with.
        pad_variable_length_inputs: Whether requests whose rows differ in length share a batch: each is padded to the
            longest with its own first value, and so are the outputs. Without it, rows of one shape share a batch.
        enable_large_batch_splitting: Whether a request of more rows than one execution takes is split.
        max_execution_batch_size: The most rows in one execution where a request may have more; needs splitting.
        per_model_parameters: Whether a version's own ``batching_params.pbtxt`` counts instead of these options.
        execution: Where models run: ``thread`` is a thread of the device, ``inline`` the event loop itself, ``auto``
            picks for each batch size by its cost, measured while the model warms up and ever after.
        inline_below_seconds: With ``auto``, executions that take less than this run inline. At the default the two
            ways are equally fast; below it, handing over to a thread costs more than it gains.
        aging_seconds: How much later a request is served for each step that it is less critical, at the most: one that
            waited this long is served as if it were one step more critical.

    Raises:
        ArgumentError: An option is out of its range, or two contradict each other.

    Example:
        >>> BatchingOptions(max_batch_size=64).execution_rows
        64
    """

    enabled: bool = True
    max_batch_size: int = DEFAULT_BATCH_SIZE
    batch_timeout_seconds: float = 0.0
    max_enqueued_batches: int = DEFAULT_ENQUEUED_BATCHES
    num_batch_threads: int = 1
    thread_pool_name: str = "mainstay-device"
    allowed_batch_sizes: Sequence[int] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = True
    max_execution_batch_size: int | None = None
    per_model_parameters: bool = False
    execution: str = "auto"
    inline_below_seconds: float = 0.0005
    aging_seconds: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed_batch_sizes", tuple(self.allowed_batch_sizes))
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads", "max_execution_batch_size"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ArgumentError(f"{name} is out of range", expected="a whole number from 1", received=repr(value))
        for name in ("batch_timeout_seconds", "inline_below_seconds", "aging_seconds"):
            value = getattr(self, name)
            known = isinstance(value, int | float) and not isinstance(value, bool)
            if not known or not value >= 0 or not math.isfinite(value):
                raise ArgumentError(f"{name} is out of range", expected="0 or more seconds", received=repr(value))
        if self.execution not in EXECUTION_MODES:
            raise ArgumentError(
                "unknown way of execution", expected=f"one of {', '.join(EXECUTION_MODES)}", received=self.execution
            )
        if self.max_execution_batch_size is not None:
            self._check_execution_size(self.max_execution_batch_size)
        self._check_sizes()

    def _check_execution_size(self, rows: int) -> None:
        if not self.enable_large_batch_splitting:
            raise ArgumentError(
                "max_execution_batch_size is for requests that are split",
                where="max_execution_batch_size",
                received=rows,
                fix="set enable_large_batch_splitting as well",
            )
        if rows > self.max_batch_size:
            raise ArgumentError(
                "max_execution_batch_size should be less than or equal to max_batch_size",
                where="max_execution_batch_size",
                expected=f"at most {self.max_batch_size}",
                received=rows,
            )

    def _check_sizes(self) -> None:
        sizes = self.allowed_batch_sizes
        if not sizes:
            return
        if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes):
            raise ArgumentError("allowed_batch_sizes are no sizes", expected="whole numbers from 1", received=sizes)
        if any(one >= two for one, two in pairwise(sizes)):
            raise ArgumentError("allowed_batch_sizes entries must be monotonically increasing", received=sizes)
        if sizes[-1] != self.execution_rows:
            name = "max_batch_size" if self.max_execution_batch_size is None else "max_execution_batch_size"
            raise ArgumentError(
                f"Last entry in allowed_batch_sizes must match {name}; last entry was {sizes[-1]}; expected "
                f"{self.execution_rows}",
                where="allowed_batch_sizes",
            )

    @property
    def execution_rows(self) -> int:
        """The most rows in one execution."""
        return self.max_batch_size if self.max_execution_batch_size is None else self.max_execution_batch_size

    @property
    def request_rows(self) -> int | None:
        """The most rows in one request; None for any number."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size is None:
            return None
        return self.max_batch_size
