"""Shapes, slices, gathers and scatters."""

import numpy as np
from case import case, complexes, f32, floats, i32, i64, integers

A = floats(2, 3, 4)

case("Shape", input=A)
case("Shape", input=A, out_type=np.int64)
case("ShapeN", input=[A, A[0]])
case("Size", input=A)
case("Size", input=floats(0, 3), out_type=np.int64)
case("Rank", input=A)
case("Reshape", "shape", tensor=A, shape=i32(4, -1))
case("Reshape", "shape", tensor=A, shape=i64(6, 4))
case("Reshape", "shape", tensor=floats(0, 3), shape=i32(0, -1))
case("Reshape", "shape", tensor=floats(0, 3), shape=i32(-1, 3))
case("Reshape", "shape", tensor=f32(1.0), shape=i32([]))
case("ExpandDims", "axis", input=A, axis=i32(-1))
case("ExpandDims", "axis", input=A, axis=i32([1]))
case("Squeeze", input=floats(1, 3, 1))
case("Squeeze", input=floats(1, 3, 1), axis=[-1])
case("Pack", values=[A, A * 2], axis=1)
case("Pack", values=[i32(1), i32(2)])
case("Pack", values=[A, A * 2], axis=-1)
case("Unpack", value=A, num=3, axis=1)
case("Unpack", value=A, num=4, axis=-1)
case("ConcatV2", "axis", values=[A, A * 2], axis=i32(-1))
case("ConcatV2", "axis", values=[A, floats(2, 0, 4)], axis=i32(1))
case("Concat", "concat_dim", concat_dim=i32(1), values=[A, A])
case("ConcatOffset", "concat_dim shape", concat_dim=i32(1), shape=[i32(2, 3, 4), i32(2, 5, 4)])
case("Fill", "dims", dims=i32(2, 3), value=f32(7.0))
case("Fill", "dims", dims=i64([]), value=i64(7))
case("Tile", "multiples", input=A, multiples=i32(2, 1, 3))
case("Tile", "multiples", input=f32(1.0), multiples=i32([]))
case("Transpose", "perm", x=A, perm=i32(2, 0, 1))
case("ConjugateTranspose", "perm", x=complexes(2, 3), perm=i32(1, 0))
case("BroadcastTo", "shape", input=floats(3, 1), shape=i32(2, 3, 4))
case("BroadcastTo", "shape", input=f32(3.0), shape=i32(2, 2))
case("BroadcastArgs", "s0 s1", s0=i32(2, 1, 3), s1=i32(4, 1))
case("BroadcastArgs", "s0 s1", s0=i64([]), s1=i64(4, 1))
for left, right in (((2, 1, 3), (4, 1)), ((2, 3), (2, 3)), ((1, 3), (1, 1)), ((5,), (2, 3, 1))):
    case("BroadcastGradientArgs", "s0 s1", s0=i32(list(left)), s1=i32(list(right)))
case("Range", "start limit delta", start=i32(1), limit=i32(10), delta=i32(3))
case("Range", "start limit delta", start=i64(5), limit=i64(-5), delta=i64(-2))
case("Range", "start limit delta", start=f32(0.5), limit=f32(3.0), delta=f32(0.5))
case("Range", "start limit delta", start=i32(5), limit=i32(5), delta=i32(1))
case("LinSpace", "num", start=f32(1.0), stop=f32(3.0), num=i32(5))
case("LinSpace", "num", start=f32(1.0), stop=f32(3.0), num=i32(1))
case("Split", "axis", axis=i32(-1), value=A, num_split=2)
case("SplitV", "size_splits axis", value=A, size_splits=i32(1, -1), axis=i32(2), num_split=2)
case("SplitV", "size_splits axis", value=A, size_splits=i64(0, 1, 2), axis=i32(1), num_split=3)
case("ReverseV2", "axis", tensor=A, axis=i32(0, -1))
case("ReverseV2", "axis", tensor=A, axis=i32([]))
case("Reverse", "dims", tensor=A, dims=np.array([True, False, True]))
case("Pad", "paddings", input=A, paddings=i32([[0, 1], [2, 0], [0, 0]]))
case("PadV2", "paddings", input=A, paddings=i32([[0, 1], [2, 0], [0, 0]]), constant_values=f32(9.0))
for mode in ("REFLECT", "SYMMETRIC"):
    case("MirrorPad", "paddings", input=A, paddings=i32([[1, 0], [2, 1], [0, 3]]), mode=mode)
