"""Products, convolutions, pooling, normalisation, activations, recurrent cells and quantisation."""

import numpy as np
from case import case, complexes, f32, floats, i32, i64, integers, uneven

A, B = floats(3, 4), floats(4, 5, seed=1)

case("MatMul", a=A, b=B)
case("MatMul", a=A.T.copy(), b=B.T.copy(), transpose_a=True, transpose_b=True)
case("MatMul", a=integers(3, 4), b=integers(4, 5))
case("MatMul", a=floats(0, 4), b=B)
case("MatMul", a=complexes(3, 4), b=complexes(4, 2))
case("SparseMatMul", a=A, b=B)
for op in ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"):
    more = {"Tout": np.float32} if op == "BatchMatMulV3" else {}
    case(op, x=floats(2, 3, 4), y=floats(2, 4, 5), **more)
    case(op, x=floats(2, 4, 3), y=floats(2, 5, 4), adj_x=True, adj_y=True, **more)
case("BatchMatMulV2", x=floats(2, 1, 3, 4), y=floats(5, 4, 2))
case("BatchMatMulV2", x=complexes(2, 4, 3), y=complexes(2, 4, 3, seed=3), adj_x=True)
case("BatchMatMulV3", x=integers(2, 3, 4, dtype=np.int8), y=integers(2, 4, 5, dtype=np.int8), Tout=np.int32)
case("Einsum", inputs=[floats(2, 3, 4), floats(4, 5)], equation="abc,cd->abd")
case("Einsum", inputs=[floats(2, 3, 4), floats(2, 4, 3)], equation="...ij,...ji->...i")
case("Einsum", inputs=[floats(2, 3, 4), floats(2, 4, 5)], equation="...ab,...bc->...ac")
case("Einsum", inputs=[floats(2, 4, 4)], equation="bii->bi")
case("Einsum", inputs=[floats(2, 3)], equation="ab->")

