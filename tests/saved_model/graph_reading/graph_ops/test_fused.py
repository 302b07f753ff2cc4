"""Fused ops are what their parts give one after the other."""

import numpy as np
import pytest

from mainstay.core import ModelError

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(2, 5, 6, 3)).astype(np.float32)
KERNEL = RNG.normal(size=(3, 3, 3, 4)).astype(np.float32)
FOUR = [RNG.uniform(0.5, 2, 4).astype(np.float32) for _ in range(4)]
WINDOW = {"strides": (1, 1, 1, 1), "padding": b"SAME"}


def near(found, expected) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), 1e-5, 1e-5)


def test_a_convolution_with_bias_and_activation(run) -> None:
    plain = np.asarray(run("Conv2D", IMAGE, KERNEL, **WINDOW)) + FOUR[0]
    for name, expected in {
        b"Relu": np.maximum(plain, 0),
        b"Relu6": np.clip(plain, 0, 6),
        b"LeakyRelu": np.where(plain > 0, plain, 0.1 * plain),
        b"Tanh": np.tanh(plain),
    }.items():
        fused = {"fused_ops": (b"BiasAdd", name), "leakyrelu_alpha": 0.1, **WINDOW}
        near(run("_FusedConv2D", IMAGE, KERNEL, FOUR[0], **fused), expected)


def test_a_convolution_with_normalisation(run) -> None:
    plain = run("Conv2D", IMAGE, KERNEL, **WINDOW)
    expected = run("FusedBatchNormV3", plain, *FOUR, is_training=False, epsilon=1e-3)[0]
    fused = {"fused_ops": (b"FusedBatchNorm", b"Relu"), "epsilon": 1e-3, **WINDOW}
    near(run("_FusedConv2D", IMAGE, KERNEL, *FOUR, **fused), np.maximum(expected, 0))


def test_a_convolution_with_bias_and_another_image(run) -> None:
    plain = np.asarray(run("Conv2D", IMAGE, KERNEL, **WINDOW))
    side = np.ones_like(plain)
    found = run("_FusedConv2D", IMAGE, KERNEL, FOUR[0], side, fused_ops=(b"BiasAdd", b"Add"), **WINDOW)
    near(found, plain + FOUR[0] + 1)


def test_a_depthwise_convolution_with_bias(run) -> None:
    kernel = KERNEL[..., :1]
    plain = np.asarray(run("DepthwiseConv2dNative", IMAGE, kernel, **WINDOW))
    fused = run("_FusedDepthwiseConv2dNative", IMAGE, kernel, FOUR[0][:3], fused_ops=(b"BiasAdd",), **WINDOW)
    near(fused, plain + FOUR[0][:3])


def test_a_product_with_bias_and_activation(run) -> None:
    x, y = IMAGE[0, 0], KERNEL[0, 0]
    found = run("_FusedMatMul", x, y, FOUR[0], fused_ops=(b"BiasAdd", b"Elu"))
    plain = x @ y + FOUR[0]
    near(found, np.where(plain < 0, np.expm1(plain), plain))


def test_a_normalisation_with_another_image_and_activation(run) -> None:
    x = np.asarray(run("Conv2D", IMAGE, KERNEL, **WINDOW))
    plain = np.asarray(run("FusedBatchNormV3", x, *FOUR, is_training=False)[0])
    side = np.ones_like(x)
    found = run("_FusedBatchNormEx", x, *FOUR, side, is_training=False, activation_mode=b"Relu", num_side_inputs=1)
    near(found[0], np.maximum(plain + 1, 0))
    assert len(found) == 6


def test_padding_and_resizing_before_a_convolution(run) -> None:
    amounts = np.array([[0, 0], [1, 1], [2, 0], [0, 0]], np.int32)
    window = {"strides": (1, 1, 1, 1), "padding": b"VALID", "mode": b"REFLECT"}
    mirrored = run("MirrorPad", IMAGE, amounts, mode=b"REFLECT")
    near(run("FusedPadConv2D", IMAGE, amounts, KERNEL, **window), run("Conv2D", mirrored, KERNEL, **window))
    size = np.array([8, 9], np.int32)
    larger = run("MirrorPad", np.asarray(run("ResizeBilinear", IMAGE, size)), amounts, mode=b"REFLECT")
    found = run("FusedResizeAndPadConv2D", IMAGE, size, amounts, KERNEL, **window)
    near(found, run("Conv2D", larger, KERNEL, **window))


def test_an_unknown_part_is_named(run) -> None:
    with pytest.raises(ModelError, match="Mystery"):
        run("_FusedMatMul", IMAGE[0, 0], KERNEL[0, 0], fused_ops=(b"Mystery",))
