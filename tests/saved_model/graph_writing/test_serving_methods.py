"""Classify and regress: which outputs TF Serving's server takes, and under which names."""

import numpy as np
import pytest

from mainstay.saved_model.graph_writing.serving_methods import served_names
from mainstay.saved_model.graph_writing.structured_values import Spec

FLOAT, INT = np.dtype(np.float32), np.dtype(np.int32)


@pytest.mark.parametrize("shape", [(None,), (None, 1)])
def test_regress_gives_one_number_for_each_row_whatever_its_name(shape) -> None:
    assert served_names("regress", [Spec("price", FLOAT, shape)]) == {"price": "outputs"}


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [Spec("y", INT, (None,))],
        [Spec("y", FLOAT, (None, 2))],
        [Spec("y", FLOAT, (None,)), Spec("z", FLOAT, (None,))],
        [Spec("y", FLOAT, None)],
    ],
)
def test_regress_takes_nothing_else(outputs) -> None:
    assert isinstance(served_names("regress", outputs), str)


def test_classify_gives_classes_and_scores_or_one_of_both() -> None:
    scores, labels = Spec("p", FLOAT, (None, 3)), Spec("l", "string", (None, 3))
    assert served_names("classify", [scores]) == {"p": "scores"}
    assert served_names("classify", [labels, scores]) == {"l": "classes", "p": "scores"}
    assert served_names("classify", [Spec("l", "string", (None,)), Spec("p", FLOAT, (None, 1))]) == {
        "l": "classes",
        "p": "scores",
    }


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [Spec("y", INT, (None, 2))],
        [Spec("y", FLOAT, (None, 2)), Spec("z", FLOAT, (None, 2))],
        [Spec("y", FLOAT, (None, 2, 2))],
        [Spec("l", "string", (None,)), Spec("p", FLOAT, (None, 3))],
    ],
)
def test_classify_takes_nothing_else(outputs) -> None:
    assert isinstance(served_names("classify", outputs), str)
