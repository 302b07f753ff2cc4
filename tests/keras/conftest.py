"""What the tests of the Keras room share: small models, data, and a comparison bit for bit."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from mainstay import keras
from mainstay.framework.compilation_cache import set_compilation_cache


def bits(model: Any) -> list[np.ndarray]:
    """Every variable of a model and of its optimizer."""
    optimizer = getattr(model, "optimizer", None)
    return [np.asarray(v.value) for v in [*model.weights, *(optimizer.variables if optimizer else [])]]


@pytest.fixture(scope="session", autouse=True)
def _kept_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compile each of the many equal small programs once."""
    set_compilation_cache(tmp_path_factory.mktemp("programs"))
    yield
    set_compilation_cache(None)


@pytest.fixture
def assert_same_bits() -> Callable[[Any, Any], None]:
    def check(one: Any, other: Any) -> None:
        left, right = bits(one), bits(other)
        assert [value.dtype for value in left] == [value.dtype for value in right]
        for ours, theirs in zip(left, right, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    return check


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.random((64, 4), dtype="float32")
    return x, (x.sum(1) > 2).astype("int64")


@pytest.fixture
def model() -> Any:
    """A compiled classifier with dropout and batch normalisation: states of every kind."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    made = keras.Sequential(
        [
            layers.Dense(8, activation="relu", input_shape=(4,)),
            layers.BatchNormalization(),
            layers.Dropout(0.25),
            layers.Dense(2, activation="softmax"),
        ]
    )
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made
