"""Folders by an attacker: links, pipes, names that are one on some file systems, and models that are cut off."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import model_seeds
import numpy as np
import pytest

from mainstay.core import ArtifactError, FormatError, IntegrityError, MainstayError, ParityError, StorageError
from mainstay.saved_model import load
from mainstay.saved_model.bundle import DATA_FILE, INDEX_FILE, read_index
from mainstay.saved_model.column_archive import read_npz
from mainstay.saved_model.tables import decode_table, encode_table
from mainstay.saved_model.tensor_names import by_name

Forge = Callable[..., Path]
EMPTY = {"size": 0, "sha256": hashlib.sha256(b"").hexdigest()}


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A SavedModel of TensorFlow with a variable."""
    return model_seeds.numbers(tmp_path / "stranger")


@pytest.mark.parametrize("name", ["saved_model.pb", INDEX_FILE, DATA_FILE, "variables"])
def test_a_link_out_of_a_stranger_s_folder_is_not_followed(stranger: Path, tmp_path: Path, name: str) -> None:
    (stranger / name).rename(tmp_path / "outside")
    (stranger / name).symlink_to(tmp_path / "outside")
    with pytest.raises((IntegrityError, StorageError)):
        load(stranger).signatures["f"]([[1.0, 2.0]])


def test_a_link_of_the_folder_of_assets_is_not_followed(tmp_path: Path) -> None:
    folder = model_seeds.texts(tmp_path / "texts")
    (folder / "assets").rename(tmp_path / "outside")
    (folder / "assets").symlink_to(tmp_path / "outside")
    with pytest.raises(IntegrityError, match="leads out"):
        load(folder)


@pytest.mark.parametrize("name", ["saved_model.pb", INDEX_FILE, DATA_FILE])
def test_a_pipe_in_a_stranger_s_folder_is_not_waited_for(stranger: Path, name: str) -> None:
    (stranger / name).unlink()
    os.mkfifo(stranger / name)
    with pytest.raises(MainstayError):
        load(stranger).signatures["f"]([[1.0, 2.0]])


@pytest.mark.parametrize("seed", ["numbers", "texts"])
def test_a_stranger_s_model_that_is_cut_off_anywhere_is_refused(tmp_path: Path, seed: str) -> None:
    folder = model_seeds.FOREIGN[seed](tmp_path / "whole")
    signature = load(folder).signatures["f"]
    signature.run(signature.blank(2))
    for file in [each for each in folder.rglob("*") if each.is_file() and "assets" not in each.parts]:
        whole = file.read_bytes()
        for length in (0, len(whole) // 3, len(whole) - 1):
            file.write_bytes(whole[:length])
            with pytest.raises(MainstayError):
                signature = load(folder).signatures["f"]
                signature.run(signature.blank(2))
        file.write_bytes(whole)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("notes/Words.txt", "notes/words.txt"),
        ("notes/stra\u00dfe", "notes/STRASSE"),
        ("notes/\u00e9", "notes/e\u0301"),
        ("notes/\u00c9", "notes/e\u0301"),
        ("NOTES/words.txt", "notes/words.txt"),
    ],
)
def test_names_that_are_one_on_some_file_systems_are_refused(forge: Forge, one: str, other: str) -> None:
    with pytest.raises(FormatError, match="two paths that some file systems hold for one"):
        load(forge(edit=lambda m: m["files"].update({one: EMPTY, other: EMPTY})))


@pytest.mark.parametrize("name", ["assets", "variables", "assets.extra"])
def test_a_folder_that_is_a_link_is_refused_in_an_artifact(forge: Forge, tmp_path: Path, name: str) -> None:
    folder = forge()
    (folder / name).rename(tmp_path / "outside")
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(IntegrityError, match=r"link|plain files"):
        load(folder)


def test_a_pipe_in_an_artifact_is_refused(forge: Forge) -> None:
    folder = forge()
    os.mkfifo(folder / "assets" / "pipe")
    with pytest.raises(IntegrityError, match="plain files"):
        load(folder)


def test_an_artifact_without_a_manifest_is_no_stranger_s_model(forge: Forge) -> None:
    folder = forge()
    (folder / "assets.extra" / "mainstay" / "manifest.json").unlink()
    with pytest.raises(ArtifactError):
        load(folder)


def test_exchanged_weights_of_one_shape_are_found_by_the_golden_answers(forge: Forge, sound: Path) -> None:
    """The entries of two rows' worth of bytes are made to point to each other's place, with every digest right."""
    index = (sound / INDEX_FILE).read_bytes()
    entries = by_name(read_index(index))
    kernel, data = entries["dense/kernel"], bytearray((sound / DATA_FILE).read_bytes())
    values = np.frombuffer(bytes(data[kernel.offset : kernel.offset + kernel.size]), np.float32).reshape(kernel.shape)
    data[kernel.offset : kernel.offset + kernel.size] = np.ascontiguousarray(values[::-1]).tobytes()
    with pytest.raises(ParityError, match="differs from its sealed one"):
        load(forge({DATA_FILE: bytes(data)}), buckets=[8])


def test_two_weights_may_not_be_told_to_lie_past_each_other_s_end(forge: Forge, sound: Path) -> None:
    table = decode_table((sound / INDEX_FILE).read_bytes())
    key = next(name for name in table if name.startswith(b"dense/kernel"))
    other = next(name for name in table if name.startswith(b"dense/bias"))
    table[key], table[other] = table[other], table[key]
    with pytest.raises(FormatError, match="not stored as the manifest says"):
        load(forge({INDEX_FILE: encode_table(sorted(table.items()))}))


def test_an_archive_with_a_name_twice_is_refused(tmp_path: Path) -> None:
    import io
    import zipfile

    part, buffer = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array(part, np.zeros(2), version=(1, 0))
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", part.getvalue())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", part.getvalue())
    with pytest.raises(FormatError, match="plain"):
        read_npz(buffer.getvalue())


def test_a_copy_of_a_stranger_s_model_is_read_through_a_link_to_its_folder(stranger: Path, tmp_path: Path) -> None:
    shutil.copytree(stranger, tmp_path / "copy")
    (tmp_path / "link").symlink_to(tmp_path / "copy")
    answers: Any = load(tmp_path / "link").signatures["f"]([[1.0, 2.0]])
    assert answers["y"].shape == (1, 2)
