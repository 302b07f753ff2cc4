"""Artifacts that earlier versions wrote still load and still answer the same."""

from pathlib import Path

import golden_artifact
import numpy as np
import pytest

from mainstay.saved_model import FORMAT_VERSION, load, verify

ARTIFACTS = sorted(golden_artifact.FOLDER.iterdir())


def test_there_is_an_artifact_of_every_format_version() -> None:
    assert [path.name for path in ARTIFACTS] == [f"v{version}" for version in range(1, FORMAT_VERSION + 1)]


@pytest.mark.parametrize("path", ARTIFACTS, ids=lambda path: path.name)
def test_an_old_artifact_is_whole_and_reproduces_its_golden_answers(path: Path) -> None:
    assert max(verify(path).differences.values()) <= 1e-6


def test_the_second_format_gives_back_functions_and_variables() -> None:
    model = load(golden_artifact.FOLDER / "v2", buckets=[8])
    answer = model.signatures["exact"](matrix=[[1.0, 2.0, 3.0], [3.0, 6.0, 9.0]], number=1)
    assert answer["centred"].tolist() == [[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]]
    assert int(answer["next"]) == 2
    assert model.signatures["serving_default"].method == "classify"
    assert [(v.name, v.trainable) for v in model.variables] == [("offsets/0", False), ("encoder/kernel", True)]
    first, (second, third) = model.several(np.ones((2, 3), np.float32))
    assert (first[0, 0], second[0].tolist(), third["sum"]) == (2.0, [2.0, 3.0, 4.0], 6.0)
    assert model.several(np.ones(3, np.float32), scale=3.0)[0].tolist() == [3.0, 3.0, 3.0]
    expected = [[0.00309308, 0.04943284, 0.94747412]]
    np.testing.assert_allclose(model.encoder.encode(np.ones((1, 6), np.float32)), expected, atol=1e-6)
    assert model.assets["notes.txt"].read_bytes() == b"kept\n"


def test_the_first_format_answers_as_on_the_day_it_was_written() -> None:
    serve = load(golden_artifact.FOLDER / "v1", buckets=[8]).signatures["serving_default"]
    answers = serve(golden_artifact.rows())
    assert answers["label"].tolist() == ["maybe", "çok", "maybe", "çok", "maybe"]
    expected = [
        [0.3326953, 0.36089873, 0.30640602],
        [0.16467072, 0.29407173, 0.54125756],
        [0.0, 1.0, 0.0],
        [0.06965461, 0.26096284, 0.6693826],
        [0.267574, 0.4118588, 0.3205672],
    ]
    np.testing.assert_allclose(answers["scores"], expected, atol=1e-6)
