"""Several steps in one program: for small models, the time between two steps is longer than the steps themselves.

A run of `fit`, `evaluate` or `predict` takes this path where nobody can see the difference: no callback looks at
single batches, the results are equal bit for bit, and the run is long enough to pay for compiling one more program.
What decides is counted, never timed, so that a run is repeatable. An accelerator does not wait for Python between
two steps, and a large step on a CPU uses all cores only outside of a loop; both keep to one step per program.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from mainstay.keras.training.cost import operations
from mainstay.keras.training.datasets import Batches, DatasetAdapter

STEPS = 20
"""How many steps one program takes at most."""
FEWEST = 4
"""How many steps one program takes at least: fewer gain nothing."""
SMALL = 3e7
"""Up to how many floating-point operations a step counts as small."""
SMALL_MODEL = 2_000_000
"""Up to how many weights a model is looked at more closely."""
LONG = 2000
"""After how many steps, those of earlier runs included, a further program has paid for itself."""

_DEFAULTS = (keras.callbacks.History, keras.callbacks.ProgbarLogger)
_HOOKS = {
    "train": ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end"),
    "test": ("on_test_batch_begin", "on_test_batch_end"),
    "predict": ("on_predict_batch_begin", "on_predict_batch_end"),
}


@dataclass(eq=False)
class Run:
    """A run of `fit`, `evaluate` or `predict`.

    Args:
        model: The model.
        kind: ``train``, ``test`` or ``predict``.
        callbacks: What the caller passed.
        epochs: How many epochs are planned.
        steps: How many steps one program takes, 0 before that is decided.
        is_fixed: Whether the caller of `compile` has decided that, in Keras' own way.
        adapter: What feeds the run, once that is known.
        validation: The dataset that validates a run of `fit`, once that is known.
        validation_place: Where that dataset is to go on; None for its beginning.
    """

    model: Any
    kind: str
    callbacks: Any
    epochs: int = 1
    steps: int = 0
    is_fixed: bool = False
    adapter: Any = None
    validation: DatasetAdapter | None = None
    validation_place: bytes | None = None

    @property
    def validates(self) -> bool:
        """Whether what is fed next validates a run of `fit`."""
        return self.kind == "train" and self.adapter is not None

    def announce(self, adapter: Any) -> None:
        """Remember what feeds the run: the first one does, a further one is for the validation of `fit`."""
        if self.adapter is None:
            self.adapter = adapter
        elif self.validates and isinstance(adapter, DatasetAdapter):
            self.validation = adapter
            if self.validation_place is not None:
                adapter.resume(self.validation_place, 0)


_running = threading.local()


def current_run() -> Run | None:
    """Return the run that this thread is in, the innermost one."""
    run: Run | None = getattr(_running, "run", None)
    return run


def current_dataset() -> DatasetAdapter | None:
    """Return the dataset that feeds the run that this thread is in, if it is one."""
    run = current_run()
    adapter = None if run is None else run.adapter
    return adapter if isinstance(adapter, DatasetAdapter) else None


@contextmanager
def running(run: Run | None) -> Iterator[None]:
    """Make `run` the current one for the time of the block."""
    outer, _running.run = current_run(), run
    try:
        yield
    finally:
        _running.run = outer


def listens(callback: Any, hook: str) -> bool:
    """Return whether a callback does something at a hook, as its class or as an instance."""
    method = getattr(callback, hook, None)
    return getattr(method, "__func__", method) is not getattr(keras.callbacks.Callback, hook)


def steps_for(run: Run, adapter: Any) -> int:
    """Return how many steps one program shall take in a run over arrays or a dataset, and count the run's steps."""
    model = run.model
    is_dataset = isinstance(adapter, DatasetAdapter)
    structure = adapter.peek() if is_dataset else getattr(adapter, "_inputs", None)
    leaves = jax.tree.leaves(structure)
    if not leaves or not all(isinstance(leaf, (np.ndarray, jax.Array)) for leaf in leaves):
        return 1
    whole = adapter.full_batches if is_dataset else leaves[0].shape[0] // adapter.batch_size
    done = model.__dict__.get("_steps_done", {})
    planned = done[run.kind] = done.get(run.kind, 0) + whole * run.epochs
    model.__dict__["_steps_done"] = done
    steps = min(STEPS, whole)
    if steps < FEWEST or planned < LONG or not _undisturbed(run):
        return 1
    if sum(int(np.prod(weight.shape)) for weight in model.weights) > SMALL_MODEL:
        return 1
    rows = leaves[0].shape[0] if is_dataset else adapter.batch_size
    batch = jax.tree.map(lambda leaf: _abstract((rows, *leaf.shape[1:]), leaf.dtype), structure)
    return steps if _cost(model, run.kind, batch) <= SMALL else 1


