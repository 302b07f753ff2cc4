import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import ArgumentError
from mainstay.core.native import native_library, without_native
from mainstay.io import resize_images
from mainstay.io.images.resizing import _resize_native, resize_into
from mainstay.io.images.weights import METHODS, axis_weights

KERNELS = [(method, antialias) for method in METHODS for antialias in (False, True)]
# What tf.image.resize of TensorFlow 2.21 gives for the row 0, 10, 40, 90, 200.
ROW = np.array([[[0], [10], [40], [90], [200]]], np.uint8)


@pytest.mark.parametrize(
    ("method", "antialias", "expected"),
    [
        ("bilinear", False, [3.3333, 40.0, 163.3333]),
        ("bilinear", True, [4.2857, 44.4444, 152.8571]),
        ("nearest", False, [0.0, 40.0, 200.0]),
        ("area", False, [4.0, 44.0, 156.0]),
        ("bicubic", False, [1.7221, 40.0, 171.4157]),
        ("lanczos3", False, [1.0930, 40.0, 173.5650]),
        ("gaussian", False, [3.3924, 42.1301, 162.6832]),
        ("mitchellcubic", False, [2.4701, 41.1111, 166.6932]),
    ],
)
def test_a_row_is_resized_as_tensorflow_resizes_it(method, antialias, expected):
    resized = resize_images(ROW, (1, 3), method, antialias=antialias)[0, :, 0]
    assert np.allclose(resized, expected, atol=2e-4)


@given(
    st.tuples(*[st.integers(1, 30)] * 4),
    st.integers(1, 4),
    st.sampled_from(KERNELS),
    st.sampled_from(["float32", "uint8"]),
)
def test_c_and_numpy_give_the_same_bits(sizes, channels, kernel, dtype):
    if native_library() is None:
        pytest.skip("there is no C library")
    image = np.random.default_rng(sum(sizes)).integers(0, 256, (*sizes[:2], channels), dtype=np.uint8)
    in_c, in_numpy = (np.zeros((*sizes[2:], channels), dtype) for _ in range(2))
    resize_into(in_c, image, kernel[0], antialias=kernel[1])
    with without_native():
        resize_into(in_numpy, image, kernel[0], antialias=kernel[1])
    assert np.array_equal(in_c, in_numpy)


@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from(KERNELS))
def test_the_weights_of_every_output_sum_to_one_and_stay_inside(before, after, kernel):
    table = axis_weights(before, after, *kernel)
    assert table.output == after
    assert table.starts.min() >= 0
    assert table.starts.max() + table.span <= before
    assert np.allclose(table.weights.sum(axis=1), 1, atol=1e-4)


@pytest.mark.parametrize(("method", "antialias"), [kernel for kernel in KERNELS if kernel[0] != "nearest"])
def test_an_image_of_one_colour_keeps_it(method, antialias):
    image = np.full((13, 9, 3), 77, np.uint8)
    for size in [(5, 4), (31, 20), (1, 1)]:
        assert np.allclose(resize_images(image, size, method, antialias=antialias), 77, atol=1e-3)


def test_interpolation_keeps_one_colour_exactly():
    assert (resize_images(np.full((13, 9, 3), 77, np.uint8), (31, 5)) == 77).all()


def test_floats_and_wide_integers_are_resized_too():
    image = np.random.default_rng(0).integers(0, 256, (6, 5, 2), dtype=np.uint8)
    expected = resize_images(image, (3, 9))
    for dtype in ("float32", "uint16", "int64", "float64"):
        assert np.array_equal(resize_images(image.astype(dtype), (3, 9)), expected)


def test_a_batch_is_resized_image_by_image():
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3), dtype=np.uint8)
    assert np.array_equal(resize_images(images, (4, 4))[1], resize_images(images[1], (4, 4)))


def test_views_are_resized_like_their_copies():
    image = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    for view in (image[2:9, 3:8], image[::2], image[:, ::-1], image.transpose(1, 0, 2), image[..., :2]):
        assert np.array_equal(resize_images(view, (5, 6)), resize_images(view.copy(), (5, 6)))


def test_the_dtype_is_kept_by_nearest_and_where_nothing_changes():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert resize_images(image, (4, 2), "nearest").dtype == np.uint8
    same = resize_images(image, (2, 4))
    assert same.dtype == np.uint8
    assert np.array_equal(same, image)
    assert not np.shares_memory(same, image)


def test_proportions_can_be_kept():
    image = np.zeros((10, 20, 1), np.uint8)
    assert resize_images(image, (8, 8), preserve_aspect_ratio=True).shape == (4, 8, 1)
    assert resize_images(image, (8, 100), preserve_aspect_ratio=True).shape == (8, 16, 1)


def test_bytes_are_rounded_half_to_even_and_held_in_their_range():
    out = np.zeros((1, 2, 1), np.uint8)
    resize_into(out, np.array([[[0], [1], [1], [2]]], np.uint8))
    assert out.ravel().tolist() == [0, 2]
    edge = np.array([[[0]] * 4 + [[255]] * 4], np.uint8)
    wide = np.zeros((1, 16, 1), np.uint8)
    resize_into(wide, edge, "lanczos3")
    exact = resize_images(edge, (1, 16), "lanczos3")
    assert exact.min() < -1
    assert exact.max() > 256
    assert np.array_equal(wide, np.clip(np.rint(exact), 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("images", "size", "method"),
    [
        (np.zeros((4, 4), np.uint8), (2, 2), "bilinear"),
        (np.zeros((4, 0, 3), np.uint8), (2, 2), "bilinear"),
        (np.zeros((4, 4, 3), np.uint8), (0, 2), "bilinear"),
        (np.zeros((4, 4, 3), np.uint8), 5, "bilinear"),
        (np.zeros((4, 4, 3), np.uint8), (1, 2, 3), "bilinear"),
        (np.zeros((4, 4, 3), np.uint8), (1 << 20, 1 << 20), "bilinear"),
        (np.zeros((4, 4, 3), np.uint8), (2, 2), "linear"),
        (np.array([[["a"]]]), (2, 2), "bilinear"),
    ],
)
def test_what_cannot_be_resized_is_refused(images, size, method):
    with pytest.raises(ArgumentError):
        resize_images(images, size, method)


def test_a_gray_image_with_a_new_last_axis_is_resized_in_c():
    if native_library() is None:
        pytest.skip("there is no C library")
    image = np.random.default_rng(0).integers(0, 256, (6, 5), dtype=np.uint8)[..., None]
    in_c, in_numpy = (np.zeros((3, 9, 1), np.uint8) for _ in range(2))
    assert _resize_native(in_c, image, "bilinear", False)
    with without_native():
        resize_into(in_numpy, image)
    assert np.array_equal(in_c, in_numpy)