case("Roll", "axis", input=A, shift=i32(1, -2), axis=i32(0, 2))
case("Roll", "axis", input=A, shift=i64(5), axis=i64(1))
case("ReverseSequence", input=floats(3, 4, 2), seq_lengths=i64(2, 4, 0), seq_dim=1)
case("ReverseSequence", input=floats(4, 3, 2), seq_lengths=i32(2, 4, 1), seq_dim=0, batch_dim=1)
case("InvertPermutation", x=i32(3, 0, 2, 1))
case("UnravelIndex", "dims", indices=i32(22, 41, 37), dims=i32(7, 6))
for source, target in (("NHWC", "NCHW"), ("NCHW", "NHWC")):
    case("DataFormatVecPermute", x=i32(7, 4, 9, 3), src_format=source, dst_format=target)
    case("DataFormatVecPermute", x=i32([[7, 1], [4, 2]]), src_format=source, dst_format=target)
    case("DataFormatDimMap", x=i32(1, -1, 3, 0), src_format=source, dst_format=target)
case("EnsureShape", input=A, shape=[2, None, 4])
for dtype in (np.int32, np.float64, np.bool_, np.uint8, np.complex64, np.float16):
    case("Cast", x=floats(9, low=-100, high=100), DstT=dtype)
    case("Cast", x=integers(9), DstT=dtype)
case("Cast", x=np.array([True, False]), DstT=np.float32)
case("Cast", x=complexes(3), DstT=np.float32)
case("Cast", x=floats(9, dtype=np.float64, low=-1e6, high=1e6), DstT=np.int64)
case("Cast", x=i64(2**40 + 5, -3), DstT=np.int32)
case("Cast", x=floats(9, low=-300, high=300), DstT=np.int8)
case("Bitcast", input=floats(3), type=np.int32)
case("Bitcast", input=integers(3, 4, dtype=np.uint8, low=0, high=255), type=np.float32)
case("Bitcast", input=floats(3, dtype=np.float64), type=np.int32)
case("Bitcast", input=complexes(3), type=np.float32)
case("Bitcast", input=floats(3, 2), type=np.complex64)
case("DeepCopy", x=A)

case("Slice", "begin size", input=A, begin=i32(0, 1, 2), size=i32(1, -1, 2))
case("Slice", "size", input=A, begin=i32(1, 1, 2), size=i32(1, 2, 2))
case("Slice", "begin size", input=A, begin=i32(0, 2, 0), size=i32(2, 2, 1), _fails=True, _modes=("numpy",))
M = floats(5, 6, 7)
BOUNDS = "begin end strides"
for begin, end, strides, masks in (
    ([1, 2], [4, 5], [1, 2], {}),
    ([-2, 5], [10, 0], [1, -2], {}),
    ([0, 0], [0, 0], [1, -1], {"begin_mask": 3, "end_mask": 3}),
    ([1, 0, 2], [2, 0, 4], [1, 1, 1], {"shrink_axis_mask": 1, "ellipsis_mask": 2}),
    ([0, 0, -1], [0, 0, 0], [1, 1, 1], {"ellipsis_mask": 1, "new_axis_mask": 2, "shrink_axis_mask": 4}),
    ([0, 1, 0, 3], [0, 3, 0, 4], [1, 1, 1, 1], {"new_axis_mask": 5, "shrink_axis_mask": 8}),
    ([3], [1], [1], {}),
    ([100], [-100], [-3], {}),
    ([-1, -1], [0, 0], [1, 1], {"shrink_axis_mask": 3}),
    ([0, 0], [3, 1], [1, 1], {"begin_mask": 1, "shrink_axis_mask": 2, "new_axis_mask": 0}),
    ([4, 0], [-7, 0], [-1, 1], {"end_mask": 2}),
):
    values = {"begin": i32(begin), "end": i32(end), "strides": i32(strides), **masks}
    case("StridedSlice", BOUNDS, input=M, **values)
    if strides[0] > 0 and not masks.get("new_axis_mask"):
        picked = np.zeros(1, np.float32)
