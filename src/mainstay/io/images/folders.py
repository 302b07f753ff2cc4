"""Folders of images, one folder per class, listed in the order that Keras lists them in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mainstay.core import ArgumentError, DataError, storage_errors

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
"""The files of a folder that are images; capitals do not matter."""


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """The images of a folder.

    Args:
        directory: The folder.
        paths: The paths of the files.
        labels: The number of each file's class, ``[len(paths)] int32``; None without labels.
        class_names: The names of the classes by their numbers; None without labels.
    """

    directory: str
    paths: tuple[str, ...]
    labels: NDArray[Any] | None = None
    class_names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def shuffled(self, seed: int) -> ImageFolder:
        """Return the files in the random order that Keras gives them with a seed."""
        return self._at(np.random.RandomState(seed).permutation(len(self)))

    def split(self, validation_split: float, subset: Literal["training", "validation"]) -> ImageFolder:
        """Return the files of a subset: the last ones, rounded down to a whole number, are for validation.

        Args:
            validation_split: The fraction for validation, between 0 and 1.
            subset: Which one.
        """
        training = len(self) - int(validation_split * len(self))
        return self._at(np.arange(training) if subset == "training" else np.arange(training, len(self)))

    def _at(self, indices: NDArray[Any]) -> ImageFolder:
        paths = tuple(self.paths[index] for index in indices)
        return replace(self, paths=paths, labels=None if self.labels is None else self.labels[indices])


def list_image_folder(
    directory: str | os.PathLike[str],
    *,
    labels: Literal["inferred"] | Sequence[int] | None = "inferred",
    class_names: Sequence[str] | None = None,
    follow_links: bool = False,
) -> ImageFolder:
    """List the images of a folder.

    Args:
        directory: The folder.
        labels: ``'inferred'``: each folder in it is a class, and numbered in the order of the names; None: there are
            none; or the label of each file, in the order of the paths.
        class_names: The classes in another order, or some of them.
        follow_links: Whether links to folders inside the classes' folders are followed.

    Returns:
        The files, class by class, each class in the order of its folders and names.

    Raises:
        ArgumentError: The class names or the labels do not match what is there.
        DataError: The folder is not there, or there is no class or no image in it.
        StorageError: The file system refuses.
    """
    root = os.fspath(directory)
    if "://" in root:
        raise DataError("only local folders are read", where=root, fix="copy the images, then name the local folder")
    if not os.path.isdir(root):
        raise DataError(
            "there is no such folder", where=root, fix="check the path; it is relative to the working folder"
        )
    if labels == "inferred":
        return _classes(root, class_names, follow_links)
    if class_names is not None:
        raise ArgumentError(
            "class names go with inferred labels only", where="class_names", received=f"labels={labels!r}"
        )
    paths = tuple(_files(root, follow_links))
    if labels is None:
        return _checked(ImageFolder(root, paths))
    if len(labels) != len(paths):
        raise ArgumentError(
            "there is not one label for each image",
            where="labels",
            expected=f"{len(paths):,} labels, as there are images in {root}",
            received=f"{len(labels):,}",
        )
    names = tuple(map(str, sorted(set(labels))))
    return _checked(ImageFolder(root, paths, np.asarray(labels, np.int32), names))


def _classes(root: str, class_names: Sequence[str] | None, follow_links: bool) -> ImageFolder:
    with storage_errors(root, "read"):
        folders = sorted(
            name for name in os.listdir(root) if not name.startswith(".") and os.path.isdir(os.path.join(root, name))
        )
    if class_names is not None and not set(class_names) <= set(folders):
        raise ArgumentError(
            "there are no folders of these classes",
            where="class_names",
            expected=f"some of {folders}",
            received=sorted(set(class_names) - set(folders)),
        )
    names = tuple(folders if class_names is None else class_names)
    if not names:
        raise DataError(
            "the folder holds no classes",
            where=root,
            expected="a folder of images for each class",
            fix="name the folder above the classes, or pass labels=None",
        )
    paths: list[str] = []
    counts = []
    for name in names:
        found = list(_files(os.path.join(root, name), follow_links))
        paths += found
        counts.append(len(found))
    return _checked(ImageFolder(root, tuple(paths), np.repeat(np.arange(len(names), dtype=np.int32), counts), names))


def _files(folder: str, follow_links: bool) -> Iterator[str]:
    """Yield the images below a folder, ordered by their folders and then by their names."""
    found = []
    visited = {os.path.realpath(folder)}
    with storage_errors(folder, "read"):
        for place, below, names in os.walk(folder, followlinks=follow_links, onerror=_raise):
            if follow_links:  # a link to a folder above would lead round and round
                below[:] = [name for name in below if _is_new(os.path.join(place, name), visited)]
            found.append((place, sorted(name for name in names if name.lower().endswith(IMAGE_SUFFIXES))))
    for place, names in sorted(found):
        yield from (os.path.join(place, name) for name in names)


def _is_new(folder: str, visited: set[str]) -> bool:
    real = os.path.realpath(folder)
    is_new = real not in visited
    visited.add(real)
    return is_new


def _raise(error: OSError) -> None:
    raise error


def _checked(folder: ImageFolder) -> ImageFolder:
    if not folder.paths:
        raise DataError(
            "there are no images in the folder",
            where=folder.directory,
            expected=f"files that end in {', '.join(IMAGE_SUFFIXES)}",
        )
    return folder
