"""Inspection: what a saved model is, as values and as JSON, without running anything of it."""

import json
import shutil
from pathlib import Path

import pytest

from mainstay.core import ArtifactError, FormatError, IntegrityError, TensorSpec
from mainstay.saved_model import inspect
from mainstay.saved_model.folder import seal_of

MANIFEST = "assets.extra/mainstay/manifest.json"


def test_an_artifact_tells_its_signatures_and_where_they_load(artifact: Path) -> None:
    found = inspect(artifact)
    assert (found.kind, found.format_version, found.signed) == ("mainstay", 2, False)
    assert found.platforms == ("cpu", "cuda", "tpu")
    assert found.assets == ("cities.txt", "classes.txt")
    assert found.bytes == sum(file.stat().st_size for file in artifact.rglob("*") if file.is_file())
    by_name = {item.name: item for item in found.signatures}
    assert by_name["serving_default"].mainstay == "host graph → program → host graph"
    assert by_name["transform_features"].mainstay == "host graph"
    assert by_name["serving_default"].inputs[0] == TensorSpec([None], "float64", "amount")
    assert "TF Serving" in by_name["serving_default"].tensorflow


def test_all_of_it_is_json(artifact: Path) -> None:
    value = json.loads(json.dumps(inspect(artifact).to_json()))
    assert value["signatures"][0]["inputs"][0] == {"name": "amount", "dtype": "float64", "shape": [None]}
    assert value["provenance"] == {"purpose": "longevity"}


def test_an_artifact_of_the_first_format_is_told(artifact: Path) -> None:
    first = Path(__file__).parent.parent / "golden" / "artifacts" / "v1"
    found = inspect(first)
    assert found.format_version == 1
    assert found.signatures[0].tensorflow == "nothing: the artifact has no saved_model.pb"


def test_what_is_no_saved_model_is_refused(tmp_path: Path, artifact: Path) -> None:
    with pytest.raises(ArtifactError, match="no saved model here"):
        inspect(tmp_path)
    with pytest.raises(ArtifactError, match="no saved model here"):
        inspect(tmp_path / "nothing")
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    with open(copy / MANIFEST, "ab") as file:
        file.write(b" ")
    with pytest.raises(IntegrityError, match="edited or truncated"):
        inspect(copy)


def test_a_newer_format_is_refused_with_what_to_do(tmp_path: Path, artifact: Path) -> None:
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    manifest = json.loads((copy / MANIFEST).read_text()) | {"format_version": 99}
    data = json.dumps(manifest).encode()
    (copy / MANIFEST).write_bytes(data)
    (copy / "assets.extra/mainstay/manifest.sha256").write_bytes(seal_of(data))
    with pytest.raises(FormatError, match="unknown format version") as failure:
        inspect(copy)
    assert failure.value.fix == "load it with a newer Mainstay"
