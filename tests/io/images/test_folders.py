import os

import numpy as np
import pytest

from mainstay.core import ArgumentError, DataError
from mainstay.io import list_image_folder


@pytest.fixture
def folder(tmp_path):
    for name in (
        "b/2.jpg",
        "b/1.PNG",
        "b/deep/0.bmp",
        "a/x.gif",
        "a/y.jpeg",
        "a/readme.txt",
        ".hidden/z.png",
        "top.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(listed, folder):
    return [os.path.relpath(path, folder).replace(os.sep, "/") for path in listed.paths]


def test_each_folder_is_a_class_in_the_order_of_the_names(folder):
    listed = list_image_folder(folder)
    assert names(listed, folder) == ["a/x.gif", "a/y.jpeg", "b/1.PNG", "b/2.jpg", "b/deep/0.bmp"]
    assert listed.labels.tolist() == [0, 0, 1, 1, 1]
    assert listed.class_names == ("a", "b")


def test_classes_can_be_chosen_and_ordered(folder):
    listed = list_image_folder(folder, class_names=["b", "a"])
    assert listed.labels.tolist() == [0, 0, 0, 1, 1]
    assert list_image_folder(folder, class_names=["b"]).class_names == ("b",)
    with pytest.raises(ArgumentError, match="'c'"):
        list_image_folder(folder, class_names=["a", "c"])


def test_without_labels_every_image_is_listed(folder):
    listed = list_image_folder(folder, labels=None)
    assert names(listed, folder)[0] == "top.png"
    assert len(listed) == 7
    assert listed.labels is listed.class_names is None
    with pytest.raises(ArgumentError, match="class_names"):
        list_image_folder(folder, labels=None, class_names=["a"])


def test_labels_can_be_given(folder):
    listed = list_image_folder(folder, labels=[5, 5, 7, 7, 5, 7, 5])
    assert listed.labels.tolist() == [5, 5, 7, 7, 5, 7, 5]
    assert listed.class_names == ("5", "7")
    with pytest.raises(ArgumentError, match="7 labels"):
        list_image_folder(folder, labels=[1, 2])


def test_links_to_folders_are_followed_when_asked_and_never_round_and_round(folder):
    (folder / "a" / "link").symlink_to(folder / "b", target_is_directory=True)
    (folder / "a" / "loop").symlink_to(folder / "a", target_is_directory=True)
    assert len(list_image_folder(folder, class_names=["a"])) == 2
    assert len(list_image_folder(folder, class_names=["a"], follow_links=True)) == 5


def test_shuffling_and_splitting_keep_files_and_labels_together(folder):
    listed = list_image_folder(folder)
    label = dict(zip(listed.paths, listed.labels.tolist(), strict=True))
    shuffled = listed.shuffled(3)
    parts = [shuffled.split(0.4, "training"), shuffled.split(0.4, "validation")]
    assert [len(part) for part in parts] == [3, 2]
    assert sorted(parts[0].paths + parts[1].paths) == sorted(listed.paths)
    for part in parts:
        assert [label[path] for path in part.paths] == part.labels.tolist()


def test_the_shuffled_order_is_that_of_keras(folder):
    listed = list_image_folder(folder)
    expected = list(listed.paths)
    np.random.RandomState(3).shuffle(expected)
    assert list(listed.shuffled(3).paths) == expected


def test_folders_without_images_or_classes_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        list_image_folder(tmp_path / "missing")
    with pytest.raises(DataError, match="no classes"):
        list_image_folder(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="no images"):
        list_image_folder(tmp_path)
    with pytest.raises(DataError, match="local"):
        list_image_folder("gs://bucket/images")