case("StridedSlice", "end strides", input=M, begin=i32(2, 3), end=i32(3, 4), strides=i32(1, 1), shrink_axis_mask=3)
case("StridedSlice", BOUNDS, input=i32(5, 6, 7), begin=i32([1]), end=i32([2]), strides=i32([1]), shrink_axis_mask=1)
case(
    "StridedSlice",
    BOUNDS,
    input=i32(5, 6),
    begin=i32([2]),
    end=i32([3]),
    strides=i32([1]),
    shrink_axis_mask=1,
    _fails=True,
    _modes=("numpy",),
)
case(
    "TensorStridedSliceUpdate",
    BOUNDS,
    input=M,
    begin=i32(1, 2),
    end=i32(4, 6),
    strides=i32(1, 2),
    value=floats(3, 2, 7),
)
case(
    "TensorStridedSliceUpdate",
    BOUNDS,
    input=M,
    begin=i32(1, 0),
    end=i32(2, 0),
    strides=i32(1, 1),
    value=floats(7),
    shrink_axis_mask=1,
    begin_mask=2,
    end_mask=2,
)
case(
    "StridedSliceGrad",
    "shape " + BOUNDS,
    shape=i32(5, 6, 7),
    begin=i32(1, 2),
    end=i32(4, 6),
    strides=i32(1, 2),
    dy=floats(3, 2, 7),
)

case("Gather", params=A, indices=i32(1, 0, 1))
case("GatherV2", "axis", params=A, indices=i32([[1, 0], [2, 2]]), axis=i32(1))
case("GatherV2", "axis", params=A, indices=i64(1), axis=i32(-1))
case("GatherV2", "axis", params=A, indices=i32([]), axis=i32(0))
case("GatherV2", "axis", params=A, indices=i32([[1, 0], [2, 2]]), axis=i32(1), batch_dims=1)
case("GatherV2", "axis", params=A, indices=i32([[1, 3], [2, 2]]), axis=i32(2), batch_dims=1)
case("GatherV2", "axis", params=A, indices=integers(2, 3, 2, low=0, high=4), axis=i32(2), batch_dims=2)
case("GatherV2", "axis", params=A, indices=i32([[1, 0], [2, 2]]), axis=i32(1), batch_dims=-1)
case("GatherV2", "axis", params=A, indices=i32(1, 2), axis=i32(0), _fails=True, _modes=("numpy",))
case("GatherV2", "axis", params=A, indices=i32(-1), axis=i32(0), _fails=True, _modes=("numpy",))
case("GatherV2", "axis", params=np.array([True, False]), indices=i32(1, 1), axis=i32(0))
case("GatherNd", params=A, indices=i32([[0, 1], [1, 2]]))
case("GatherNd", params=A, indices=i32([[[0, 1, 2]], [[1, 2, 3]]]))
case("GatherNd", params=A, indices=np.zeros((2, 0), np.int32))
case("GatherNd", params=A, indices=i32([[0, 3]]), _fails=True, _modes=("numpy",))
case("OneHot", "depth", indices=i32(0, 2, -1, 3), depth=i32(3), on_value=f32(5.0), off_value=f32(-1.0))
case("OneHot", "depth", indices=i64([[0, 2], [1, 9]]), depth=i32(3), on_value=i32(1), off_value=i32(0), axis=0)
case(
    "OneHot",
    "depth",
    indices=integers(4, dtype=np.uint8, low=0, high=3),
    depth=i32(3),
    on_value=np.array(True),
    off_value=np.array(False),
    axis=-1,
)
case("ScatterNd", "shape", indices=i32([[1], [3], [1]]), updates=f32(1, 2, 4), shape=i32([5]))
case("ScatterNd", "shape", indices=i64([[0, 1], [1, 0]]), updates=floats(2, 3), shape=i64(2, 2, 3))
for op in ("Update", "Add", "Sub", "Max", "Min"):
    case(f"TensorScatter{op}", tensor=floats(5, 2), indices=i32([[1], [3]]), updates=floats(2, 2, seed=1))
    case(f"TensorScatter{op}", tensor=integers(5, 2), indices=i32([[1, 0], [3, 1]]), updates=integers(2, seed=1))
