"""`mainstay inspect` prints what a saved model is, as a table and as JSON."""

import json
from pathlib import Path

import golden_artifact
import pytest

from mainstay.cli import main

FIRST = golden_artifact.FOLDER / "v1"


def test_a_table_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["inspect", str(FIRST)]) == 0
    printed = capsys.readouterr().out
    for text in ("format version 1", "serving_default", "transform_features", "cities.txt", "longevity"):
        assert text in printed


def test_json_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(FIRST), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["kind"] == "mainstay"
    assert [item["name"] for item in value["signatures"]] == ["serving_default", "transform_features"]


def test_of_numbered_versions_the_newest_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (2, 10):
        (tmp_path / str(number)).symlink_to(FIRST, target_is_directory=True)
    assert main(["inspect", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(tmp_path / "10")


def test_what_is_no_saved_model_has_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path)]) == 2
    assert "no saved model here" in capsys.readouterr().err
