"""Real TensorFlow computes what JAX computes, from programs that Mainstay wrote as plain ops."""

import sys
from collections.abc import Callable
from pathlib import Path

import interop_env
import pytest
from jax.extend import core

from mainstay.saved_model.plain_ops.programs import supported_primitives
from tests.interop.saved_models.plain import graphs, models
from tests.interop.saved_models.plain.cases import cases as every_case
from tests.interop.saved_models.plain.graphs import Case

UNTRIED = frozenset(
    [
        "add_any",
        "broadcast_to",
        "call",
        "closed_call",
        "copy_p",
        "core_call",
        "custom_vmap_call",
        "device_put",
        "empty",
        "empty2",
        "eq_to",
        "expand_dims",
        "layout_constraint",
        "name",
        "pvary",
        "scatter-sub",
        "sharding_constraint",
        "unstack",
    ]
)
"""Primitives that are other names of some that are tried, or that only programs for several devices have."""

SIZE = 24


def batches() -> list[Case]:
    """The cases of single primitives, some at a time."""
    plain = [case for case in every_case() if not case.x64]
    wide = [case for case in every_case() if case.x64]
    made = [graphs.together(f"cases_{k // SIZE}", plain[k : k + SIZE]) for k in range(0, len(plain), SIZE)]
    return [*made, graphs.together("cases_wide", wide)]


class Run:
    """Cases that TensorFlow has run."""

    def __init__(self, cases: list[Case], folder: Path) -> None:
        self.cases = {case.name: case for case in cases}
        self.folder = folder
        for case in cases:
            graphs.write(folder, case)
            case.evaluate()
        graphs.run(interop_env.python_of("tensorflow"), folder)

    def beyond(self, name: str) -> dict[str, float]:
        """The results of a case that differ by more than they may."""
        return graphs.beyond(self.folder, self.cases[name])

    def primitives(self) -> set[str]:
        """The primitives that occur in the cases."""
        seen: set[str] = set()
        for case in self.cases.values():
            _collect(case.trace().jaxpr, seen)
        return seen


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory, missing) -> Callable[[list[Case]], Run]:
    """Runs cases in TensorFlow."""
    if sys.version_info >= (3, 14):
        pytest.skip("TensorFlow has no build for this Python")
    if not interop_env.is_current("tensorflow"):
        missing(".interop/tensorflow", "python tools/interop_env.py tensorflow")
    return lambda cases: Run(cases, tmp_path_factory.mktemp("plain_ops"))


@pytest.fixture(scope="session")
def single(start) -> Run:
    """The cases of single primitives."""
    return start(batches())


@pytest.fixture(scope="session")
def layers(start) -> Run:
    """The cases of layers."""
    return start(models.layer_cases())


@pytest.fixture(scope="session")
def applications(start) -> Run:
    """The cases of whole models."""
    return start(models.application_cases())


COUNT = -(-len([case for case in every_case() if not case.x64]) // SIZE)


@pytest.mark.parametrize("name", [*(f"cases_{k}" for k in range(COUNT)), "cases_wide"])
def test_single_primitives_give_what_jax_gives(name: str, single: Run) -> None:
    assert single.beyond(name) == {}


@pytest.mark.parametrize("name", sorted(models.groups()))
def test_layers_of_keras_give_what_they_give_on_jax(name: str, layers: Run) -> None:
    assert layers.beyond(f"layers_{name}") == {}


@pytest.mark.parametrize("name", models.APPLICATIONS)
def test_whole_models_give_what_they_give_on_jax(name: str, applications: Run) -> None:
    assert applications.beyond(f"model_{name}") == {}


def test_every_primitive_that_is_supported_is_tried(single: Run) -> None:
    assert set(supported_primitives()) - single.primitives() == UNTRIED


def test_every_layer_of_keras_is_tried_or_has_a_reason() -> None:
    layers = models.L
    by_class = {}
    for name in dir(layers):
        found = getattr(layers, name)
        if isinstance(found, type) and issubclass(found, layers.Layer):
            by_class.setdefault(found, set()).add(name)
    tried = {word.rstrip(",") for group in models.groups().values() for text in group[0] for word in text.split()}
    tried |= models.WITHOUT_TENSORS | models.NOT_TRACEABLE
    assert [names for names in by_class.values() if not names & tried] == []


def _collect(jaxpr: core.Jaxpr, seen: set[str]) -> None:
    for equation in jaxpr.eqns:
        seen.add(equation.primitive.name)
        for inner in core.jaxprs_in_params(equation.params):
            _collect(inner, seen)
