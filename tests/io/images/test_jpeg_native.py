import io

import numpy as np
import pytest
import simplejpeg
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from mainstay.core import DataError, native_library, without_native
from mainstay.io import ImageForm, decode_images, decode_jpeg
from mainstay.io.images.jpeg import read_jpeg
from mainstay.io.images.jpeg_native import Window, decode_native, decode_resized
from mainstay.io.images.resizing import resize_into

needs_library = pytest.mark.skipif(native_library() is None, reason="the C library was not built")

SAMPLINGS = ("444", "422", "420", "440", "411", "Gray")


def picture(height, width, seed):
    """Noise, one colour, or slopes."""
    random = np.random.default_rng(seed)
    if seed % 3 == 0:
        return random.integers(0, 256, (height, width, 3), np.uint8)
    if seed % 3 == 1:
        return np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 3, y * 5, x + y], axis=-1).astype(np.uint8)


def saved(image, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", **options)
    return file.getvalue()


def by_turbo(contents, colours="RGB"):
    return simplejpeg.decode_jpeg(contents, colours, fastdct=True)


def decode(contents, shape, out, *, plain=False):
    """Decode in C; on processors without AVX2, which Mainstay does not, as well."""
    return decode_native(contents, shape, out, plain=plain or NEEDS_PLAIN)


FLAT = saved(np.zeros((8, 8, 3), np.uint8))
NEEDS_PLAIN = not decode_native(FLAT, (8, 8), np.empty((8, 8, 3), np.uint8))

sides = st.integers(1, 70)


@needs_library
@given(sides, sides, st.integers(1, 100), st.sampled_from(SAMPLINGS), st.integers(0, 99), st.booleans(), st.booleans())
@example(5, 2, 90, "420", 0, False, False)
@example(5, 4, 90, "422", 0, False, True)
@example(1, 1, 50, "440", 0, False, False)
@settings(max_examples=150, deadline=None)
def test_every_sampling_and_quality_gives_the_bits_of_libjpeg_turbo(
    height, width, quality, sampling, seed, is_gray, plain
):
    contents = simplejpeg.encode_jpeg(picture(height, width, seed), quality, "RGB", sampling)
    out = np.empty((height, width, 1 if is_gray else 3), np.uint8)
    assert decode(contents, (height, width), out, plain=plain)
    assert np.array_equal(out, by_turbo(contents, "GRAY" if is_gray else "RGB"))


@needs_library
@given(sides, sides, st.integers(1, 100), st.integers(0, 2), st.integers(0, 9), st.integers(0, 99), st.booleans())
@settings(max_examples=60, deadline=None)
def test_restarts_and_codes_of_the_file_are_read(height, width, quality, subsampling, interval, seed, optimize):
    contents = saved(
        picture(height, width, seed),
        quality=quality,
        subsampling=subsampling,
        restart_marker_blocks=interval,
        optimize=optimize,
    )
    out = np.empty((height, width, 3), np.uint8)
    assert decode(contents, (height, width), out)
    assert np.array_equal(out, by_turbo(contents))


@needs_library
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_decoding_and_resizing_in_one_step_gives_what_two_steps_give(data):
    height, width = data.draw(sides), data.draw(sides)
    contents = simplejpeg.encode_jpeg(
        picture(height, width, data.draw(st.integers(0, 99))), 80, "RGB", data.draw(st.sampled_from(SAMPLINGS))
    )
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(top, left, data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left)))
    channels = data.draw(st.sampled_from((1, 3)))
    shape = (data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90)), channels)
    dtype = data.draw(st.sampled_from(("float32", "uint8")))
    out, expected = np.empty(shape, dtype), np.empty(shape, dtype)
    method = data.draw(st.sampled_from(("bilinear", "bicubic", "area", "nearest", "lanczos3")))
    antialias, plain = data.draw(st.booleans()), data.draw(st.booleans())
    assert decode_resized(
        contents, (height, width), out, window, method=method, antialias=antialias, plain=plain or NEEDS_PLAIN
    )
    pixels = by_turbo(contents, "GRAY" if channels == 1 else "RGB")
    cut = pixels[top : top + window.height, left : left + window.width]
    resize_into(expected, cut, method, antialias=antialias)
    assert np.array_equal(out, expected)


