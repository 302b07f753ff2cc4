"""Models of a few nodes, written and loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import handmade_graphs as make
import pytest

from mainstay.saved_model import load


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Any]:
    """Loads a model of the given nodes with one signature, as TensorFlow would have written it."""

    def loaded(nodes, inputs, outputs, *, functions=(), tensors=None) -> Any:
        graph = make.meta_graph(nodes, {"f": make.signature(inputs, outputs)}, functions=functions)
        return load(make.write(tmp_path / "model", graph, tensors=tensors)).signatures["f"]

    return loaded
