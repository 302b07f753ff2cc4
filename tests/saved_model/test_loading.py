"""Loading: what is checked before a model may answer, and what is never imported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import golden_artifact
import pytest

from mainstay.core import ArgumentError, ArtifactError, FormatError, IntegrityError
from mainstay.saved_model import load
from mainstay.saved_model.bundle import DATA_FILE


@pytest.fixture
def copy(artifact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(artifact, tmp_path / "copy"))


FILES = [
    "assets.extra/mainstay/golden.npz",
    "assets.extra/mainstay/host_graph.json",
    "assets.extra/mainstay/manifest.sha256",
    "assets.extra/mainstay/serving_default.stablehlo",
    "assets/cities.txt",
    DATA_FILE,
]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_naming_it(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(IntegrityError, match="missing") as failure:
        load(copy)
    assert failure.value.where == str(copy / name)


@pytest.mark.parametrize("name", [*FILES[:2], *FILES[3:]])
def test_a_truncated_file_is_refused_naming_it(copy: Path, name: str) -> None:
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[:-1])
    with pytest.raises(IntegrityError, match="truncated or edited") as failure:
        load(copy)
    assert failure.value.where == str(copy / name)


@pytest.mark.parametrize("name", [*FILES[:2], *FILES[3:]])
def test_an_edited_file_is_refused_naming_it(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(IntegrityError, match="edited") as failure:
        load(copy)
    assert failure.value.where == str(copy / name)


@pytest.mark.parametrize("name", ["README", "assets/more.txt", "assets.extra/mainstay/x.stablehlo", "new/deep/file"])
def test_an_added_file_is_refused_naming_it(copy: Path, name: str) -> None:
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_bytes(b"")
    with pytest.raises(IntegrityError, match="added") as failure:
        load(copy)
    assert failure.value.where == str(copy / name)


def test_warm_up_requests_may_be_added(copy: Path) -> None:
    (copy / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"whatever it is")
    assert load(copy).signatures
    nearly = copy / "assets.extra" / "tf_serving_warmup_requests2"
    nearly.write_bytes(b"")
    with pytest.raises(IntegrityError, match="added"):
        load(copy)


@pytest.mark.parametrize("name", ["assets/cities.txt", "assets.extra/mainstay/manifest.json", "assets", "new"])
def test_a_symbolic_link_is_refused_even_to_the_same_content(copy: Path, tmp_path: Path, name: str) -> None:
    original = tmp_path / "elsewhere"
    if (copy / name).exists():
        shutil.move(copy / name, original)
    os.symlink(original, copy / name)
    with pytest.raises(IntegrityError, match=r"link|plain files"):
        load(copy)


def test_a_pipe_is_refused_and_not_waited_for(copy: Path) -> None:
    (copy / "assets" / "cities.txt").unlink()
    os.mkfifo(copy / "assets" / "cities.txt")
    with pytest.raises(IntegrityError, match="plain files"):
        load(copy)


def test_the_artifact_may_be_moved_and_reached_through_a_link(copy: Path, tmp_path: Path) -> None:
    moved = copy.rename(tmp_path / "moved")
    os.symlink(moved, tmp_path / "current")
    answers = load(tmp_path / "current", buckets=[8]).signatures["serving_default"](golden_artifact.rows())
    assert len(answers["label"]) == 5


def test_what_is_no_artifact_is_refused_saying_what_it_is(tmp_path: Path) -> None:
    for make, received in (
        (lambda: None, "no such folder"),
        ((tmp_path / "m").mkdir, "a folder without it"),
    ):
        make()
        with pytest.raises(ArtifactError, match="no saved model of Mainstay") as failure:
            load(tmp_path / "m")
        assert received in (failure.value.received or "")
    (tmp_path / "m" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(FormatError, match="a SavedModel without a graph"):
        load(tmp_path / "m")


def test_a_folder_of_versions_and_a_file_of_keras_say_what_to_load(tmp_path: Path) -> None:
    for version in ("2", "10"):
        (tmp_path / "versions" / version).mkdir(parents=True)
    (tmp_path / "model.keras").write_bytes(b"")
    for name, advice in (("versions", "versions/10"), ("model.keras", "keras.models.load_model")):
        with pytest.raises(ArtifactError) as failure:
            load(tmp_path / name)
        assert advice in (failure.value.fix or "")


def test_an_artifact_that_lost_its_manifest_is_no_model_of_tensorflow(artifact: Path, tmp_path: Path) -> None:
    """Else its digests could be got rid of by deleting a file."""
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    (copy / "assets.extra" / "mainstay" / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match="no saved model of Mainstay"):
        load(copy)


@pytest.mark.parametrize("buckets", [[], [0], [-1, 2]])
def test_buckets_that_are_no_batch_sizes_are_refused(artifact: Path, buckets: list[int]) -> None:
    with pytest.raises(ArgumentError, match="batch sizes"):
        load(artifact, buckets=buckets)


def test_loading_and_answering_imports_no_keras(artifact: Path) -> None:
    program = """if True:
        import sys
        import mainstay
        assert "jax" not in sys.modules
        from mainstay import saved_model
        assert "jax" not in sys.modules
        saved_model.tune_for_serving()
        signature = saved_model.load(sys.argv[1]).signatures["serving_default"]
        print(signature(amount=[1.0], city=["Berlin"])["label"][0] in ("no", "maybe", "çok"))
        print([name for name in ("keras", "tensorflow", "torch", "flax") if name in sys.modules])
    """
    command = [sys.executable, "-c", program, str(artifact)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.stdout.split("\n")[:2] == ["True", "[]"], done.stderr


def test_compiled_programs_are_kept_in_a_folder_outside_the_artifact(artifact: Path, tmp_path: Path) -> None:
    program = """if True:
        import sys
        from mainstay import saved_model
        saved_model.tune_for_serving(cache_folder=sys.argv[2])
        saved_model.load(sys.argv[1], buckets=[8])
    """
    subprocess.run([sys.executable, "-c", program, str(artifact), str(tmp_path / "cache")], check=True)
    assert list((tmp_path / "cache").iterdir())
