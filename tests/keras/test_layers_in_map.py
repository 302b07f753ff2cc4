"""Layers of Keras as functions of a dataset: plain ones are traced, those that draw numbers are called each time."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mainstay.data import Dataset

IMAGES = np.arange(20 * 4 * 4 * 3, dtype=np.uint8).reshape(20, 4, 4, 3)


@pytest.fixture(scope="module")
def layers() -> Iterator[Any]:
    from mainstay import keras

    yield keras.layers
    keras.backend.clear_session()


def report(dataset: Dataset) -> str:
    from mainstay.data.execution.engine import Engine
    from mainstay.data.plan import Planner

    lowered: Any = dataset.plan.lower(Planner(Engine()))
    return "\n".join(lowered.functions[-1].report())


def test_a_layer_without_state_is_traced(layers: Any) -> None:
    layer = layers.Rescaling(1 / 255, offset=-0.5)
    dataset = Dataset.from_tensor_slices((IMAGES, np.arange(20))).map(lambda x, y: (layer(x), y))
    assert "traced" in report(dataset)
    image, label = next(dataset.as_numpy_iterator())
    np.testing.assert_allclose(image, IMAGES[0] / 255 - 0.5, rtol=1e-5, atol=1e-6)
    assert label.dtype == "int64"


def test_a_layer_that_was_never_called_builds_itself_with_numbers(layers: Any) -> None:
    rows = np.random.default_rng(0).normal(3, 2, (50, 3)).astype(np.float32)
    layer = layers.Normalization(mean=[3.0, 3.0, 3.0], variance=[4.0, 4.0, 4.0])
    batches = Dataset.from_tensor_slices(rows).batch(10).map(layer)
    assert "traced" in report(batches)
    got = np.concatenate(list(batches.as_numpy_iterator()))
    np.testing.assert_allclose(got, (rows - 3) / 2, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer(rows), got, rtol=1e-4, atol=1e-5)


def test_a_layer_that_draws_numbers_is_called_for_each_element_and_stays_whole(layers: Any) -> None:
    layer = layers.RandomFlip("horizontal", seed=3)
    flipped = Dataset.from_tensor_slices(IMAGES).map(lambda x: layer(x, training=True))
    assert "called for each element" in report(flipped)
    got = list(flipped.as_numpy_iterator())
    mirrored = [np.array_equal(image, IMAGES[i][:, ::-1]) for i, image in enumerate(got)]
    same = [np.array_equal(image, IMAGES[i]) for i, image in enumerate(got)]
    assert all(a or b for a, b in zip(mirrored, same, strict=True))
    assert any(mirrored)
    assert any(same)
    assert np.asarray(layer(IMAGES[:2], training=True)).shape == (2, 4, 4, 3)
