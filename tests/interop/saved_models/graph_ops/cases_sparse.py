"""Sparse and ragged tensors, sets, crosses, counts, and what values choose."""

import numpy as np
from case import case, f32, floats, i32, i64, uneven, words

PLACES = i64([[0, 1], [0, 3], [2, 0], [3, 2]])
SHAPE = i64([4, 5])
NUMBERS = f32([1.5, -2, 3, 0.25])
WORDS = words("a", "b", "a", "c")
MIXED = i64([[3, 2], [0, 3], [2, 0], [0, 1]])

case("Where", condition=np.array([[True, False], [True, True]]))
case("Where", condition=uneven(12))
case("Where", condition=i32(5), _fails=True)
case("Where", condition=np.zeros((0, 3), bool))
DOUBLED = [i32([3, 1, 3, 2, 1]), words("b", "a", "b"), uneven(24), np.array([True, False, True]), i64([])]
for x in DOUBLED:
    case("Unique", x=x)
    case("UniqueWithCounts", x=x, out_idx=np.int64)
    case("UniqueV2", x=x, axis=i64([0]))
    case("UniqueWithCountsV2", x=x, axis=i64([]))
ROWS = i32([[1, 2, 1], [0, 0, 0], [1, 2, 1]])
case("UniqueWithCountsV2", x=ROWS, axis=i64([0]))
case("UniqueWithCountsV2", x=ROWS, axis=i64([-1]))
case("UniqueWithCountsV2", x=ROWS, axis=i64([]), _fails=True)
case("UniqueV2", x=ROWS, axis=i64([2]), _fails=True)
case("ListDiff", x=words("a", "b", "c", "a"), y=words("b"))
case("DynamicPartition", data=floats(5, 2), partitions=i32([1, 0, 2, 1, 1]), num_partitions=4)
case("DynamicPartition", data=WORDS, partitions=i32([1, 0, 0, 1]), num_partitions=2)
case("DynamicPartition", data=floats(2, 2, 3), partitions=i32([[1, 0], [0, 1]]), num_partitions=2)
case("DynamicPartition", data=WORDS, partitions=i32([1, 0, 0, 2]), num_partitions=2, _fails=True)
case("DynamicPartition", data=WORDS, partitions=i32([1, 0, 0]), num_partitions=2, _fails=True)

for values in (NUMBERS, WORDS):
    default = words("-").reshape(()) if values.dtype == object else f32(9)
    case("SparseToDense", sparse_indices=PLACES, output_shape=SHAPE, sparse_values=values, default_value=default)
    case("SparseReorder", input_indices=MIXED, input_values=values, input_shape=SHAPE)
    case("SparseFillEmptyRows", indices=PLACES, values=values, dense_shape=i64([6, 5]), default_value=default)
    case("SparseFillEmptyRows", indices=PLACES[:0], values=values[:0], dense_shape=i64([2, 5]), default_value=default)
    case("SparseSlice", indices=PLACES, values=values, shape=SHAPE, start=i64([0, 1]), size=i64([3, 9]))
    case("SparseSplit", split_dim=i64(1), indices=PLACES, values=values, shape=SHAPE, num_split=3)
    case("SparseSplit", split_dim=i64(0), indices=PLACES, values=values, shape=SHAPE, num_split=2)
    for axis in (0, 1, -1):
        case("SparseConcat", indices=[PLACES, PLACES], values=[values, values], shapes=[SHAPE, SHAPE], concat_dim=axis)
case("SparseToDense", sparse_indices=i32([1, 3]), output_shape=i32([5]), sparse_values=f32(2), default_value=f32(0))
case("SparseToDense", sparse_indices=i32(3), output_shape=i32([5]), sparse_values=f32(2), default_value=f32(0))
UNSORTED = {"sparse_indices": MIXED, "output_shape": SHAPE, "sparse_values": NUMBERS, "default_value": f32(0)}
case("SparseToDense", _fails=True, **UNSORTED)
case("SparseToDense", validate_indices=False, **UNSORTED)
case("SparseToDense", **{**UNSORTED, "sparse_indices": PLACES, "output_shape": i64([2, 2])}, _fails=True)
case(
    "SparseConcat",
    indices=[PLACES, PLACES],
    values=[WORDS, WORDS],
    shapes=[SHAPE, SHAPE + 1],
    concat_dim=0,
    _fails=True,
)
case("SparseFillEmptyRows", indices=MIXED, values=NUMBERS, dense_shape=i64([5, 5]), default_value=f32(1))
for new_shape in ([2, 10], [-1, 4], [20], [2, -1, 2]):
    case("SparseReshape", input_indices=PLACES, input_shape=SHAPE, new_shape=i64(new_shape))
