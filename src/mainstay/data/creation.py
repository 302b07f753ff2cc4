"""The ways to make a dataset from something that is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mainstay.data.creation_files import FileCreation
from mainstay.data.creation_mixed import MixedCreation
from mainstay.data.creation_objects import ObjectCreation
from mainstay.data.operations.reading import of_source
from mainstay.data.sources.arrays import ArraySource, RangeSource
from mainstay.data.sources.images import ImageFiles
from mainstay.data.structures import Structure
from mainstay.io import ImageForm

if TYPE_CHECKING:
    from mainstay.data.dataset import Dataset


class Creation(MixedCreation, FileCreation, ObjectCreation):
    """The class methods of `Dataset` that begin a plan."""

    @staticmethod
    def from_tensor_slices(tensors: Structure, name: str | None = None) -> Dataset:
        """Return the rows of arrays.

        Args:
            tensors: Arrays, lists, Arrow arrays or `mainstay.io.Ragged` with one leading axis of the same length, in
                any structure of dicts and tuples. They are not copied: what is changed in them later shows.
            name: What reports call it.

        Raises:
            ArgumentError: There is no array, one has no axis, or their lengths differ.

        Example:
            >>> from mainstay.data import Dataset
            >>> [x.tolist() for x in Dataset.from_tensor_slices([[1, 2], [3, 4]])]
            [[1, 2], [3, 4]]
        """
        return of_source(ArraySource(tensors), name)

    @staticmethod
    def range(*args: int, output_type: Any = "int64", name: str | None = None) -> Dataset:
        """Return whole numbers, as Python's `range` has them.

        Args:
            *args: ``stop``, or ``start, stop``, or ``start, stop, step``.
            output_type: Their dtype.
            name: What reports call it.

        Example:
            >>> from mainstay.data import Dataset
            >>> [int(x) for x in Dataset.range(1, 6, 2)]
            [1, 3, 5]
        """
        numbers = range(*map(int, args))
        return of_source(RangeSource(numbers.start, numbers.stop, numbers.step, str(output_type)), name)

    @staticmethod
    def from_image_files(
        paths: Sequence[str],
        form: ImageForm,
        *,
        labels: Any = None,
        num_classes: int | None = None,
        channels_first: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Return the images of files, decoded and resized straight into arrays on the dataset's threads.

        Args:
            paths: JPEG, PNG, GIF (their first frame) and BMP files.
            form: The channels, the size and the dtype that images are given, and how they are resized.
            labels: ``[len(paths), ...]``: elements are ``(image, label)``; None: elements are images.
            num_classes: Labels, which are whole numbers below it, become one-hot vectors of this length.
            channels_first: Whether an image is ``[channels, height, width]`` instead of ``[height, width, channels]``.
            name: What reports call it.

        Raises:
            ArgumentError: There is not one label for each file, or one is no number of a class.

        Example:
            >>> import numpy as np, pathlib, tempfile
            >>> from mainstay.data import Dataset
            >>> from mainstay.io import ImageForm, encode_png
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = pathlib.Path(folder, "gray.png")
            ...     _ = path.write_bytes(encode_png(np.full((4, 6, 1), 7, np.uint8)))
            ...     images = Dataset.from_image_files([str(path)], ImageForm(channels=3, size=(2, 2)))
            ...     [image.numpy()[0, 0].tolist() for image in images]
            [[7.0, 7.0, 7.0]]
        """
        numbers = None if labels is None else np.asarray(labels)
        source = ImageFiles(tuple(paths), form, labels=numbers, num_classes=num_classes, channels_first=channels_first)
        return of_source(source, name)
