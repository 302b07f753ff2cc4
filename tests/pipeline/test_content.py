"""Content digests with a memory: equal to plain digests, quick for what nobody touched, never fooled by an edit."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.core import PipelineError, StorageError, digest_tree
from mainstay.metadata import MetadataStore
from mainstay.pipeline.content import ContentReader


@pytest.fixture
def reads():
    return []


@pytest.fixture
def store(tmp_path):
    with MetadataStore(tmp_path / "metadata.sqlite") as opened:
        yield opened


@pytest.fixture
def reader(store, reads):
    return lambda: ContentReader(store, lambda name, num_bytes: reads.append((name, num_bytes)))


def settle(monkeypatch):
    """Let the files of a test look as if nobody had touched them for an hour."""
    monkeypatch.setattr("mainstay.pipeline.content.time.time_ns", lambda: 2**62)


names = st.lists(st.sampled_from(["a", "b/c", "b/d", "e.txt", "ä"]), unique=True, max_size=5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=names, content=st.binary(max_size=20))
def test_digests_are_those_of_the_core(store, tmp_path_factory, names, content):
    folder = tmp_path_factory.mktemp("tree")
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content * index)
    found = ContentReader(store).read(folder)
    assert found.digest == digest_tree(folder)
    assert found.num_files == len(names)
    assert found.num_bytes == sum(len(content) * index for index in range(len(names)))
    for name in names:
        assert ContentReader(store).read(folder / name).digest == digest_tree(folder / name)


def test_a_file_that_nobody_touched_is_read_once(tmp_path, reader, reads, monkeypatch):
    settle(monkeypatch)
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    first = reader().read(file, name="data")
    assert reader().read(file, name="data") == first
    assert reads == [("data", 5)]


def test_a_file_that_was_just_written_is_read_again(tmp_path, reader, reads):
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    reader().read(file)
    reader().read(file)
    assert len(reads) == 2


def test_of_a_folder_only_the_touched_files_are_read_again(tmp_path, reader, reads, monkeypatch):
    settle(monkeypatch)
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / name).write_bytes(b"123")
    before = reader().read(folder)
    (folder / "b").write_bytes(b"4567")
    after = reader().read(folder)
    assert after.digest == digest_tree(folder) != before.digest
    assert reads == [("", 9), ("", 4)]


def test_an_edit_that_keeps_size_and_modification_time_is_seen(tmp_path, reader, monkeypatch):
    settle(monkeypatch)
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    os.utime(file, ns=(10**18, 10**18))
    before = reader().read(file)
    file.write_bytes(b"54321")
    os.utime(file, ns=(10**18, 10**18))
    assert reader().read(file).digest == digest_tree(file) != before.digest


def test_another_file_moved_to_the_place_is_seen(tmp_path, reader, monkeypatch):
    settle(monkeypatch)
    for name, content in (("a", b"12345"), ("b", b"54321")):
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, ns=(10**18, 10**18))
    before = reader().read(tmp_path / "a")
    os.replace(tmp_path / "b", tmp_path / "a")
    assert reader().read(tmp_path / "a").digest != before.digest


def test_a_file_with_a_time_in_the_future_is_always_read(tmp_path, reader, reads):
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    os.utime(file, ns=(2**61, 2**61))
    reader().read(file)
    reader().read(file)
    assert len(reads) == 2


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path, reader, monkeypatch):
    file = tmp_path / "a"
    file.write_bytes(b"12345")

    def digest(path):
        with open(path, "ab") as opened:
            opened.write(b"6")
        return "0" * 64

    monkeypatch.setattr("mainstay.pipeline.content.digest_file", digest)
    with pytest.raises(PipelineError, match="changes while it is read"):
        reader().read(file)


def test_pipes_and_links_to_folders_are_refused(tmp_path, reader):
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(PipelineError, match="a pipe"):
        reader().read(folder)
    (folder / "pipe").unlink()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(PipelineError, match="link to another folder"):
        reader().read(folder)


def test_links_to_files_are_followed_unless_they_are_refused(tmp_path, reader):
    (tmp_path / "folder").mkdir()
    (tmp_path / "target").write_bytes(b"1")
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "target")
    assert reader().read(tmp_path / "folder").num_bytes == 1
    with pytest.raises(PipelineError, match="symbolic link"):
        reader().read(tmp_path / "folder", links=False)
    (tmp_path / "target").unlink()
    with pytest.raises(StorageError):
        reader().read(tmp_path / "folder")


def test_what_is_gone_is_refused(tmp_path, reader):
    with pytest.raises(StorageError, match="nowhere"):
        reader().read(tmp_path / "nowhere")


def test_a_name_that_is_no_text_is_digested_too(tmp_path, reader, monkeypatch):
    settle(monkeypatch)
    folder = tmp_path / "folder"
    folder.mkdir()
    with open(os.fsencode(folder) + b"/\xff\xfe", "wb") as file:
        file.write(b"1")
    assert reader().read(folder).digest == digest_tree(folder)


def test_a_change_during_a_run_is_noticed_and_a_mere_touch_is_not(tmp_path, reader):
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    content = reader()
    content.read(file)
    assert content.is_unchanged(file)
    os.utime(file, ns=(10**18, 10**18))
    assert content.is_unchanged(file)
    file.write_bytes(b"54321")
    assert not content.is_unchanged(file)
    file.unlink()
    assert not content.is_unchanged(file)
