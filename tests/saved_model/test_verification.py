"""Verification: in this process, in a fresh one, and from the command line."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mainstay.core import ArtifactError, IntegrityError
from mainstay.saved_model import verify, verify_in_fresh_process


def test_a_report_says_what_was_checked(artifact: Path) -> None:
    report = verify(artifact)
    assert report.files == 12
    assert report.rows == {"serving_default": 5, "transform_features": 5}
    assert report.differences["transform_features"] == 0.0
    assert report.differences["serving_default"] <= 1e-6
    assert report.facts()["signature transform_features"] == "5 golden rows, largest difference 0"


def test_a_fresh_process_comes_to_the_same_report(artifact: Path) -> None:
    assert verify_in_fresh_process(artifact) == verify(artifact)


def test_a_refusal_in_a_fresh_process_is_the_same_error(artifact: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    (copy / "assets" / "cities.txt").write_bytes(b"")
    with pytest.raises(IntegrityError, match="truncated or edited") as failure:
        verify_in_fresh_process(copy)
    assert failure.value.where == str(copy / "assets" / "cities.txt")


def test_a_process_that_dies_is_an_artifact_that_is_refused(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ArtifactError, match="died"):
        verify_in_fresh_process(artifact)


def test_the_command_line_has_an_exit_status(artifact: Path, tmp_path: Path) -> None:
    for path, status, text in ((artifact, 0, "5 golden rows"), (tmp_path, 1, "MS200")):
        command = [sys.executable, "-m", "mainstay.saved_model", str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == status
        assert text in done.stdout + done.stderr
