"""TensorFlow with Keras 3, compiled by XLA or, as it comes on a CPU, not."""

from __future__ import annotations

import tensorflow as tf

from rivals.cases import Case
from rivals.keras_engine import KerasEngine

tf.keras.layers  # noqa: B018  (TensorFlow imports Keras when it is first used, which is no part of a first step)


class Engine(KerasEngine):
    def __init__(self, case: Case, *, compiled: bool) -> None:
        super().__init__(tf, case, jit_compile=compiled, compile_options={"jit_compile": compiled})
