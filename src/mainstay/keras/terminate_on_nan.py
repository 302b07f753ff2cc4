"""`TerminateOnNaN`: training stops at a loss that is not finite, quietly or with an error that says what to do."""

from __future__ import annotations

import math
from typing import Any

import keras

from mainstay.core import ModelError


class TerminateOnNaN(keras.callbacks.TerminateOnNaN):
    """Stop training when the loss of a batch is NaN or infinite.

    Without it, training goes on and the loss of every further epoch is NaN.

    Args:
        raise_error: Whether that is an error; otherwise `fit` ends after the batch and returns its history.

    Raises:
        ModelError: By `fit`, if `raise_error` is true and a loss is not finite.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> stop = TerminateOnNaN(raise_error=True)
        >>> _ = model.fit(np.array([[np.nan]]), np.ones((1, 1)), verbose=0, callbacks=[stop])
        Traceback (most recent call last):
        mainstay.core.errors.ModelError: epoch 1, batch 1: the loss is not finite
        ...
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember the epoch for the message."""
        self._epoch = epoch

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look at the loss of a batch."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if not self.raise_error:
            super().on_batch_end(batch, logs)
            return
        raise ModelError(
            "the loss is not finite",
            where=f"epoch {self._epoch + 1}, batch {batch + 1}",
            received=float(loss),
            fix="look for NaN and very large values in the data, lower the learning rate, or clip the gradients: "
            "optimizers take clipnorm and global_clipnorm",
        )
