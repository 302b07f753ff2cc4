"""What is written for TensorFlow answers as the artifact does when it is read like any other SavedModel."""

import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from mainstay import saved_model
from mainstay.core import TensorSpec
from mainstay.framework import Module, Variable, function
from mainstay.saved_model import ServingFunction


class Doubler(Module):
    """Two functions with one variable."""

    def __init__(self) -> None:
        self.factor = Variable(np.float32(2.0), name="factor")

    @function(input_signature=[TensorSpec([None], "float32", "x")])
    def double(self, x):
        return {"y": x * self.factor}

    @function(input_signature=[TensorSpec([None], "float32", "x")])
    def halve(self, x):
        return {"y": x / self.factor}


def foreign(path: Path):
    """An artifact without what is Mainstay's own."""
    copy = shutil.copytree(path, path.with_name("foreign"))
    shutil.rmtree(copy / "assets.extra")
    return saved_model.load(copy)


def test_a_function_with_short_weights(tmp_path: Path) -> None:
    weights = {"w": np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16)}
    spec = (TensorSpec([None, 2], "float32", "x"),)
    served = ServingFunction(lambda w, x: {"y": x["x"] @ w["w"].astype("float32")}, spec, weights)
    saved_model.save(served, tmp_path / "model", tensorflow="ops")
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)
    own, other = (
        m.signatures["serving_default"](x)["y"]
        for m in (saved_model.load(tmp_path / "model"), foreign(tmp_path / "model"))
    )
    np.testing.assert_allclose(own, other, rtol=1e-6)


@pytest.mark.parametrize("name", ["double", "halve"])
def test_a_module_with_two_functions(tmp_path: Path, name: str) -> None:
    module = Doubler()
    saved_model.save(module, tmp_path / "model", signatures={"double": module.double, "halve": module.halve})
    x = np.float32([1, 4])
    (answer,) = foreign(tmp_path / "model").signatures[name](x=x).values()
    assert np.asarray(answer).tolist() == {"double": [2.0, 8.0], "halve": [0.5, 2.0]}[name]
