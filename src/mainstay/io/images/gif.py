"""GIF to frames with Pillow, each as it is shown: on the frames before it, and on black where nothing was drawn."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np

from mainstay.core import DataError
from mainstay.io.images.contents import Pixels, check_size

if TYPE_CHECKING:
    from PIL import GifImagePlugin


def read_gif(contents: bytes, *, first_only: bool = False) -> Pixels:
    """Return the frames of a GIF.

    Args:
        contents: The file.
        first_only: Whether the first frame is all that is wanted.

    Returns:
        ``[frames, height, width, 3] uint8``.

    Raises:
        DataError: The file is damaged, cut short or too large.
    """
    from PIL import GifImagePlugin

    try:
        image = GifImagePlugin.GifImageFile(io.BytesIO(contents))
        count = 1 if first_only else image.n_frames
        check_size(image.height, image.width, frames=count)
        frames = []
        for place in range(count):
            image.seek(place)
            frames.append(_frame(image))
    except (OSError, SyntaxError, ValueError, IndexError, struct.error, EOFError) as error:
        raise DataError("the GIF cannot be decoded: it is damaged or cut short", received=error) from error
    return np.stack(frames)


def count_frames(contents: bytes) -> int:
    """Return how many frames a GIF has, without decoding them.

    Raises:
        DataError: The file is damaged.
    """
    from PIL import GifImagePlugin

    try:
        return int(GifImagePlugin.GifImageFile(io.BytesIO(contents)).n_frames)
    except (OSError, SyntaxError, ValueError, IndexError, struct.error, EOFError) as error:
        raise DataError("the GIF cannot be read: it is damaged or cut short", received=error) from error


def _frame(image: GifImagePlugin.GifImageFile) -> Pixels:
    pixels = np.array(image.convert("RGBA"))
    return np.ascontiguousarray(pixels[..., :3] * (pixels[..., 3:] > 0))
