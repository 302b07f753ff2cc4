import io

import numpy as np
import pytest
from PIL import Image

from mainstay.core import ArgumentError
from mainstay.io import decode_jpeg, encode_jpeg, encode_png


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_others_read_our_png(files, channels, mode):
    image = files.pixels(channels=channels)
    with Image.open(io.BytesIO(encode_png(image))) as read:
        assert read.mode == mode
        assert np.array_equal(np.asarray(read).reshape(image.shape), image)


def test_smooth_images_make_small_files(files):
    assert len(encode_png(files.smooth(200, 200))) < 200 * 200 * 3 / 20
    assert len(encode_png(files.smooth(), 0)) > 40 * 56 * 3


def test_a_lower_quality_makes_a_smaller_file(files):
    sizes = [len(encode_jpeg(files.pixels(64, 64), quality=quality)) for quality in (10, 50, 100)]
    assert sizes == sorted(sizes)


def test_colour_is_kept_at_full_size_when_asked(files):
    image = files.pixels(32, 32)
    files_of_both = [encode_jpeg(image, quality=100, chroma_downsampling=down) for down in (False, True)]
    decoded = [decode_jpeg(file, dct_method="INTEGER_ACCURATE").astype(int) for file in files_of_both]
    errors = [np.abs(each - image).mean() for each in decoded]
    assert errors[0] < 2 < errors[1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode_jpeg(np.zeros((4, 4, 4), np.uint8)),
        lambda: encode_jpeg(np.zeros((4, 4, 3), np.float32)),
        lambda: encode_jpeg(np.zeros((4, 4, 3), np.uint8), quality=101),
        lambda: encode_png(np.zeros((4, 4), np.uint8)),
        lambda: encode_png(np.zeros((0, 4, 3), np.uint8)),
        lambda: encode_png(np.zeros((4, 4, 3), np.uint8), 10),
    ],
)
def test_what_is_no_image_is_refused(call):
    with pytest.raises(ArgumentError):
        call()
