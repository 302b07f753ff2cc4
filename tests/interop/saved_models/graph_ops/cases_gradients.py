"""Gradients of convolutions, pooling, normalisation and resizing."""

from case import case, f32, floats, i32

IMAGE = floats(2, 7, 8, 3)
for padding in ("SAME", "VALID"):
    height, width = (4, 4) if padding == "SAME" else (3, 3)
    strides = {"strides": [1, 2, 2, 1], "padding": padding}
    near = {"_atol": 1e-4}
    case(
        "Conv2DBackpropFilter",
        "filter_sizes",
        input=IMAGE,
        filter_sizes=i32(3, 3, 3, 4),
        out_backprop=floats(2, height, width, 4),
        **strides,
        **near,
    )
    case(
        "DepthwiseConv2dNativeBackpropFilter",
        "filter_sizes",
        input=IMAGE,
        filter_sizes=i32(3, 3, 3, 2),
        out_backprop=floats(2, height, width, 6),
        **strides,
        **near,
    )
    case(
        "AvgPoolGrad",
        "orig_input_shape",
        orig_input_shape=i32(2, 7, 8, 3),
        grad=floats(2, height, width, 3),
        ksize=[1, 3, 3, 1],
        **strides,
    )
VOLUME = floats(1, 4, 5, 6, 2)
case(
    "Conv3DBackpropFilterV2",
    "filter_sizes",
    input=VOLUME,
    filter_sizes=i32(2, 2, 2, 2, 3),
    out_backprop=floats(1, 4, 5, 6, 3),
    strides=[1, 1, 1, 1, 1],
    padding="SAME",
    _atol=1e-4,
)
pooled = IMAGE.reshape(2, 7, 8, 3)[:, :6].reshape(2, 3, 2, 4, 2, 3).max((2, 4))
case(
    "MaxPoolGrad",
    orig_input=IMAGE[:, :6].copy(),
    orig_output=pooled,
    grad=floats(2, 3, 4, 3),
    ksize=[1, 2, 2, 1],
    strides=[1, 2, 2, 1],
    padding="VALID",
)
NORM = {"scale": floats(3, low=0.5), "reserve_space_1": IMAGE.mean((0, 1, 2)), "reserve_space_2": IMAGE.var((0, 1, 2))}
for training in (True, False):
    case(
        "FusedBatchNormGradV3",
        y_backprop=floats(2, 7, 8, 3, seed=1),
        x=IMAGE,
        **NORM,
        reserve_space_3=f32([]),
        is_training=training,
        epsilon=1e-3,
        _derive="first_three",
        _rtol=1e-3,
        _atol=1e-3,
    )
LOCAL = {"depth_radius": 2, "bias": 1.5, "alpha": 0.3, "beta": 0.75}
DEEP = floats(1, 2, 2, 9)
squares = sum(
    (abs(row - column) <= 2) * DEEP[..., row : row + 1] ** 2 * (f32(range(9)) == column)
    for row in range(9)
    for column in range(9)
)
case(
    "LRNGrad",
    input_grads=floats(1, 2, 2, 9, seed=1),
    input_image=DEEP,
    output_image=(DEEP / (1.5 + 0.3 * squares) ** 0.75).astype("float32"),
    **LOCAL,
    _rtol=1e-4,
)
for mode in ("REFLECT", "SYMMETRIC"):
    case("MirrorPadGrad", "paddings", input=floats(5, 7), paddings=i32([[1, 1], [2, 0]]), mode=mode)
for rules in ({}, {"half_pixel_centers": True}, {"align_corners": True}):
    case("ResizeBilinearGrad", grads=floats(2, 9, 5, 3), original_image=IMAGE, **rules, _atol=1e-5)
    case("ResizeBicubicGrad", grads=floats(2, 9, 5, 3), original_image=IMAGE, **rules, _atol=1e-5)
    case("ResizeNearestNeighborGrad", "size", grads=floats(2, 9, 5, 3), size=i32(4, 3), **rules)
