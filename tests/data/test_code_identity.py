"""Identities of functions: changed by whatever changes the result, by nothing else, the same in every process."""

from __future__ import annotations

import abc
import dataclasses
import enum
import functools
import importlib.util
import io
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from mainstay.core import ArgumentError
from mainstay.data.code_identity import identity_of
from mainstay.io import Ragged


def module(tmp_path: Path, name: str, text: str) -> ModuleType:
    path = tmp_path / f"{name}.py"
    path.write_text(textwrap.dedent(text))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


SOURCE = """
    import math
    import numpy as np

    SCALE = 2.0

    def helper(x):
        return x + 1

    class Step:
        def __init__(self, by):
            self.by = by

        def __call__(self, x):
            return helper(x) * self.by

    def function(x, power=2):
        y = np.log(x) * SCALE
        return [helper(z) ** power for z in y] + [math.pi]
"""

CHANGES = {
    "a constant": ("math.pi", "math.pi, 3"),
    "a global": ("SCALE = 2.0", "SCALE = 3.0"),
    "a helper": ("x + 1", "x + 2"),
    "a default": ("power=2", "power=3"),
    "another global": ("np.log(x)", "np.exp(x)"),
    "an operator": ("* SCALE", "/ SCALE"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_a_function_refers_to_changes_it(change: str, tmp_path: Path) -> None:
    before = identity_of(module(tmp_path, "storage_before", SOURCE).function)
    after = identity_of(module(tmp_path, "storage_after", SOURCE.replace(*CHANGES[change])).function)
    assert before != after


@pytest.mark.parametrize(
    "change", [("\n    def helper", "\n    # A comment.\n\n    def helper"), ("SCALE = 2.0", "SCALE = 1.0 + 1")]
)
def test_comments_places_and_spelling_change_nothing(change: tuple[str, str], tmp_path: Path) -> None:
    before = identity_of(module(tmp_path, "storage_before", SOURCE).function)
    assert identity_of(module(tmp_path, "storage_other", SOURCE.replace(*change)).function) == before


def test_objects_with_a_call_count_with_their_class_and_their_values(tmp_path: Path) -> None:
    one = module(tmp_path, "storage_one", SOURCE)
    assert identity_of(one.Step(1)) == identity_of(one.Step(1))
    assert identity_of(one.Step(1)) != identity_of(one.Step(2))
    other = module(tmp_path, "storage_two", SOURCE.replace("* self.by", "- self.by"))
    assert identity_of(one.Step(1)) != identity_of(other.Step(1))
    assert identity_of(one.Step(1).__call__) != identity_of(one.Step(2).__call__)


def closure(value: Any) -> Callable[[Any], Any]:
    return lambda x: (x, value)


@dataclasses.dataclass
class Settings:
    """A value of our own."""

    size: int
    names: tuple[str, ...] = ()


VALUES: list[Callable[[], Any]] = [
    lambda: 1,
    lambda: 1.0,
    lambda: True,
    lambda: "1",
    lambda: b"1",
    lambda: None,
    lambda: (1,),
    lambda: [1],
    lambda: {1},
    lambda: {"a": 1},
    lambda: {"b": 1},
    lambda: np.arange(3),
    lambda: np.arange(3, dtype="int32"),
    lambda: np.arange(3).reshape(3, 1),
    lambda: np.array(["a", 1], object),
    lambda: np.float32(1),
    lambda: np.dtype("int8"),
    lambda: Ragged.from_rows([[1], [2, 3]]),
    lambda: Ragged.from_rows([[1, 2], [3]]),
    lambda: re.compile("a+"),
    lambda: Path("a"),
    lambda: Settings(1),
    lambda: Settings(2),
    lambda: functools.partial(closure, 1),
    lambda: functools.partial(closure, 2),
    lambda: np.log,
    lambda: np.exp,
    lambda: len,
    lambda: os.path.join,
    lambda: functools.lru_cache(closure),
    lambda: slice(1, 2),
    lambda: range(3),
    lambda: Settings,
]


def test_different_values_have_different_identities_and_equal_ones_the_same() -> None:
    identities = [identity_of(closure(make())) for make in VALUES]
    assert len(set(identities)) == len(VALUES)
    assert [identity_of(closure(make())) for make in VALUES] == identities


def test_a_layer_counts_with_its_settings_and_weights() -> None:
    class Layer:
        def __init__(self, weights: Any) -> None:
            self.weights, self.hidden = weights, threading.Lock()

        def get_config(self) -> dict[str, Any]:
            return {"units": 3}

        def get_weights(self) -> list[Any]:
            return [self.weights]

    assert identity_of(Layer(np.ones(3))) == identity_of(Layer(np.ones(3)))
    assert identity_of(Layer(np.ones(3))) != identity_of(Layer(np.zeros(3)))


def test_values_that_contain_themselves_have_an_identity() -> None:
    one: list[Any] = [1]
    one.append(one)
    other: list[Any] = [2]
    other.append(other)
    assert identity_of(one) != identity_of(other)

    def countdown(x: int) -> int:
        return countdown(x - 1) if x else 0

    assert identity_of(countdown) == identity_of(countdown)


@pytest.mark.parametrize(
    "make",
    [threading.Lock, lambda: io.FileIO(os.devnull), np.random.default_rng],
    ids=["a lock", "a file", "a generator"],
)
def test_what_has_no_identity_is_refused_by_name(make: Callable[[], Any]) -> None:
    value = make()
    with pytest.raises(ArgumentError, match=r"value(?s:.)*key="):
        identity_of(closure(value))
    getattr(value, "close", lambda: None)()


def test_an_identity_is_the_same_in_every_process(tmp_path: Path) -> None:
    made = module(tmp_path, "storage_source", SOURCE)
    program = """
        import storage_source
        from mainstay.data.code_identity import identity_of
        print(identity_of([storage_source.function, storage_source.Step(3), {"c", "a", "b"}]))
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert found.strip() == identity_of([made.function, made.Step(3), {"c", "a", "b"}])


class Kinds(NamedTuple):
    """A named tuple with a method."""

    size: int

    def twice(self) -> int:
        return 2 * self.size


class Color(enum.Enum):
    """An enumeration."""

    RED = 1
    BLUE = 2


class Slotted(abc.ABC):  # noqa: B024 the base is what is tested
    """A class with slots, a cached property and a base that keeps books."""

    __slots__ = ("__dict__", "size")

    def __init__(self, size: int) -> None:
        self.size = size

    @functools.cached_property
    def half(self) -> float:
        return self.size / 2


def test_classes_of_all_kinds_have_identities() -> None:
    values = [Kinds(1), Kinds(2), Color.RED, Color.BLUE, Slotted(1), Slotted(2), Kinds, Color, Slotted]
    assert len({identity_of(value) for value in values}) == len(values)
