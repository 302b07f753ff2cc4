"""One changed byte anywhere in an artifact, or one that is cut off, and it is refused."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import IntegrityError
from mainstay.saved_model import load


@pytest.fixture(scope="module")
def copy(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(sound, tmp_path_factory.mktemp("flipped") / "model"))


@settings(max_examples=300)
@given(st.data())
def test_a_flipped_byte_is_refused_naming_the_file(copy: Path, data: st.DataObject) -> None:
    files = sorted(path for path in copy.rglob("*") if path.is_file() and path.stat().st_size)
    file = data.draw(st.sampled_from(files))
    original = file.read_bytes()
    position = data.draw(st.integers(0, len(original) - 1))
    other = data.draw(st.integers(1, 255))
    file.write_bytes(original[:position] + bytes([original[position] ^ other]) + original[position + 1 :])
    try:
        with pytest.raises(IntegrityError) as failure:
            load(copy, replay=False)
    finally:
        file.write_bytes(original)
    assert file.name.split(".")[0] in str(failure.value.where)


@settings(max_examples=60)
@given(st.data())
def test_a_truncated_file_is_refused(copy: Path, data: st.DataObject) -> None:
    files = sorted(path for path in copy.rglob("*") if path.is_file() and path.stat().st_size)
    file = data.draw(st.sampled_from(files))
    original = file.read_bytes()
    file.write_bytes(original[: data.draw(st.integers(0, len(original) - 1))])
    try:
        with pytest.raises(IntegrityError):
            load(copy, replay=False)
    finally:
        file.write_bytes(original)


def test_the_copy_is_sound_without_a_flip(copy: Path) -> None:
    assert load(copy, buckets=[8]).signatures
