"""Many image files to one array: each is decoded and resized straight into its row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainstay.core import ArgumentError, DataError
from mainstay.io.images.contents import Pixels, image_bytes, image_format
from mainstay.io.images.decoding import read_still
from mainstay.io.images.jpeg import read_jpeg_header
from mainstay.io.images.jpeg_native import Window, decode_resized
from mainstay.io.images.resizing import check_resize, resize_into

FITS = ("stretch", "crop", "pad")
"""How an image meets a size of other proportions."""


@dataclass(frozen=True)
class ImageForm:
    """What images are decoded to.

    Args:
        channels: 1 (gray), 3 (RGB) or 4 (RGBA).
        size: ``(height, width)``.
        interpolation: A method of `resize_images`.
        antialias: Whether every pixel counts where an image shrinks.
        fit: ``stretch`` to the size; ``crop`` the middle of its proportions first; ``pad`` with black.
        dtype: ``float32``, from 0 to 255; ``uint8``, rounded.

    Raises:
        ArgumentError: One of these is none.
    """

    channels: int
    size: tuple[int, int]
    interpolation: str = "bilinear"
    antialias: bool = False
    fit: str = "stretch"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_resize(self.size, self.interpolation))
        for name, allowed in (("channels", (1, 3, 4)), ("fit", FITS), ("dtype", ("float32", "uint8"))):
            if (value := getattr(self, name)) not in allowed:
                raise ArgumentError(
                    f"there is no such {name}", where=name, expected=" or ".join(map(str, allowed)), received=value
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image."""
        return (*self.size, self.channels)


def decode_images(
    contents: Sequence[Any] | Any,
    form: ImageForm,
    *,
    name: Callable[[int], str] | None = None,
    out: Pixels | None = None,
) -> Pixels:
    """Decode and resize image files into one array; of an animation, the first frame.

    Args:
        contents: The bytes of each file: a list, an Arrow array of binary values, an array of objects.
        form: What they are decoded to.
        name: Names the file at an index, for messages.
        out: The array that is written and returned; None for a new one.

    Returns:
        ``[len(contents), height, width, channels]`` of the form.

    Raises:
        ArgumentError: `out` is not such an array, or has gaps.
        DataError: One cannot be decoded; the message names it.

    >>> from mainstay.io import encode_png
    >>> gray = np.full((4, 6, 1), 7, np.uint8)
    >>> decode_images([encode_png(gray)], ImageForm(3, (2, 2)))[0, 0, 0].tolist()
    [7.0, 7.0, 7.0]
    """
    shape = (len(contents), *form.shape)
    batch = np.empty(shape, form.dtype) if out is None else _checked(out, shape, form)
    for index, row in enumerate(batch):
        item = contents[index]
        try:
            decode_into(row, image_bytes(item.as_py() if hasattr(item, "as_py") else item), form)
        except DataError as error:
            where = name(index) if name else f"image {index}"
            raise DataError(
                error.summary, where=where, expected=error.expected, received=error.received, fix=error.fix
            ) from error
    return batch


def _checked(out: Pixels, shape: tuple[int, ...], form: ImageForm) -> Pixels:
    if out.shape != shape or out.dtype != form.dtype or not out.flags.c_contiguous:
        raise ArgumentError(
            "the images do not go into this array",
            where="out",
            expected=f"{list(shape)} {form.dtype}, contiguous",
            received=f"{list(out.shape)} {out.dtype}",
        )
    return out


def decode_into(out: Pixels, contents: bytes, form: ImageForm) -> None:
    """Decode and resize one image file into an array.

    Args:
        out: ``[height, width, channels]`` of the form, contiguous.
        contents: The file.
        form: What it is decoded to.

    Raises:
        DataError: It cannot be decoded.
    """
    kind = image_format(contents)
    if kind == "jpeg" and form.channels != 4 and _jpeg_into(out, contents, form):
        return
    fit_into(out, read_still(contents, kind, form.channels, reuse=True), form)


def _jpeg_into(out: Pixels, contents: bytes, form: ImageForm) -> bool:
    """Decode and resize in one step, which gives what two steps give, and tell whether that was possible."""
    header = read_jpeg_header(contents)
    shape = (header.height, header.width)
    window = _middle(shape, form.size) if form.fit == "crop" else Window(0, 0, *shape)
    place = _placed(shape, form.size) if form.fit == "pad" else None
    inner = out if place is None else np.empty((place.height, place.width, form.channels), out.dtype)
    method, antialias = form.interpolation, form.antialias
    if not decode_resized(contents, shape, inner, window, method=method, antialias=antialias):
        return False
    if place is not None:
        _put(out, inner, place)
    return True


def fit_into(out: Pixels, image: Pixels, form: ImageForm) -> None:
    """Write an image into an array, resized as a form says.

    Args:
        out: ``[height, width, channels]`` of the form, contiguous.
        image: ``[height, width, channels] uint8``.
        form: Its interpolation, antialiasing and fit.
    """
    if form.fit == "crop":
        window = _middle(image.shape, form.size)
        image = image[window.top : window.top + window.height, window.left : window.left + window.width]
    if form.fit != "pad":
        resize_into(out, image, form.interpolation, antialias=form.antialias)
        return
    place = _placed(image.shape, form.size)
    inner = np.empty((place.height, place.width, form.channels), out.dtype)
    resize_into(inner, image, form.interpolation, antialias=form.antialias)
    _put(out, inner, place)


def _put(out: Pixels, inner: Pixels, place: Window) -> None:
    out[...] = 0
    out[place.top : place.top + place.height, place.left : place.left + place.width] = inner


def _middle(shape: tuple[int, ...], size: tuple[int, int]) -> Window:
    """Return the largest window in the middle that has the proportions of a size, as `keras.utils` cuts it."""
    height, width = shape[:2]
    window_height = max(min(height, int(float(width * size[0]) / size[1])), 1)
    window_width = max(min(width, int(float(height * size[1]) / size[0])), 1)
    return Window((height - window_height) // 2, (width - window_width) // 2, window_height, window_width)


def _placed(shape: tuple[int, ...], size: tuple[int, int]) -> Window:
    """Return where an image of kept proportions lies in a size, as `tf.image.resize_with_pad` puts it, in float32."""
    before = [np.float32(length) for length in shape[:2]]
    after = [np.float32(length) for length in size]
    ratio = max(before[1] / after[1], before[0] / after[0])
    lengths = [length / ratio for length in before]
    borders = [(whole - part) / np.float32(2) for whole, part in zip(after, lengths, strict=True)]
    top, left = (max(0, int(np.floor(border))) for border in borders)
    height, width = (max(1, int(np.floor(part))) for part in lengths)
    return Window(top, left, height, width)
