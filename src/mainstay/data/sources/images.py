"""Image files as a source: rows are decoded and resized into one array on the threads that load them."""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, TensorSpec, storage_errors
from mainstay.data.chunks import Chunk, Origin
from mainstay.data.columns import Array
from mainstay.data.sources.reused_memory import ReusedMemory
from mainstay.data.sources.shared_work import SharedWork
from mainstay.data.sources.source import RandomAccess
from mainstay.data.structures import Structure
from mainstay.io import ImageForm, decode_images


class ImageFiles(RandomAccess):
    """The images of some files, with or without labels.

    Args:
        paths: The files.
        form: What they are decoded to.
        labels: ``[len(paths), ...]``: elements are ``(image, label)``; None: elements are images.
        num_classes: Labels, which are whole numbers below it, become one-hot vectors of this length, float32.
        channels_first: Whether an image is ``[channels, height, width]``.

    Raises:
        ArgumentError: There is not one label for each file, or one is no number of a class.
    """

    name = "image files"
    row_cost_is_high = True

    def __init__(
        self,
        paths: tuple[str, ...],
        form: ImageForm,
        *,
        labels: Array | None = None,
        num_classes: int | None = None,
        channels_first: bool = False,
    ) -> None:
        if labels is not None and len(labels) != len(paths):
            raise ArgumentError(
                "there is not one label for each image", expected=f"{len(paths)} labels", received=len(labels)
            )
        if num_classes is not None:
            _check_classes(labels, num_classes)
        self._paths, self._form, self._labels, self._num_classes = paths, form, labels, num_classes
        self._channels_first = channels_first
        self._memory = ReusedMemory()
        self._work = SharedWork()

    @property
    def spec(self) -> Structure:
        """An image, or an image and its label."""
        height, width, channels = self._form.shape
        shape = (channels, height, width) if self._channels_first else (height, width, channels)
        image = TensorSpec(shape, np.dtype(self._form.dtype))
        if self._labels is None:
            return image
        if self._num_classes is not None:
            return image, TensorSpec((self._num_classes,), np.dtype(np.float32))
        return image, TensorSpec(self._labels.shape[1:], self._labels.dtype)

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def row_bytes(self) -> int:
        """The size of a decoded image."""
        return int(np.prod(self._form.shape)) * np.dtype(self._form.dtype).itemsize

    def load(self, indices: Array) -> Chunk:
        """Return the images of some files.

        Raises:
            DataError: One cannot be decoded; the message names it.
            StorageError: One cannot be read.
        """
        paths = [self._paths[index] for index in indices]
        out = self._memory.array((len(paths), *self._form.shape), self._form.dtype)

        def decode(start: int, stop: int) -> None:
            some = paths[start:stop]
            decode_images(list(map(_read, some)), self._form, name=some.__getitem__, out=out[start:stop])

        self._work.run(decode, len(paths))
        images = out
        if self._channels_first:
            images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        labels = self._labels_at(indices)
        structure = images if labels is None else (images, labels)
        return Chunk.of(structure, len(indices), Origin(self._paths.__getitem__, indices))

    def _labels_at(self, indices: Array) -> Array | None:
        if self._labels is None or self._num_classes is None:
            return None if self._labels is None else self._labels[indices]
        vectors = np.zeros((len(indices), self._num_classes), np.float32)
        vectors[np.arange(len(indices)), self._labels[indices]] = 1
        return vectors

    def fingerprint(self) -> Any:
        """The names of the files, the labels, and what the images are decoded to."""
        return ["images", len(self), self._names_digest, str(self._form), self._num_classes, self._channels_first]

    def content(self) -> Any:
        """The same, and the size and the time of each file."""
        digest = hashlib.sha256()
        for path in self._paths:
            with storage_errors(path, "read"):
                status = os.stat(path)
            digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
        return [*self.fingerprint(), digest.hexdigest()]

    @cached_property
    def _names_digest(self) -> str:
        # A state holds wherever the files lie: they are named relative to the folder that is common to them.
        folders: dict[str, str] = {}
        names = [_absolute(path, folders) for path in self._paths]
        common = len(os.path.commonpath(set(folders.values()))) if names else 0
        digest = hashlib.sha256(os.fsencode("".join([f"{name[common:]}\0" for name in names])))
        if self._labels is not None:
            digest.update(f"{self._labels.dtype} {self._labels.shape}".encode() + self._labels.tobytes())
        return digest.hexdigest()


def _absolute(path: str, folders: dict[str, str]) -> str:
    """Return the absolute path of a file; every folder is looked up once, and noted with its own."""
    folder, separator, name = path.rpartition(os.sep)
    if not separator or name in ("", os.curdir, os.pardir) or os.altsep is not None:
        path = os.path.abspath(path)
        folders[path] = os.path.dirname(path)
        return path
    if folder not in folders:
        folders[folder] = os.path.join(os.path.abspath(folder or os.sep), "")
    return folders[folder] + name


def _check_classes(labels: Array | None, num_classes: int) -> None:
    whole = labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu"
    if labels is None or not whole or (labels.size and not 0 <= labels.min() <= labels.max() < num_classes):
        raise ArgumentError(
            "the labels are not numbers of classes",
            where="labels",
            expected=f"whole numbers from 0 to {num_classes - 1}",
            received="None" if labels is None else f"{labels.dtype} {list(labels.shape)}",
        )


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        with storage_errors(path, "read"):
            raise
