"""Artifacts that several tests read, written once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden_artifact
import numpy as np
import pytest

from mainstay.core import TensorSpec
from mainstay.saved_model import LoadedModel, ServingFunction, load


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact with a prefix, a suffix, assets, a sidecar and two signatures; not to be changed."""
    folder = tmp_path_factory.mktemp("artifact") / "model"
    golden_artifact.write(folder)
    return folder


@pytest.fixture(scope="session")
def model(artifact: Path) -> LoadedModel:
    """The artifact in memory, with few buckets so that little is compiled."""
    return load(artifact, replay=False, buckets=[1, 2, 8])


@pytest.fixture
def linear() -> Callable[..., ServingFunction]:
    """Makes ``y = w * x`` with any input spec, weight and tolerance."""

    def make(spec: TensorSpec | None = None, weight: Any = None, **more: Any) -> ServingFunction:
        weight = np.float32(2.0) if weight is None else weight
        spec = spec or TensorSpec([None], "float32", "x")
        return ServingFunction(lambda w, x: {"y": w["w"] * x[spec.name]}, (spec,), {"w": weight}, **more)

    return make
