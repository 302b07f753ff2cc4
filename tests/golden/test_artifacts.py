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