case("SparseReshape", input_indices=PLACES, input_shape=SHAPE, new_shape=i64([3, -1]), _fails=True)
case("SparseReshape", input_indices=PLACES, input_shape=SHAPE, new_shape=i64([3, 7]), _fails=True)
case("SparseReshape", input_indices=PLACES[:0], input_shape=i64([0, 5]), new_shape=i64([5, -1]))

for left in (False, True):
    for right in (False, True):
        matrix = floats(*((3, 4 if left else 5) if right else (4 if left else 5, 3)))
        case(
            "SparseTensorDenseMatMul",
            "a_shape",
            a_indices=PLACES,
            a_values=NUMBERS,
            a_shape=SHAPE,
            b=matrix,
            adjoint_a=left,
            adjoint_b=right,
        )
case(
    "SparseTensorDenseMatMul", "a_shape", a_indices=PLACES, a_values=NUMBERS, a_shape=SHAPE, b=floats(4, 3), _fails=True
)
SPARSE = {"input_indices": PLACES, "input_values": NUMBERS, "input_shape": SHAPE}
for op in ("SparseReduceSum", "SparseReduceMax", "SparseReduceSumSparse", "SparseReduceMaxSparse"):
    for axes in ([0], [-1], [0, 1], []):
        for keep in (False, True):
            case(op, reduction_axes=i32(axes), keep_dims=keep, **SPARSE)
    case(op, reduction_axes=i32([2]), _fails=True, **SPARSE)
case("SparseSoftmax", sp_indices=PLACES, sp_values=NUMBERS, sp_shape=SHAPE)
for op in ("SparseDenseCwiseAdd", "SparseDenseCwiseMul", "SparseDenseCwiseDiv"):
    for dense in (floats(4, 5), floats(5), floats(1, 5), f32(2)):
        case(op, sp_indices=PLACES, sp_values=NUMBERS, sp_shape=SHAPE, dense=dense)
case(
    "SparseDenseCwiseDiv", sp_indices=PLACES, sp_values=i32([7, -7, 5, 3]), sp_shape=SHAPE, dense=i32([2, 2, -2, 2, 2])
)
case("SparseTensorDenseAdd", a_indices=PLACES, a_values=NUMBERS, a_shape=SHAPE, b=floats(4, 5))
BOTH = {
    "a_indices": PLACES,
    "a_values": NUMBERS,
    "a_shape": SHAPE,
    "b_indices": PLACES[1:],
    "b_values": f32([2, 0.1, 5]),
    "b_shape": SHAPE,
}
case("SparseAdd", thresh=f32(0), **BOTH)
case("SparseAdd", thresh=f32(0.5), **BOTH)
case("SparseSparseMaximum", **BOTH)
case("SparseSparseMinimum", **BOTH)

SET = {"set2_indices": i64([[0, 0], [0, 1], [2, 0]]), "set2_shape": i64([3, 4])}
for operation in ("a-b", "b-a", "intersection", "union"):
    for one, other in (
        (i32([[1, 2, 2], [3, 4, 5], [1, 1, 9]]), i32([2, 7, 9])),
        (words(*"abbcdeaaz").reshape(3, 3), words("b", "q", "z")),
    ):
        case("DenseToSparseSetOperation", set1=one, set2_values=other, set_operation=operation, **SET)
        case("DenseToDenseSetOperation", set1=one, set2=one[:, ::2], set_operation=operation)
        case(
            "SparseToSparseSetOperation",
            set1_indices=SET["set2_indices"][:2],
            set1_values=other[1:],
            set1_shape=i64([3, 2]),
            set2_values=other,
            set_operation=operation,
            **SET,
        )
