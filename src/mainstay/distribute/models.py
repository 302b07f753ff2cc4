"""Keras models under a strategy: each remembers the one it was created under and does all its work there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import keras

from mainstay.core import ModelError
from mainstay.distribute import contexts
from mainstay.distribute.keras_internals import variables_of
from mainstay.distribute.strategies import Strategy

_OWNER = "_mainstay_strategy"


def owner_of(model: Any) -> Strategy | None:
    """Return the strategy with devices that a model was created under, or None."""
    owner: Strategy | None = getattr(model, _OWNER, None)
    return owner


def remember_strategy(model: Any) -> None:
    """Tie a model that is being created to the running strategy: it builds and steps under it from now on.

    Raises:
        ModelError: Keras would not create variables on the devices of that strategy.
    """
    running = contexts.innermost()
    if running is None or running.strategy.placement is None or owner_of(model) is not None:
        return
    if getattr(keras.distribution.distribution(), "devices", None) != running.strategy.placement.devices:
        raise ModelError(
            "Keras' distribution was changed or cleared inside of the scope of a strategy",
            expected=repr(running.strategy.placement),
            received=repr(keras.distribution.distribution()),
            fix="call keras.utils.clear_session or keras.distribution.set_distribution before the scope is entered",
        )
    setattr(model, _OWNER, running.strategy)
    for name in ("build", "_maybe_build"):
        setattr(model, name, _in_scope(running.strategy, getattr(model, name)))
    for name in ("train_step", "test_step", "predict_step"):
        setattr(model, name, _as_replica(running.strategy, getattr(model, name)))


@contextmanager
def work_of(model: Any) -> Iterator[None]:
    """Run the body under the strategy of a model.

    Raises:
        ModelError: The running strategy is not the model's, or some of its variables were created outside.
    """
    owner, running = owner_of(model), contexts.innermost()
    if running is not None and running.strategy is not owner and (owner or running.strategy.placement):
        raise ModelError(
            "a model is used under a strategy that it was not created under",
            where=model.name,
            expected=f"a model created inside of the scope of this {running.strategy!r}",
            received="a model created outside of every strategy" if owner is None else f"a model of another {owner!r}",
            fix="create and compile the model inside of `with strategy.scope():`",
        )
    if owner is None:
        yield
        return
    check_variables(model, owner)
    with owner.scope() if running is None else nullcontext():
        yield


def check_variables(model: Any, owner: Strategy) -> None:
    """Refuse variables of a model, its optimizer or its metrics that were created outside of the model's strategy.

    Raises:
        ModelError: There is such a variable.
    """
    for variable in variables_of(model):
        created = getattr(variable, "_value", None) is not None
        if created and owner.placement is not None and not owner.placement.holds(variable):
            raise ModelError(
                f"the variable {variable.path!r} was created outside of the scope of the model's strategy",
                where=model.name,
                expected=f"every variable on the devices of {owner!r}",
                received="a variable of no strategy" if variable._layout is None else "a variable of another one",
                fix="create layers, optimizers and metrics inside of `with strategy.scope():`, as the model",
            )


def _in_scope(strategy: Strategy, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def in_scope(*args: Any, **kwargs: Any) -> Any:
        if contexts.innermost() is not None:
            return method(*args, **kwargs)
        with strategy.scope():
            return method(*args, **kwargs)

    return in_scope


def _as_replica(strategy: Strategy, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def as_replica(*args: Any, **kwargs: Any) -> Any:
        with contexts.entered(strategy, as_replica=True):
            return method(*args, **kwargs)

    return as_replica
