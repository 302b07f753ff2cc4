"""A sound artifact, and a forger who changes one and makes every digest right again."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden_artifact
import pytest

EXTRA = "assets.extra/mainstay"


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact that nobody has touched; not to be changed."""
    folder = tmp_path_factory.mktemp("sound") / "model"
    golden_artifact.write(folder)
    return folder


def seal(folder: Path, manifest: bytes) -> None:
    (folder / EXTRA / "manifest.json").write_bytes(manifest)
    line = f"{hashlib.sha256(manifest).hexdigest()}  manifest.json\n"
    (folder / EXTRA / "manifest.sha256").write_text(line)


@pytest.fixture
def forge(sound: Path, tmp_path: Path) -> Callable[..., Path]:
    """Returns a copy of the artifact with files replaced and the manifest edited, all digests right."""

    def make(files: dict[str, bytes] | None = None, edit: Callable[[dict[str, Any]], Any] | None = None) -> Path:
        folder = Path(shutil.copytree(sound, tmp_path / "forged"))
        manifest = json.loads((folder / EXTRA / "manifest.json").read_text())
        for name, content in (files or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
            manifest["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        if edit is not None:
            edit(manifest)
        seal(folder, json.dumps(manifest).encode())
        return folder

    return make


@pytest.fixture
def forge_manifest(sound: Path, tmp_path: Path) -> Callable[[bytes], Path]:
    """Returns a copy of the artifact with another manifest altogether, rightly sealed."""

    def make(manifest: bytes) -> Path:
        folder = Path(shutil.copytree(sound, tmp_path / "forged"))
        seal(folder, manifest)
        return folder

    return make