case("DenseToDenseSetOperation", set1=i32([[1]]), set2=i32([[1], [2]]), set_operation="union", _fails=True)
case("SetSize", set_indices=PLACES, set_values=WORDS, set_shape=SHAPE)
case("SetSize", set_indices=i64([[0, 0], [0, 1], [0, 2]]), set_values=words("a", "a", "b"), set_shape=i64([2, 3]))

COLUMN = {
    "indices": [i64([[0, 0], [0, 1], [1, 0]]), i64([[0, 0], [1, 0], [1, 1]])],
    "shapes": [i64([2, 2]), i64([2, 2])],
}
TEXTS, IDS = words("a", "b", "c"), i64([7, 8, -9])
for values in ([TEXTS, TEXTS], [TEXTS, IDS], [IDS, IDS]):
    for dense in ([], [words("x", "y").reshape(2, 1)], [i64([[1, 2], [3, 4]])]):
        COLUMNS = {**COLUMN, "values": values, "dense_inputs": dense}
        is_text = all(each.dtype == object for each in values + dense)
        HASHED = {"hashed_output": True, "hash_key": 956888297470, "out_type": np.int64}
        case("SparseCrossV2", sep=words("_X_").reshape(()), **COLUMNS)
        case("SparseCross", num_buckets=100, internal_type=np.int64, **HASHED, **COLUMNS)
        # A strong hash of dense numbers ends the process in TensorFlow.
        for strong in (False, True) if all(each.dtype == object for each in dense) else (False,):
            salt = i64([13, -17])
            case("SparseCrossHashed", num_buckets=i64(2**40), strong_hash=np.array(strong), salt=salt, **COLUMNS)
        if is_text:
            SPELLED = {"hashed_output": False, "hash_key": 0, "out_type": object}
            case("SparseCross", num_buckets=0, internal_type=object, **HASHED, **COLUMNS)
            case("SparseCross", num_buckets=0, internal_type=object, **SPELLED, **COLUMNS)
RAGGED = {
    "ragged_values": [TEXTS, IDS],
    "ragged_row_splits": [i64([0, 1, 3]), i64([0, 2, 3])],
    "dense_inputs": [words("x", "y").reshape(2, 1)],
}
RAGGED |= {
    "sparse_indices": [COLUMN["indices"][0]],
    "sparse_values": [TEXTS],
    "sparse_shape": [i64([2, 2])],
    "out_row_splits_type": np.int64,
}
case(
    "RaggedCross",
    input_order="RDRS",
    hashed_output=True,
    num_buckets=100,
    hash_key=5,
    out_values_type=np.int64,
    **RAGGED,
)
case(
    "RaggedCross", input_order="RSRD", hashed_output=False, num_buckets=0, hash_key=5, out_values_type=object, **RAGGED
)

for size in (3, 6):
    for weights in (f32([]), f32([1, 2, 3, 4])):
        case(
            "SparseBincount",
            indices=PLACES,
            values=i32([1, 1, 5, 0]),
            dense_shape=SHAPE,
            size=i32(size),
            weights=weights,
        )
        case("RaggedBincount", splits=i64([0, 2, 2, 4]), values=i32([1, 1, 5, 0]), size=i32(size), weights=weights)
    case(
        "SparseBincount",
        indices=PLACES,
        values=i32([1, 1, 5, 0]),
        dense_shape=SHAPE,
        size=i32(size),
        weights=f32([]),
        binary_output=True,
    )
case("SparseBincount", indices=i64([[1], [3]]), values=i64([2, 2]), dense_shape=i64([5]), size=i64(4), weights=f32([]))
case("RaggedBincount", splits=i64([0, 1]), values=i32([-1]), size=i32(3), weights=f32([]), _fails=True)
for bounds in ({}, {"minlength": 9}, {"maxlength": 3}, {"minlength": 2, "maxlength": 5}):
    for binary in (False, True):
        options = {**bounds, "binary_output": binary}
        for weights in (f32([]), np.arange(6, dtype=np.float32)):
            case("DenseCountSparseOutput", values=i32([1, 5, 1, 0, 3, 3]), weights=weights, **options)
            case(
                "RaggedCountSparseOutput",
                splits=i64([0, 3, 3, 6]),
                values=i32([1, 5, 1, 0, 3, 3]),
                weights=weights,
                **options,
            )
        case("DenseCountSparseOutput", values=i64([[1, 5, 1], [0, 3, 3]]), weights=f32([]), **options)
        case(
            "SparseCountSparseOutput",
            indices=PLACES,
            values=i32([1, 1, 5, 0]),
            dense_shape=SHAPE,
            weights=f32([]),
            **options,
        )