@needs_library
@given(st.data())
@settings(max_examples=300, deadline=None)
def test_what_is_decoded_of_a_damaged_file_is_what_libjpeg_turbo_makes_of_it(data):
    contents = bytearray(
        saved(
            picture(31, 45, data.draw(st.integers(0, 2))),
            quality=data.draw(st.sampled_from((10, 75, 100))),
            subsampling=data.draw(st.integers(0, 2)),
            restart_marker_blocks=data.draw(st.integers(0, 3)),
        )
    )
    for _ in range(data.draw(st.integers(1, 3))):
        contents[data.draw(st.integers(2, len(contents) - 1))] = data.draw(st.integers(0, 255))
    out = np.empty((31, 45, 3), np.uint8)
    if decode(bytes(contents), (31, 45), out):
        assert np.array_equal(out, by_turbo(bytes(contents)))


@needs_library
def test_files_that_are_not_the_usual_kind_are_left_to_libjpeg_turbo():
    image = picture(20, 30, 0)
    inks = Image.fromarray(image).convert("CMYK")
    file = io.BytesIO()
    inks.save(file, "JPEG")
    usual = saved(image)
    rare = {
        "progressive": saved(image, progressive=True),
        "inks": file.getvalue(),
        "RGB": saved(image, keep_rgb=True),
        "cut short": usual[:-2],
        "no end": usual[:-2] + b"\xff\xfe\x00\x02",
        "more data than pixels": usual[:-2] + b"\x00\x00" + usual[-2:],
        "twelve bits": usual.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"),
        "no code": usual.replace(b"\xff\xc4", b"\xff\xfe"),
        "no quantisation": usual.replace(b"\xff\xdb", b"\xff\xfe"),
        "a lossless frame": usual.replace(b"\xff\xc0", b"\xff\xc3"),
        "empty": b"",
        "a start alone": b"\xff\xd8\xff",
    }
    out = np.empty((20, 30, 3), np.uint8)
    assert decode(usual, (20, 30), out)
    for contents in rare.values():
        assert not decode(contents, (20, 30), out)
    assert not decode(usual, (30, 20), np.empty((30, 20, 3), np.uint8))
    assert np.array_equal(decode_jpeg(rare["progressive"]), by_turbo(rare["progressive"]))


@needs_library
def test_restart_markers_out_of_turn_are_left_to_libjpeg_turbo():
    contents = bytearray(saved(picture(32, 64, 0), restart_marker_blocks=1))
    place = contents.index(b"\xff\xd1")
    contents[place + 1] = 0xD4
    assert not decode(bytes(contents), (32, 64), np.empty((32, 64, 3), np.uint8))


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_batch_is_the_same_without_the_library(fit, channels, dtype):
    contents = [
        simplejpeg.encode_jpeg(picture(41 + 9 * k, 90 - 7 * k, k), 85, "RGB", SAMPLINGS[k % 6]) for k in range(6)
    ]
    for antialias in (False, True):
        form = ImageForm(channels, (24, 40), fit=fit, dtype=dtype, antialias=antialias)
        batch = decode_images(contents, form)
        with without_native():
            assert np.array_equal(decode_images(contents, form), batch)


def test_a_large_shrink_needs_only_some_of_the_rows():
    contents = simplejpeg.encode_jpeg(picture(1500, 900, 0), 60, "RGB", "420")
    form = ImageForm(3, (20, 30))
    expected = np.empty(form.shape, np.float32)
    resize_into(expected, by_turbo(contents))
    assert np.array_equal(decode_images([contents], form)[0], expected)


def test_a_damaged_file_is_refused_with_and_without_the_library():
    contents = saved(picture(40, 40, 0))[:-100]
    for read in (lambda: read_jpeg(contents, 3), lambda: decode_images([contents], ImageForm(3, (8, 8)))):
        with pytest.raises(DataError, match="damaged or cut short"):
            read()
        with without_native(), pytest.raises(DataError, match="damaged or cut short"):
            read()
