"""The batches that the TensorBoard callback profiles with JAX's profiler."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import jax

from mainstay.core import ArgumentError

_lock = threading.Lock()
_running: ProfileWindow | None = None


class ProfileWindow:
    """Profiles the batches from `first` to `last`, both included and counted from 1; none for 0.

    JAX has one profiler per process. A window that training left open by an error is closed by the next one of the
    same thread; while any other profile runs, the window is left out with a warning.

    Args:
        batches: Keras' `profile_batch`: a batch, a pair, or one of these as a string such as `"5,8"`.

    Raises:
        ArgumentError: It is none of these.
    """

    def __init__(self, batches: Any) -> None:
        self.first, self.last = _parsed(batches)
        self._thread: int | None = None
        self._step: Any = None
        self._done = False

    @property
    def is_open(self) -> bool:
        """Whether the profiler runs for this window."""
        return self._thread is not None

    def before_training(self) -> None:
        """Forget earlier trainings."""
        self.close()
        self._done = False

    def before_batch(self, batch: int, folder: str, wait: Callable[[], None]) -> None:
        """Open or close the window where it is due.

        Args:
            batch: The number of the batch that begins.
            folder: Where the profile goes, under `plugins/profile/`.
            wait: Waits for the batches before; they belong on their own side of the window.
        """
        if not self.first or self._done:
            return
        if self.is_open and batch > self.last:
            wait()
            self.close()
        elif not self.is_open and self.first <= batch <= self.last:
            wait()
            self._open(folder)
        if self.is_open:
            self._mark(batch)

    def after_training(self, batch: int) -> None:
        """Close the window; warn where training ended before it.

        Args:
            batch: The number of the last batch.
        """
        if self.first and not self._done and not self.is_open:
            warnings.warn(
                f"profile_batch={self.first},{self.last} profiled nothing: training had {batch} batches", stacklevel=3
            )
        self.close()

    def close(self) -> None:
        """Stop the profiler and write the profile, if it runs for this window."""
        global _running
        if not self.is_open:
            return
        self._end_step()
        with _lock:
            self._thread, self._done, _running = None, True, None
            jax.profiler.stop_trace()  # type: ignore[no-untyped-call]

    def _open(self, folder: str) -> None:
        global _running
        thread = threading.get_ident()
        left_open = _running
        if left_open is not None and left_open._thread == thread:
            left_open.close()
        with _lock:
            try:
                jax.profiler.start_trace(folder, profiler_options=_options())
            except RuntimeError as error:
                self._done = True
                warnings.warn(f"profile_batch is left out: {error}", stacklevel=6)
                return
            self._thread, _running = thread, self

    def _mark(self, batch: int) -> None:
        """Name what happens from here on after the batch, so that TensorBoard tells the steps apart."""
        self._end_step()
        self._step = jax.profiler.StepTraceAnnotation("batch", step_num=batch)
        self._step.__enter__()

    def _end_step(self) -> None:
        if self._step is not None:
            self._step.__exit__(None, None, None)
            self._step = None


def _options() -> Any:
    options = jax.profiler.ProfileOptions()
    if sys.version_info < (3, 12):
        options.python_tracer_level = 0  # it has crashed trainings before Python 3.12
    return options


def _parsed(batches: Any) -> tuple[int, int]:
    numbers = batches
    if isinstance(numbers, str):
        numbers = [int(part) if part.strip().isdecimal() else None for part in numbers.split(",")]
        numbers = numbers[0] if len(numbers) == 1 else numbers
    pair = tuple(numbers) if isinstance(numbers, tuple | list) else (numbers, numbers)
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in pair)
    if len(pair) == 2 and whole and 0 <= pair[0] <= pair[1] and (pair[0] > 0 or pair == (0, 0)):
        return pair
    raise ArgumentError(
        "the batches to profile are wrong",
        where="profile_batch",
        expected='0 for none, a batch such as 5, or a pair such as (5, 8) or "5,8"',
        received=repr(batches),
    )