PARTS = {
    "row_partition_types": ["FIRST_DIM_SIZE", "VALUE_ROWIDS", "VALUE_ROWIDS"],
    "row_partition_tensors": [i64(3), i64([0, 0, 2]), i64([0, 1, 1, 2])],
}
SPLITS = {
    "row_partition_types": ["ROW_SPLITS", "ROW_SPLITS"],
    "row_partition_tensors": [i64([0, 2, 2, 3]), i64([0, 1, 3, 4])],
}
for parts in (PARTS, SPLITS):
    for shape in (i64(-1), i64([-1, -1, -1]), i64([2, 1, -1]), i64([5, 3, 4])):
        case("RaggedTensorToTensor", shape=shape, values=f32([1, 2, 3, 4]), default_value=f32(-1), **parts)
    case("RaggedTensorToTensor", shape=i64([-1, -1, -1]), values=WORDS, default_value=words("").reshape(()), **parts)
    case("RaggedTensorToTensor", shape=i64([-1, -1, -1, -1]), values=floats(4, 2), default_value=f32([7, 8]), **parts)
    case(
        "RaggedTensorToTensor",
        shape=i64([-1, -1]),
        values=f32([1, 2, 3, 4]),
        default_value=f32(0),
        **parts,
        _fails=True,
    )
SPLIT = [i64([0, 2, 2, 3]), i64([0, 1, 3, 4])]
for values in (f32([1, 2, 3, 4]), WORDS, floats(4, 2)):
    for indices in (i32([2, 0, 0]), i64([[0, 1], [2, 2]]), i32([])):
        case(
            "RaggedGather",
            params_nested_splits=SPLIT,
            params_dense_values=values,
            indices=indices,
            OUTPUT_RAGGED_RANK=indices.ndim + 1,
        )
    case("RaggedTensorToSparse", rt_nested_splits=SPLIT, rt_dense_values=values)
    case("RaggedTensorToSparse", rt_nested_splits=[i64([0, 4, 4])], rt_dense_values=values)
case(
    "RaggedGather",
    params_nested_splits=SPLIT,
    params_dense_values=WORDS,
    indices=i32([3]),
    OUTPUT_RAGGED_RANK=2,
    _fails=True,
)
case("RaggedRange", starts=i32([0, 5, 8, 3]), limits=i32([3, 5, 2, 9]), deltas=i32([1, 1, -2, 4]))
case("RaggedRange", starts=f32(0.5), limits=f32([2, 3.1]), deltas=f32(0.7), Tsplits=np.int32)
case("RaggedRange", starts=i64(0), limits=i64(3), deltas=i64(1))
case("RaggedRange", starts=i64(0), limits=i64(3), deltas=i64(0), _fails=True)
case(
    "RaggedFillEmptyRows",
    value_rowids=i64([0, 0, 2]),
    values=words("a", "b", "c"),
    nrows=i64(5),
    default_value=words("-").reshape(()),
)

SCORES = floats(6, 3, 4, seed=4)
for blank in (-1, 0):
    for merge in (False, True):
        case("CTCGreedyDecoder", inputs=SCORES, sequence_length=i32([6, 4, 0]), merge_repeated=merge, blank_index=blank)
case("CTCGreedyDecoder", inputs=SCORES, sequence_length=i32([7, 4, 0]), _fails=True)
for normalize in (True, False):
    case(
        "EditDistance",
        hypothesis_indices=i64([[0, 0], [0, 1], [1, 0], [2, 0]]),
        hypothesis_values=words("a", "b", "c", "d"),
        hypothesis_shape=i64([4, 2]),
        truth_indices=i64([[0, 0], [0, 1], [0, 2], [1, 0]]),
        truth_values=words("b", "b", "a", "c"),
        truth_shape=i64([4, 3]),
        normalize=normalize,
    )