case("TensorScatterAdd", tensor=floats(5), indices=i32([[1], [1], [1]]), updates=f32(1, 2, 3))
case("TensorScatterUpdate", tensor=floats(5), indices=i32([[5]]), updates=f32([1]), _fails=True, _modes=("numpy",))
case("ScatterNdNonAliasingAdd", input=floats(5), indices=i32([[1], [1]]), updates=f32(1, 2))
case("InplaceUpdate", x=floats(5, 2), i=i32(1, 3), v=floats(2, 2, seed=1))
case("InplaceAdd", x=floats(5, 2), i=i32(1, 3), v=floats(2, 2, seed=1))
case("InplaceSub", x=floats(5, 2), i=i32(1, 3), v=floats(2, 2, seed=1))
case("DynamicStitch", "indices", indices=[i32(0, 2), i32(1, 2)], data=[floats(2, 3), floats(2, 3, seed=1)])
case("DynamicStitch", "indices", indices=[i32(1), i32([[0, 2]])], data=[floats(2), floats(1, 2, 2)])
case("ParallelDynamicStitch", "indices", indices=[i32(0, 2), i32([1])], data=[floats(2, 3), floats(1, 3, seed=1)])
for wanted in ("SpaceToBatchND", "BatchToSpaceND"):
    space = wanted == "SpaceToBatchND"
    image = floats(1, 4, 6, 2) if space else floats(8, 2, 3, 2)
    extra = "paddings" if space else "crops"
    case(wanted, f"block_shape {extra}", input=image, block_shape=i32(2, 2), **{extra: i32([[0, 0], [0, 0]])})
    case(wanted, f"block_shape {extra}", input=image, block_shape=i32(2, 2), **{extra: i32([[1, 1], [0, 2]])})
    case(wanted, f"block_shape {extra}", input=image, block_shape=i32([2]), **{extra: i32([[0, 0]])})
case("SpaceToBatch", "paddings", input=floats(1, 4, 6, 2), paddings=i32([[0, 0], [1, 1]]), block_size=2)
case("BatchToSpace", "crops", input=floats(4, 2, 3, 2), crops=i32([[0, 1], [0, 0]]), block_size=2)
case("SpaceToDepth", input=floats(2, 4, 6, 3), block_size=2)
case("DepthToSpace", input=floats(2, 2, 3, 12), block_size=2)
for padding in ("SAME", "VALID"):
    case(
        "ExtractImagePatches",
        images=floats(1, 7, 6, 2),
        ksizes=[1, 3, 2, 1],
        strides=[1, 2, 3, 1],
        rates=[1, 1, 2, 1],
        padding=padding,
    )
    case(
        "ExtractVolumePatches",
        input=floats(1, 4, 5, 6, 2),
        ksizes=[1, 2, 3, 2, 1],
        strides=[1, 2, 1, 2, 1],
        padding=padding,
    )