for padding in ("SAME", "VALID"):
    for strides in ([1, 1, 1, 1], [1, 2, 3, 1]):
        case(
            "Conv2D", input=floats(2, 7, 8, 3), filter=floats(3, 2, 3, 4), strides=strides, padding=padding, _atol=1e-4
        )
        case(
            "DepthwiseConv2dNative",
            input=floats(2, 7, 8, 3),
            filter=floats(3, 3, 3, 2),
            strides=[1, strides[1], strides[1], 1],
            padding=padding,
            _atol=1e-4,
        )
    case(
        "Conv2D",
        input=floats(2, 9, 8, 3),
        filter=floats(3, 2, 3, 4),
        strides=[1, 1, 1, 1],
        padding=padding,
        dilations=[1, 2, 3, 1],
        _atol=1e-4,
    )
    case(
        "Conv2D", input=floats(2, 9, 8, 4), filter=floats(3, 3, 2, 6), strides=[1, 1, 1, 1], padding=padding, _atol=1e-4
    )
    case(
        "Conv3D",
        input=floats(1, 5, 6, 7, 2),
        filter=floats(2, 3, 2, 2, 3),
        strides=[1, 1, 2, 1, 1],
        padding=padding,
        _atol=1e-4,
    )
    case("MaxPool", input=floats(2, 7, 8, 3), ksize=[1, 3, 2, 1], strides=[1, 2, 2, 1], padding=padding)
    case("MaxPool", input=floats(2, 7, 8, 3), ksize=[1, 3, 3, 1], strides=[1, 1, 1, 1], padding=padding)
    case("AvgPool", value=floats(2, 7, 8, 3), ksize=[1, 3, 2, 1], strides=[1, 2, 2, 1], padding=padding)
    case("AvgPool", value=floats(2, 7, 8, 3), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding=padding)
    case(
        "MaxPoolV2",
        "ksize strides",
        input=floats(2, 7, 8, 3),
        ksize=i32(1, 2, 2, 1),
        strides=i32(1, 1, 2, 1),
        padding=padding,
    )
    case("MaxPool3D", input=floats(1, 5, 6, 7, 2), ksize=[1, 2, 3, 2, 1], strides=[1, 1, 2, 2, 1], padding=padding)
    case("AvgPool3D", input=floats(1, 5, 6, 7, 2), ksize=[1, 2, 3, 2, 1], strides=[1, 1, 2, 2, 1], padding=padding)
    case(
        "MaxPoolWithArgmax",
        input=-np.abs(floats(2, 5, 6, 2)),
        ksize=[1, 3, 2, 1],
        strides=[1, 2, 2, 1],
        padding=padding,
    )
    case(
        "MaxPoolWithArgmax",
        input=integers(2, 5, 6, 2, dtype=np.float32, low=0, high=3),
        ksize=[1, 2, 2, 1],
        strides=[1, 2, 2, 1],
        padding=padding,
        Targmax=np.int32,
        include_batch_in_index=True,
    )
    case(
        "Dilation2D",
        input=floats(1, 7, 8, 3),
        filter=floats(3, 2, 3),
        strides=[1, 2, 1, 1],
        rates=[1, 1, 2, 1],
        padding=padding,
    )
    for stride in (1, 2, 3):
        out = 7 if padding == "SAME" else 8
        small = -(-out // stride) if padding == "SAME" else -(-(out - 2) // stride)
        case(
            "Conv2DBackpropInput",
            "input_sizes",
            input_sizes=i32(2, out, out, 3),
            filter=floats(3, 3, 3, 4),
            out_backprop=floats(2, small, small, 4),
            strides=[1, stride, stride, 1],
            padding=padding,
            _atol=1e-4,
        )
        case(
            "Conv3DBackpropInputV2",
            "input_sizes",
            input_sizes=i32(1, out, out, out, 2),
            filter=floats(3, 3, 3, 2, 3),
            out_backprop=floats(1, small, small, small, 3),
            strides=[1, stride, stride, stride, 1],
            padding=padding,
            _atol=1e-4,
        )
        case(
            "DepthwiseConv2dNativeBackpropInput",
            "input_sizes",
            input_sizes=i32(2, out, out, 3),
            filter=floats(3, 3, 3, 2),
            out_backprop=floats(2, small, small, 6),
            strides=[1, stride, stride, 1],
            padding=padding,
            _atol=1e-4,
        )
EXPLICIT = [0, 0, 1, 2, 0, 3, 0, 0]
case(
    "Conv2D",
    input=floats(2, 7, 8, 3),
    filter=floats(3, 2, 3, 4),
    strides=[1, 1, 2, 1],
    padding="EXPLICIT",
    explicit_paddings=EXPLICIT,
    _atol=1e-4,
)
case(
    "DepthwiseConv2dNative",
    input=floats(2, 7, 8, 3),
    filter=floats(3, 2, 3, 1),
    strides=[1, 2, 2, 1],
    padding="EXPLICIT",
    explicit_paddings=EXPLICIT,
    _atol=1e-4,
)
case(
    "DepthwiseConv2dNative",
    input=floats(2, 9, 9, 3, dtype=np.float64),
    filter=floats(8, 8, 3, 1, dtype=np.float64),
    strides=[1, 1, 1, 1],
    padding="SAME",
    _atol=1e-4,
)
case(
    "Conv2DBackpropInput",
    "input_sizes",
    input_sizes=i32(2, 7, 8, 3),
    filter=floats(3, 2, 3, 4),
    out_backprop=floats(2, 8, 5, 4),
    strides=[1, 1, 2, 1],
    padding="EXPLICIT",
    explicit_paddings=EXPLICIT,
    _atol=1e-4,
)
case(
    "Conv2D",
    input=floats(1, 40, 40, 16),
    filter=floats(3, 3, 16, 32),
    strides=[1, 1, 1, 1],
    padding="VALID",
    _atol=1e-4,
)
case(
    "Conv2D",
    input=floats(9, 32, 32, 16),
    filter=floats(5, 4, 16, 32),
    strides=[1, 1, 1, 1],
    padding="VALID",
    _rtol=1e-4,
    _atol=1e-4,
)
case(
    "Conv2D",
    input=floats(2, 7, 8, 3, dtype=np.float64),
    filter=floats(1, 1, 3, 4, dtype=np.float64),
    strides=[1, 2, 2, 1],
    padding="VALID",
    _atol=1e-4,
)
case("Conv", input=floats(2, 7, 8, 3), filter=floats(3, 2, 3, 4), strides=[1, 1, 1, 1], padding="SAME", _atol=1e-4)
case("MaxPool", input=integers(2, 6, 6, 2, dtype=np.int32), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
case("MaxPool", input=floats(2, 4, 4, 6), ksize=[1, 1, 1, 3], strides=[1, 1, 1, 3], padding="VALID")
case(
    "MaxPool",
    input=floats(2, 7, 8, 3),
    ksize=[1, 3, 2, 1],
    strides=[1, 2, 2, 1],
    padding="EXPLICIT",
    explicit_paddings=[0, 0, 1, 2, 0, 1, 0, 0],
)
case("MaxPool", input=floats(2, 7, 8, 3), ksize=[1, 8, 8, 1], strides=[1, 1, 1, 1], padding="SAME")
case("BiasAdd", value=floats(2, 3, 4), bias=floats(4))
case("BiasAdd", value=floats(2, 3, 4, 5), bias=floats(3), data_format="NCHW")
case("BiasAddV1", value=floats(2, 4), bias=floats(4))
case("BiasAddGrad", out_backprop=floats(2, 3, 4))
NORM = {
    "scale": floats(4, low=0.5),
    "offset": floats(4, seed=1),
    "mean": floats(4, seed=2),
    "variance": floats(4, seed=3, low=0.1),
}
for op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
    derive = "first" if op == "FusedBatchNorm" else "first_three"
    case(op, x=floats(2, 5, 6, 4), **NORM, is_training=False, epsilon=1e-3, _derive=derive)
case(
    "FusedBatchNormV3",
    x=floats(2, 5, 6, 4),
    **NORM,
    is_training=True,
    epsilon=1e-3,
    _derive="first_three",
    _rtol=1e-4,
    _atol=1e-5,
)
case(
    "FusedBatchNormV3",
    x=floats(2, 5, 6, 4),
    **NORM,
    is_training=True,
    epsilon=1e-3,
    exponential_avg_factor=0.3,
    _derive="first_three",
    _rtol=1e-4,
    _atol=1e-5,
)
case("FusedBatchNormV3", x=floats(2, 4, 5, 6), **NORM, is_training=False, data_format="NCHW", _derive="first_three")
case(
    "FusedBatchNormV3",
    x=floats(2, 5, 6, 4, dtype=np.float16),
    **NORM,
    is_training=False,
    _derive="first_three",
    _rtol=2e-3,
    _atol=2e-3,
)
case("LRN", input=floats(1, 3, 3, 9), depth_radius=2, bias=1.5, alpha=0.3, beta=0.75)
case("LRN", input=floats(1, 3, 3, 9))

LOGITS = floats(3, 5)
for op in ("Softmax", "LogSoftmax"):
    case(op, logits=LOGITS * 30)
    case(op, logits=floats(2, 3, 4, dtype=np.float64))
    case(op, logits=floats(2, 8, dtype=np.float16), _rtol=3e-3, _atol=1e-3)
case("LeakyRelu", features=uneven(12), alpha=0.3)
case("LeakyRelu", features=LOGITS)
case("SoftmaxCrossEntropyWithLogits", features=LOGITS, labels=np.abs(floats(3, 5, seed=1)))
case("SoftmaxCrossEntropyWithLogits", features=LOGITS, labels=np.abs(floats(1, 5, seed=1)))
case("SparseSoftmaxCrossEntropyWithLogits", features=LOGITS, labels=i32(0, 4, 2))
SOME = floats(12)
for op, second in (
    ("ReluGrad", "features"),
    ("Relu6Grad", "features"),
    ("EluGrad", "outputs"),
    ("SeluGrad", "outputs"),
    ("SoftplusGrad", "features"),
    ("SoftsignGrad", "features"),
    ("LeakyReluGrad", "features"),
):
    case(op, gradients=floats(12, seed=1), **{second: SOME * 3})

CELL = {
    "w": floats(7, 16, low=-1, high=1),
    "wci": floats(4),
    "wcf": floats(4, seed=1),
    "wco": floats(4, seed=2),
    "b": floats(16),
}
for peephole in (False, True):
    case(
        "LSTMBlockCell",
        x=floats(2, 3),
        cs_prev=floats(2, 4),
        h_prev=floats(2, 4, seed=5),
        **CELL,
        use_peephole=peephole,
        _derive="first_three",
    )
    for op in ("BlockLSTM", "BlockLSTMV2"):
        case(
            op,
            seq_len_max=i64(3),
            x=floats(5, 2, 3),
            cs_prev=floats(2, 4),
            h_prev=floats(2, 4, seed=5),
            **CELL,
            use_peephole=peephole,
            _derive="reached",
        )
case(
    "LSTMBlockCell",
    x=floats(2, 3) * 9,
    cs_prev=floats(2, 4) * 9,
    h_prev=floats(2, 4, seed=5),
    **CELL,
    cell_clip=0.5,
    forget_bias=0.0,
)
case(
    "GRUBlockCell",
    x=floats(2, 3),
    h_prev=floats(2, 4),
    w_ru=floats(7, 8),
    w_c=floats(7, 4),
    b_ru=floats(8),
    b_c=floats(4),
)

RANGE = np.linspace(-8, 8, 41, dtype=np.float32)
for narrow in (False, True):
    case("FakeQuantWithMinMaxArgs", inputs=RANGE, narrow_range=narrow)
    case("FakeQuantWithMinMaxArgs", inputs=RANGE, min=-3.3, max=5.1, num_bits=4, narrow_range=narrow)
    case("FakeQuantWithMinMaxVars", inputs=RANGE, min=f32(-0.3), max=f32(6.7), narrow_range=narrow)
    case(
        "FakeQuantWithMinMaxVarsPerChannel",
        inputs=floats(5, 3),
        min=f32(-1, -0.1, -3),
        max=f32(1, 2, 0.5),
        narrow_range=narrow,
    )
    for given in (False, True):
        case(
            "QuantizeAndDequantizeV2",
            input=RANGE,
            input_min=f32(-5.1),
            input_max=f32(4.0),
            range_given=given,
            narrow_range=narrow,
        )
        case(
            "QuantizeAndDequantizeV3",
            "num_bits",
            input=RANGE,
            input_min=f32(-5.1),
            input_max=f32(4.0),
            num_bits=i32(6),
            range_given=given,
            narrow_range=narrow,
        )
        case(
            "QuantizeAndDequantizeV3",
            "num_bits",
            input=floats(4, 3),
            input_min=f32(-5, -1, -2),
            input_max=f32(4, 2, 3),
            num_bits=i32(8),
            range_given=given,
            narrow_range=narrow,
            axis=1,
            _rtol=1e-5,
        )
        case("QuantizeAndDequantizeV4", input=RANGE, input_min=f32(-5.1), input_max=f32(4.0), range_given=given)
case(
    "QuantizeAndDequantizeV2",
    input=np.abs(RANGE),
    input_min=f32(0),
    input_max=f32(4.0),
    range_given=True,
    signed_input=False,
)
case("QuantizeAndDequantizeV2", input=RANGE, input_min=f32(-5.1), input_max=f32(4.0), round_mode="HALF_UP")
case("QuantizeAndDequantizeV2", input=floats(4, 3), input_min=f32(0.0), input_max=f32(0.0), axis=1)
for dtype in (np.int8, np.uint8):
    levels = integers(9, dtype=dtype, low=0, high=100)
    kind = f"q{np.dtype(dtype).name}"
    for mode in ("MIN_COMBINED", "MIN_FIRST", "SCALED"):
        case("Dequantize", input=levels, min_range=f32(-1.5), max_range=f32(3.0), mode=mode, _rtol=1e-4, _atol=1e-4)
        rounding = "HALF_AWAY_FROM_ZERO" if mode != "SCALED" else "HALF_TO_EVEN"
        case("QuantizeV2", input=RANGE, min_range=f32(-5.1), max_range=f32(4.0), T=kind, mode=mode, round_mode=rounding)
case(
    "UniformDequantize",
    input=integers(9, dtype=np.int8),
    scales=f32(0.5),
    zero_points=i32(3),
    Tout=np.float32,
    quantization_min_val=-128,
    quantization_max_val=127,
)
case(
    "UniformQuantize",
    input=RANGE,
    scales=f32(0.1),
    zero_points=i32(3),
    Tout="qint8",
    quantization_min_val=-128,
    quantization_max_val=127,
)
case(
    "UniformQuantize",
    input=floats(4, 3),
    scales=f32(0.1, 0.05, 1.0),
    zero_points=i32(3, 0, -2),
    Tout="qint8",
    quantization_axis=1,
    quantization_min_val=-128,
    quantization_max_val=127,
)
