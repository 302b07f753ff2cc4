"""Seeds: given by the user, or drawn where none is given."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mainstay.core import ArgumentError

_thread = threading.local()


class DrawnSeed(int):
    """A seed that the user did not choose; inside of another dataset, that one chooses it."""


def drawn_seed(seed: Any = None) -> int:
    """Return a seed: where none is given, one from NumPy's generator, which `keras.utils.set_random_seed` seeds.

    Raises:
        ArgumentError: It is no whole number.
    """
    if seed is None:
        return DrawnSeed(0 if getattr(_thread, "inside", False) else np.random.randint(2**31))
    try:
        number = int(seed)
    except (TypeError, ValueError) as error:
        raise ArgumentError("this is no seed", expected="a whole number, or None", received=repr(seed)) from error
    if number != seed:
        raise ArgumentError("this is no seed", expected="a whole number, or None", received=repr(seed))
    return number


@contextmanager
def inside_a_dataset() -> Iterator[None]:
    """Return a context in which datasets are built by a dataset that runs: they draw no seeds, but are given them."""
    before = getattr(_thread, "inside", False)
    _thread.inside = True
    try:
        yield
    finally:
        _thread.inside = before
