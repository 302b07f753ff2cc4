"""What the house tests share: the source tree, and the files that belong to the project."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def source(repository: Path) -> Path:
    """The package's folder."""
    return repository / "src" / "mainstay"


@pytest.fixture(scope="session")
def tracked(repository: Path) -> list[Path]:
    """The files of the project, as git lists them."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("this tree is not a git checkout")
    files = [repository / name for name in listing.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]
