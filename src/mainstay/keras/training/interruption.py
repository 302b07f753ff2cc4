"""A run that fails or is interrupted leaves a model with its weights.

While Keras runs steps on JAX, variables are empty: their values go from step to step, and come back when the run is
over. Keras loses them where a step fails, a wrong batch in `predict` is enough.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax


class KeptState:
    """The state that the next step of a model takes.

    Args:
        model: The model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._state: Any = None

    def following(self, step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Return a step of one batch, the state after which is kept from now on."""

        @functools.wraps(step)
        def follow(state: Any, batch: Any) -> Any:
            outputs, self._state = step(state, batch)
            return outputs, self._state

        return follow

    def guarding(self, step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Return a step over an iterator that gives the variables their values back before it fails."""

        def guard(state: Any, iterator: Any) -> Any:
            self._state = state
            try:
                return step(state, iterator)
            except StopIteration:
                raise
            except BaseException:
                _give_back(self._model, self._state)
                raise
            finally:
                self._state = None

        return guard


def _give_back(model: Any, state: Any) -> None:
    groups = [model.trainable_variables, model.non_trainable_variables]
    groups += [model.optimizer.variables] if len(state) == 4 else []
    groups += [model.metrics_variables] if len(state) > 2 else []
    for variables, values in zip(groups, state, strict=True):
        for variable, value in zip(variables, values, strict=False):  # a step of the data alone has no values
            if variable._value is None and not (isinstance(value, jax.Array) and value.is_deleted()):
                variable._value = value
    model._jax_state, model._jax_state_synced = None, True
