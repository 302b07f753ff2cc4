"""Reductions, running sums, order, counts and segments."""

import ml_dtypes
import numpy as np
from case import case, complexes, f32, floats, i32, i64, integers, uneven

A, I = floats(2, 3, 4), integers(2, 3, 4)  # noqa: E741

for op in ("Sum", "Mean", "Max", "Min", "Prod"):
    for axis in (i32(1), i32(0, -1), i32([]), i64(0, 1, 2)):
        case(op, "axis", input=A, axis=axis)
    case(op, "axis", input=A, axis=i32(1), keep_dims=True)
    case(op, "axis", input=I, axis=i32(1))
    case(op, "axis", input=floats(0, 3), axis=i32(0))
    case(op, "axis", input=A.astype(ml_dtypes.bfloat16), axis=i32(1), _rtol=2e-2)
    case(op, "axis", input=f32(3.0), axis=i32([]))
for op in ("Sum", "Mean", "Prod", "EuclideanNorm"):
    case(op, "axis", input=complexes(3, 4), axis=i32(1))
case("Sum", "axis", input=integers(300, dtype=np.int8), axis=i32(0))
case("EuclideanNorm", "axis", input=A, axis=i32(1), keep_dims=True)
case("Max", "axis", input=np.where(np.isnan(uneven(24)), 0, uneven(24)).reshape(4, 6), axis=i32(1))
for op in ("All", "Any"):
    case(op, "axis", input=A > 0, axis=i32(1))
    case(op, "axis", input=np.zeros((0, 2), bool), axis=i32(0))
for op in ("ArgMax", "ArgMin"):
    case(op, "dimension", input=A, dimension=i32(-1))
    case(op, "dimension", input=integers(5, 6, low=0, high=3), dimension=i32(1), output_type=np.int32)
    case(op, "dimension", input=f32([[1, np.nan, 3, 3], [np.nan, np.nan, np.nan, np.nan]]), dimension=i64(1))
for op in ("Cumsum", "Cumprod", "CumulativeLogsumexp"):
    for exclusive in (False, True):
        for reverse in (False, True):
            case(op, "axis", x=A, axis=i32(1), exclusive=exclusive, reverse=reverse)
case("Cumsum", "axis", x=I, axis=i32(-1))
case("Cumprod", "axis", x=I, axis=i32(-1))

case("TopKV2", "k", input=A, k=i32(2))
case("TopKV2", "k", input=integers(3, 9, low=0, high=4), k=i32(5))
case("TopKV2", "k", input=A, k=i32(0))
case("TopKV2", "k", input=A, k=i32(5), _fails=True, _modes=("numpy",))
case("NthElement", "n", input=A, n=i32(1))
case("NthElement", "n", input=A, n=i32(1), reverse=True)
scores = f32([[1, 5, 3, 3], [9, 2, np.nan, 1], [1, 1, 1, 1], [np.inf, 1, 2, 3]])
case("InTopK", predictions=scores, targets=i32(2, 1, 3, 3), k=2)
case("InTopKV2", "k", predictions=scores, targets=i64(2, 4, 3, 1), k=i64(1))
case("Bucketize", input=f32(-5, 0, 0.5, 1, 7), boundaries=[0.0, 1.0, 2.5])
case("Bucketize", input=i32(-5, 0, 1, 7), boundaries=[0.0, 1.0, 2.5])
case("Bucketize", input=f32([1]), boundaries=[])
for op in ("LowerBound", "UpperBound"):
    rows = np.sort(floats(2, 7, low=-2, high=2).round(), -1)
    case(op, sorted_inputs=rows, values=f32([[-9, -1, 0, 9], [1, 2, 3, -2]]))
    case(op, sorted_inputs=rows, values=f32([[-9, 0], [1, 2]]), out_type=np.int64)
case("HistogramFixedWidth", "nbins", values=f32(-1.0, 0.0, 1.5, 2.0, 5.0, 15), value_range=f32(0.0, 5.0), nbins=i32(5))
case("Bincount", "size", arr=i32(1, 1, 3, 0, 9), size=i32(4), weights=f32([]))
case("Bincount", "size", arr=i32(1, 1, 3, 0), size=i32(5), weights=f32(1, 2, 3, 4))
for binary in (False, True):
    case("DenseBincount", "size", input=i32(1, 1, 3, 0), size=i32(5), weights=f32([]), binary_output=binary)
    case("DenseBincount", "size", input=i64([[1, 1], [3, 9]]), size=i64(5), weights=i32([]), binary_output=binary)
case("DenseBincount", "size", input=i32([[1, 1], [3, 0]]), size=i32(5), weights=f32([[1, 2], [3, 4]]))
case("ListDiff", x=i32(1, 2, 3, 4, 2), y=i32(2, 5))

IDS = i32(0, 0, 2, 2, 3)
for kind in ("Sum", "Mean", "Prod", "Max", "Min"):
    case(f"Segment{kind}", data=floats(5, 2), segment_ids=IDS)
    case(f"Segment{kind}", data=integers(5), segment_ids=IDS.astype(np.int64))
for kind in ("Sum", "Prod", "Max", "Min"):
    case(
        f"UnsortedSegment{kind}",
        "num_segments",
        data=floats(5, 2),
        segment_ids=i32(3, 0, -1, 0, 3),
        num_segments=i32(5),
    )
    case(
        f"UnsortedSegment{kind}",
        "num_segments",
        data=integers(2, 3),
        segment_ids=i64([[1, 0, 1], [2, 0, 1]]),
        num_segments=i32(4),
    )
for kind in ("Sum", "Mean", "SqrtN"):
    case(f"SparseSegment{kind}", data=floats(6, 2), indices=i32(5, 0, 0, 3, 2), segment_ids=IDS)
    case(
        f"SparseSegment{kind}WithNumSegments",
        "num_segments",
        data=floats(6, 2),
        indices=i64(5, 0, 0, 3, 2),
        segment_ids=IDS,
        num_segments=i32(6),
    )
