import numpy as np
import pyarrow as pa
import pytest

from mainstay.core import ArgumentError, DataError
from mainstay.io import ImageForm, decode_image, decode_images, encode_jpeg, encode_png, resize_images
from mainstay.io.images.batches import fit_into


def test_a_batch_is_what_decoding_and_resizing_one_by_one_gives(files):
    contents = [
        encode_jpeg(files.smooth(40, 56)),
        encode_png(files.pixels(30, 20)),
        files.saved(files.pixels(9, 33), "BMP"),
        files.saved(files.pixels(21, 17), "GIF"),
        encode_jpeg(files.smooth(64, 31)),
    ]
    batch = decode_images(contents, ImageForm(3, (16, 24)))
    assert batch.shape == (5, 16, 24, 3)
    assert batch.dtype == np.float32
    for image, file in zip(batch, contents, strict=True):
        assert np.array_equal(image, resize_images(decode_image(file, 3, expand_animations=False), (16, 24)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bytes_are_the_rounded_floats(files, channels):
    contents = [encode_jpeg(files.smooth()), encode_png(files.pixels(channels=4))]
    floats = decode_images(contents, ImageForm(channels, (7, 9)))
    assert np.array_equal(decode_images(contents, ImageForm(channels, (7, 9), dtype="uint8")), np.rint(floats))


def test_columns_of_every_kind_are_taken(files):
    file = encode_png(files.pixels())
    loose = np.empty(2, object)
    loose[:] = [file, file]
    for column in ([file, file], pa.array([file, file]), pa.array([file, file], pa.large_binary()), loose):
        assert decode_images(column, ImageForm(3, (5, 7))).shape == (2, 5, 7, 3)
    assert decode_images([], ImageForm(3, (5, 7))).shape == (0, 5, 7, 3)


def test_a_damaged_image_is_named(files):
    contents = [encode_png(files.pixels()), b"nothing"]
    with pytest.raises(DataError, match=r"^image 1: this is not an image"):
        decode_images(contents, ImageForm(3, (5, 7)))
    with pytest.raises(DataError, match=r"^b\.png: "):
        decode_images(contents, ImageForm(3, (5, 7)), name=["a.png", "b.png"].__getitem__)


def test_cropping_takes_the_middle_of_the_wanted_proportions():
    image = np.zeros((10, 30, 1), np.uint8)
    image[:, 10:20] = 200
    out = np.zeros((5, 5, 1), np.float32)
    fit_into(out, image, ImageForm(1, (5, 5), fit="crop"))
    assert (out == 200).all()


def test_padding_keeps_the_proportions_on_black():
    image = np.full((10, 30, 1), 200, np.uint8)
    out = np.ones((6, 6, 1), np.float32)
    fit_into(out, image, ImageForm(1, (6, 6), fit="pad"))
    assert out[:, 0, 0].tolist() == [0, 0, 200, 200, 0, 0]


def test_an_image_thinner_than_a_pixel_after_padding_still_shows():
    out = np.zeros((4, 4, 1), np.float32)
    fit_into(out, np.full((1, 100, 1), 9, np.uint8), ImageForm(1, (4, 4), fit="pad"))
    assert (out.sum(axis=1) > 0).sum() == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"channels": 2},
        {"size": (0, 4)},
        {"interpolation": "cubic"},
        {"fit": "squeeze"},
        {"dtype": "int8"},
    ],
)
def test_a_form_that_cannot_be_is_refused(arguments):
    with pytest.raises(ArgumentError):
        ImageForm(**{"channels": 3, "size": (4, 4), **arguments})


def test_an_array_of_ones_own_is_written_and_returned(files):
    contents = [encode_png(files.pixels()), encode_jpeg(files.smooth())]
    form = ImageForm(3, (5, 7))
    out = np.empty((2, 5, 7, 3), np.float32)
    assert decode_images(contents, form, out=out) is out
    assert np.array_equal(out, decode_images(contents, form))
    for wrong in (np.empty((1, 5, 7, 3), np.float32), np.empty((2, 5, 7, 3), np.uint8), out[::-1]):
        with pytest.raises(ArgumentError, match=r"do not go into this array"):
            decode_images(contents, form, out=wrong)
