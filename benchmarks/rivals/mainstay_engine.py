"""Mainstay: `import mainstay as tf`."""

from __future__ import annotations

import mainstay as tf
import mainstay.keras
from rivals.cases import Case
from rivals.keras_engine import KerasEngine


class Engine(KerasEngine):
    def __init__(self, case: Case, *, compiled: bool) -> None:
        super().__init__(tf, case, jit_compile="auto", compile_options={})
