"""Functions written with NumPy run for many elements at once where NumPy and XLA mean the same, and only there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mainstay.data import Dataset
from mainstay.data.chunks import Chunk
from mainstay.data.functions.chain import decide
from mainstay.data.functions.rows import RowMap
from mainstay.data.functions.steps import Step
from mainstay.data.functions.traced import TracedSteps

ROWS = np.random.default_rng(0).normal(1, 2, (40, 6)).astype("float32")
WHOLE = np.random.default_rng(1).integers(0, 250, (40, 6))

TRACED: list[Callable[[Any], Any]] = [
    lambda x: np.log1p(np.clip(x, 0.1, 0.9)),
    lambda x: np.exp(x).astype("float16"),
    lambda x: (x - np.mean(x)) / (np.std(x) + 1e-6),
    lambda x: np.where(x > 1, x, 0),
    lambda x: np.concatenate([x, x[::-1]]),
    lambda x: np.stack([np.sqrt(np.abs(x)), x], axis=-1),
    lambda x: np.pad(np.sort(x), (0, 2)),
    lambda x: {"a": np.tanh(x).reshape(2, 3).T, "b": np.log(x.max() + 20)},
    lambda x: np.sin(x).sum() + np.float32(1),
    lambda x: np.expand_dims(np.square(x), 0)[..., 1:4],
    lambda x: np.stack([np.cos(row) for row in x.reshape(3, 2)]),
    lambda x: np.hypot(x, x[0]) @ np.ones((6, 2), "float32"),
    lambda x: np.isfinite(x) & (np.floor(x) > 0),
]
CALLED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda x: np.log(np.abs(x) + np.float64(1)), "in Python float64"),
    (lambda x: np.exp(x).astype("float64"), "float64"),
    (lambda x: np.exp(x).astype("uint8"), "integers of floats"),
    (lambda x: np.exp(x) if np.exp(x).sum() > 2 else x, "not known while it is traced"),
    (lambda x: np.exp(x)[np.argsort(x)], "argsort"),
    (lambda x: np.exp(x)[np.exp(x) > 1].sum(), "no plain numbers"),
    (lambda x: np.add.reduce(np.exp(x)), "in a way that only NumPy has"),
    (lambda x: np.exp(x) + np.random.default_rng().random(6).astype("float32"), "something else each time"),
    (lambda x: np.linalg.norm(np.exp(x)), "norm"),
    (lambda x: np.float32(str(np.exp(x)[0])), "not known while it is traced"),
]


def decided(function: Callable[[Any], Any], rows: np.ndarray[Any, Any]) -> Any:
    (found,) = decide([Step(function)], Chunk(0, (rows[:4],), 4))
    return found


@pytest.mark.parametrize("function", TRACED)
def test_what_means_the_same_runs_for_many_elements_and_gives_what_numpy_gives(function: Callable[[Any], Any]) -> None:
    assert isinstance(decided(function, ROWS), TracedSteps)
    for made, row in zip(Dataset.from_tensor_slices(ROWS).map(function).as_numpy_iterator(), ROWS, strict=True):
        expected = function(row)
        for one, other in zip(*map(_leaves, (made, expected)), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=2e-3 if one.dtype == "float16" else 2e-5, atol=1e-5)


@pytest.mark.parametrize(("function", "reason"), CALLED)
def test_what_may_differ_is_called_for_each_element_and_says_why(function: Callable[[Any], Any], reason: str) -> None:
    found = decided(function, ROWS)
    assert isinstance(found, RowMap)
    assert reason in found.reason


@pytest.mark.parametrize(
    "function", [lambda x: np.sqrt(7 // x), lambda x: np.sqrt(x % x[0]), lambda x: np.sqrt(np.power(x, x))]
)
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_whole_numbers_are_not_divided_by_what_may_be_zero(function: Callable[[Any], Any]) -> None:
    assert isinstance(decided(function, WHOLE + 1), RowMap)


def test_numbers_of_64_bits_stay_so() -> None:
    dataset = Dataset.from_tensor_slices(WHOLE).map(lambda x: np.sqrt(x // 3))
    assert isinstance(decided(lambda x: np.sqrt(x // 3), WHOLE), TracedSteps)
    assert dataset.element_spec.dtype == "float64"
    np.testing.assert_allclose(list(dataset.as_numpy_iterator()), np.sqrt(WHOLE // 3), rtol=1e-14)


def test_filters_and_further_steps_take_numpy_too() -> None:
    dataset = Dataset.from_tensor_slices(ROWS).map(np.abs).filter(lambda x: np.mean(x) > 2).map(lambda x: x + 1)
    expected = [np.abs(row) + 1 for row in ROWS if np.mean(np.abs(row)) > 2]
    np.testing.assert_allclose(list(dataset.as_numpy_iterator()), expected, rtol=1e-6)


def _leaves(value: Any) -> list[Any]:
    return [value[key] for key in sorted(value)] if isinstance(value, dict) else [value]