def _undisturbed(run: Run) -> bool:
    model = run.model
    callbacks = run.callbacks.callbacks if isinstance(run.callbacks, keras.callbacks.CallbackList) else run.callbacks
    return (
        jax.default_backend() == "cpu"
        and keras.distribution.distribution() is None
        and not model.run_eagerly
        and bool(model.jit_compile)
        and not any(
            listens(callback, hook)
            for callback in keras.tree.flatten(callbacks or [])
            if type(callback) not in _DEFAULTS
            for hook in _HOOKS[run.kind]
        )
    )


def _abstract(shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(dtype))  # type: ignore[no-untyped-call]


def _cost(model: Any, kind: str, batch: Any) -> float:
    known = model.__dict__.setdefault("_step_costs", {})
    key = (kind, str(batch))
    if key not in known:
        groups = [model.trainable_variables, model.non_trainable_variables]
        groups += [model.optimizer.variables] if kind == "train" else []
        groups += [model.metrics_variables] if kind != "predict" else []
        state = tuple([_abstract(item.shape, item.dtype) for item in group] for group in groups)
        known[key] = operations(jax.make_jaxpr(getattr(model, f"{kind}_step"))(state, batch))
    return float(known[key])


def several(model: Any, step: Callable[[Any, Any], Any], ordinary: Any, *, concatenate: bool) -> Callable[..., Any]:
    """Return Keras' step over an iterator, which takes as many batches as the run decided.

    Args:
        model: The model; its current run says how many batches are taken.
        step: The compiled step of one batch, ``(state, batch) -> (outputs, state)``.
        ordinary: What Keras makes of it.
        concatenate: Whether the outputs of the batches are wanted one after the other; else those of the last are.
    """

    def scan(state: Any, batches: Any) -> Any:
        state, outputs = jax.lax.scan(lambda carried, batch: step(carried, batch)[::-1], state, batches)
        if concatenate:
            return jax.tree.map(lambda value: value.reshape(-1, *value.shape[2:]), outputs), state
        return jax.tree.map(lambda value: value[-1], outputs), state

    compiled = jax.jit(scan, donate_argnums=0)

    def take(state: Any, iterator: Iterator[Any]) -> Any:
        run = current_run()
        if run is None or run.is_fixed or run.model is not model or run.steps < FEWEST:
            return ordinary(state, iterator)
        together = iterator.several(run.steps) if isinstance(iterator, Batches) else None
        if together is not None:
            return compiled(state, together)
        batches = list(itertools.islice(iterator, run.steps))
        if len(batches) == run.steps and all(_alike(batches[0], batch) for batch in batches[1:]):
            return compiled(state, jax.tree.map(_stack, *batches))
        if not batches:
            raise StopIteration
        outputs = []
        for batch in batches:
            output, state = step(state, batch)
            outputs.append(output)
        if concatenate:
            return jax.tree.map(lambda *values: jnp.concatenate(values), *outputs), state
        return outputs[-1], state

    return take


def _alike(one: Any, other: Any) -> bool:
    return [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(one)] == [
        (leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(other)
    ]


def _stack(*leaves: Any) -> Any:
    return np.stack(leaves) if isinstance(leaves[0], np.ndarray) else jnp.stack(leaves)
