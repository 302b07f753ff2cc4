import os

import pytest

from mainstay.core import StorageError
from mainstay.serving.models.config import ModelConfig, VersionPolicy
from mainstay.serving.models.sources import Source, find_sources, folder_state, is_artifact, memory_estimate


def artifact(folder):
    (folder / "assets.extra" / "mainstay").mkdir(parents=True)
    (folder / "assets.extra" / "mainstay" / "manifest.json").touch()
    return folder


def found(folder, **policy):
    return find_sources(ModelConfig("m", folder, policy=VersionPolicy(**policy)))


def test_an_artifact_is_served_as_version_1(tmp_path):
    folder = artifact(tmp_path / "model")
    assert found(folder) == [Source("m", 1, folder)]


def test_an_artifact_in_a_numbered_folder_has_that_version(tmp_path):
    assert found(artifact(tmp_path / "0017"))[0].version == 17


def test_a_saved_model_of_tensorflow_is_an_artifact(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    assert is_artifact(tmp_path)
    assert not is_artifact(tmp_path / "absent")


def test_a_model_in_memory_is_version_1():
    model = object()
    assert find_sources(ModelConfig("m", model=model)) == [Source("m", 1, model=model)]


def test_versions_are_the_folders_with_numbers_for_names(tmp_path):
    for name in ("1", "2", "010", "x", ".11.partial", "-3", "1.5", "²", "9" * 50, str(2**63)):
        (tmp_path / name).mkdir()
    (tmp_path / "99").touch()
    (tmp_path / "7").symlink_to(tmp_path / "2")
    assert [source.version for source in found(tmp_path, kind="all")] == [1, 2, 7, 10]
    assert found(tmp_path) == [Source("m", 10, tmp_path / "010")]
    assert [source.version for source in found(tmp_path, kind="specific", versions=(2, 5))] == [2]


def test_of_two_folders_with_one_number_the_last_in_the_alphabet_counts(tmp_path):
    for name in ("1", "01", "001"):
        (tmp_path / name).mkdir()
    assert found(tmp_path) == [Source("m", 1, tmp_path / "1")]


def test_an_empty_folder_has_no_versions_and_a_missing_one_is_an_error(tmp_path):
    assert found(tmp_path) == []
    with pytest.raises(StorageError, match="Could not find base path"):
        found(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="Could not find base path"):
        found(tmp_path / "file")


def test_the_state_of_a_folder_changes_with_its_files(tmp_path):
    assert folder_state(tmp_path / "absent") == (0, 0, 0)
    states = [folder_state(tmp_path)]
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "a"
    file.write_bytes(b"12345")
    states.append(folder_state(tmp_path))
    file.write_bytes(b"123456")
    states.append(folder_state(tmp_path))
    os.utime(file, ns=(1, 2))
    states.append(folder_state(tmp_path))
    assert len(set(states)) == len(states)
    assert states[-1] == (1, 6, 2)


def test_memory_is_estimated_as_tf_serving_does(tmp_path):
    (tmp_path / "weights").write_bytes(bytes(1000))
    assert memory_estimate(tmp_path) == 1200


def test_a_model_in_memory_need_not_be_hashable():
    class Model:
        __hash__ = None

        def __eq__(self, other):
            raise AssertionError("nobody compares models")

    one, two = Model(), Model()
    assert {Source("m", 1, model=one): 1} == {Source("m", 1, model=one): 1}
    assert Source("m", 1, model=one) != Source("m", 1, model=two)
