"""`keras.utils.image_dataset_from_directory` on our own datasets: without TensorFlow, and the same images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np

from mainstay.core import ArgumentError
from mainstay.data import Dataset
from mainstay.io import ImageFolder, ImageForm, list_image_folder

_keras_function = keras.utils.image_dataset_from_directory

_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
_LABEL_MODES = ("int", "categorical", "binary", None)
_SUBSETS = ("training", "validation", "both", None)


class ImageDataset(Dataset):
    """A dataset of images that knows what it was made of.

    Args:
        dataset: The images.
        folder: What it was made of.
    """

    def __init__(self, dataset: Dataset, folder: ImageFolder) -> None:
        super().__init__(dataset.plan)
        self.class_names = None if folder.class_names is None else list(folder.class_names)
        self.file_paths = list(folder.paths)


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Literal["inferred"] | Sequence[int] | None = "inferred",
    label_mode: Literal["int", "categorical", "binary"] | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: Literal["grayscale", "rgb", "rgba"] = "rgb",
    batch_size: int | None = 32,
    image_size: int | tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: Literal["training", "validation", "both"] | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: Literal["channels_last", "channels_first"] | None = None,
    format: str = "tf",  # noqa: A002
    verbose: bool = True,
) -> Any:
    """Return the images of a folder that has a folder for each class, as Keras does.

    Args:
        directory: The folder; JPEG, PNG, GIF (their first frame) and BMP files are found in it at any depth.
        labels: ``'inferred'`` from the folders; None for none; or the label of each file in the order of the paths.
        label_mode: ``'int'``: ``int32``; ``'categorical'``: one-hot ``float32``; ``'binary'``: ``float32 [1]``; None.
        class_names: The classes in another order, or some of them.
        color_mode: ``'grayscale'``, ``'rgb'`` or ``'rgba'``.
        batch_size: Images in a batch; None for no batches.
        image_size: ``(height, width)``.
        shuffle: Whether every pass has an order of its own, over all images; else they come in order of their paths.
        seed: Makes the order and the split repeatable.
        validation_split: The fraction of the images that is kept for validation.
        subset: ``'training'``, ``'validation'`` or ``'both'``, which gives two datasets.
        interpolation: A method of `mainstay.io.resize_images`.
        follow_links: Whether links to folders are followed.
        crop_to_aspect_ratio: Whether the middle of the size's proportions is cut out first.
        pad_to_aspect_ratio: Whether proportions are kept and the rest is black.
        data_format: ``'channels_last'`` or ``'channels_first'``; Keras' own by default.
        format: ``'tf'`` for a dataset of `mainstay.data`; ``'grain'`` for Keras' own on Grain.
        verbose: Whether the number of images and classes is printed.

    Returns:
        A `Dataset` of ``(images, labels)``, or of images alone, with the attributes `class_names` and `file_paths`;
        a list of two with ``subset='both'``. Images are ``float32`` from 0 to 255, with ``'nearest'`` ``uint8``.

    Raises:
        ArgumentError: An argument is wrong.
        DataError: There are no images; later, an image cannot be decoded: the message names its file.
    """
    arguments = dict(locals())
    if format == "grain":
        return _keras_function(**arguments)
    _check_choices(format, color_mode, label_mode, subset)
    _check_labels(labels)
    _check_split(validation_split, subset, shuffle and seed is None)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ArgumentError(
            "an image is either cropped or padded", received="crop_to_aspect_ratio, pad_to_aspect_ratio"
        )
    form = ImageForm(
        _CHANNELS[color_mode],
        (image_size, image_size) if isinstance(image_size, int) else image_size,
        interpolation.lower(),
        fit="crop" if crop_to_aspect_ratio else "pad" if pad_to_aspect_ratio else "stretch",
        dtype="uint8" if interpolation.lower() == "nearest" else "float32",
    )
    wanted = None if label_mode is None else labels
    folder = list_image_folder(directory, labels=wanted, class_names=class_names, follow_links=follow_links)
    if label_mode == "binary" and folder.class_names is not None and len(folder.class_names) != 2:
        raise ArgumentError("there must be two classes", where="label_mode='binary'", received=list(folder.class_names))
    if verbose:
        _tell(folder)
    if shuffle and seed is not None:
        folder = folder.shuffled(seed)
    channels_first = (data_format or keras.config.image_data_format()) == "channels_first"

    def dataset(part: ImageFolder, *, shuffled: bool) -> ImageDataset:
        images = _dataset(part, form, label_mode, channels_first)
        images = images.shuffle(len(part), seed=seed) if shuffled else images
        return ImageDataset(images if batch_size is None else images.batch(batch_size), part)

    if not validation_split or subset is None:
        return dataset(folder, shuffled=shuffle)
    parts = {name: _part(folder, validation_split, name, verbose) for name in _names(subset)}
    orders = {"training": shuffle, "validation": shuffle and subset != "both"}
    datasets = [dataset(part, shuffled=orders[name]) for name, part in parts.items()]
    return datasets if subset == "both" else datasets[0]


def _dataset(folder: ImageFolder, form: ImageForm, label_mode: str | None, channels_first: bool) -> Dataset:
    labels, classes = folder.labels, None
    if labels is not None and label_mode == "binary":
        labels = labels.astype(np.float32)[:, None]
    elif labels is not None and label_mode == "categorical":
        classes = len(folder.class_names or ())
    return Dataset.from_image_files(
        folder.paths, form, labels=labels, num_classes=classes, channels_first=channels_first, name="image folder"
    )


def _names(subset: str) -> tuple[Literal["training", "validation"], ...]:
    both: tuple[Literal["training", "validation"], ...] = ("training", "validation")
    return both if subset == "both" else tuple(name for name in both if name == subset)


def _part(
    folder: ImageFolder, validation_split: float, name: Literal["training", "validation"], verbose: bool
) -> ImageFolder:
    part = folder.split(validation_split, name)
    if not len(part):
        raise ArgumentError(
            f"no image is left for {name}",
            where="validation_split",
            expected="a fraction that leaves images on both sides",
            received=f"{validation_split} of {len(folder):,} images",
        )
    if verbose:
        print(f"Using {len(part):,} files for {name}.")
    return part


def _tell(folder: ImageFolder) -> None:
    classes = "" if folder.class_names is None else f" belonging to {len(folder.class_names):,} classes"
    print(f"Found {len(folder):,} files{classes}.")


def _check_choices(format: str, color_mode: str, label_mode: str | None, subset: str | None) -> None:  # noqa: A002
    choices: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
        ("format", format, ("tf", "grain")),
        ("color_mode", color_mode, tuple(_CHANNELS)),
        ("label_mode", label_mode, _LABEL_MODES),
        ("subset", subset, _SUBSETS),
    )
    for name, value, allowed in choices:
        if value not in allowed:
            raise ArgumentError(
                f"there is no such {name}", where=name, expected=" or ".join(map(repr, allowed)), received=repr(value)
            )


def _check_labels(labels: Any) -> None:
    if labels is None or isinstance(labels, (list, tuple)) or (isinstance(labels, str) and labels == "inferred"):
        return
    raise ArgumentError(
        "these are no labels",
        where="labels",
        expected="'inferred', None, or a list of whole numbers, one for each image in the order of their paths",
        received=repr(labels),
    )


def _check_split(validation_split: float | None, subset: str | None, is_unseeded: bool) -> None:
    if validation_split is not None and not 0 < validation_split < 1:
        raise ArgumentError("a fraction lies between 0 and 1", where="validation_split", received=validation_split)
    if (validation_split is None) != (subset is None):
        raise ArgumentError(
            "validation_split and subset go together",
            received=f"validation_split={validation_split}, subset={subset!r}",
            fix="give both or none",
        )
    if validation_split is not None and is_unseeded:
        raise ArgumentError(
            "a split of shuffled images needs a seed, lest training and validation share images",
            where="seed",
            fix="pass the same seed to both calls, or shuffle=False",
        )
