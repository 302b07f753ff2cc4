"""Matrices: diagonals, solvers and decompositions."""

import numpy as np
from case import case, complexes, f32, floats, i32, i64

S = floats(2, 4, 4)
POSITIVE = S @ np.swapaxes(S, 1, 2) + 3 * np.eye(4, dtype=np.float32)
LOOSE = {"_rtol": 1e-3, "_atol": 1e-3}
WIDE = {"_rtol": 1e-8, "_atol": 1e-8}

for array in (S, floats(2, 3, 5), floats(2, 5, 3)):
    case("MatrixDiagPart", input=array)
    case("MatrixSetDiag", input=array, diagonal=floats(2, min(array.shape[1:])))
    case("MatrixBandPart", input=array, num_lower=i32(1), num_upper=i32(-1))
    case("MatrixBandPart", input=array, num_lower=i64(0), num_upper=i64(1))
    for k in ([0], [1], [-2], [-1, 1], [0, 2], [-2, -1]):
        offsets = i32(k) if len(k) > 1 else i32(k[0])
        case("MatrixDiagPartV2", "k", input=array, k=offsets, padding_value=f32(9.0))
        for align in ("LEFT_RIGHT", "RIGHT_LEFT", "LEFT_LEFT", "RIGHT_RIGHT"):
            case("MatrixDiagPartV3", "k", input=array, k=offsets, padding_value=f32(9.0), align=align)
        height, width = array.shape[1:]
        count = k[-1] - k[0] + 1
        longest = max(min(height + min(0, d), width - max(0, d)) for d in range(k[0], k[-1] + 1))
        diagonal = floats(2, longest) if count == 1 else floats(2, count, longest)
        case("MatrixSetDiagV2", "k", input=array, diagonal=diagonal, k=offsets)
        for align in ("LEFT_RIGHT", "RIGHT_LEFT"):
            case("MatrixSetDiagV3", "k", input=array, diagonal=diagonal, k=offsets, align=align)
            case(
                "MatrixDiagV3",
                "k num_rows num_cols",
                diagonal=diagonal,
                k=offsets,
                num_rows=i32(height),
                num_cols=i32(width),
                padding_value=f32(7.0),
                align=align,
            )
        case(
            "MatrixDiagV2",
            "k num_rows num_cols",
            diagonal=diagonal,
            k=offsets,
            num_rows=i32(-1),
            num_cols=i32(-1),
            padding_value=f32(0.0),
        )
case("MatrixDiag", diagonal=floats(2, 3))
case("Diag", diagonal=floats(2, 3))
case("DiagPart", input=floats(2, 3, 2, 3))

for array, rule in ((S, LOOSE), (S.astype(np.float64), WIDE), (complexes(2, 3, 3), LOOSE)):
    case("MatrixInverse", input=array, **rule)
    case("MatrixInverse", input=array, adjoint=True, **rule)
    case("MatrixDeterminant", input=array, **rule)
    case("LogMatrixDeterminant", input=array, **rule)
    case("MatrixSolve", matrix=array, rhs=array[..., :2].copy(), **rule)
    case("MatrixSolve", matrix=array, rhs=array[..., :2].copy(), adjoint=True, **rule)
    for lower in (True, False):
        for adjoint in (True, False):
            triangle = array + 4 * np.eye(array.shape[-1], dtype=array.dtype)
            case(
                "MatrixTriangularSolve",
                matrix=triangle,
                rhs=array[..., :2].copy(),
                lower=lower,
                adjoint=adjoint,
                **rule,
            )
    case("Qr", input=array, _derive="qr", **rule)
    case("Svd", input=array, _derive="svd", **rule)
    case("Svd", input=array, compute_uv=False, _derive="first", **rule)
    case("Lu", input=array, _derive="lu", **rule)
case("MatrixTriangularSolve", matrix=np.tril(S[0]) + 4 * np.eye(4, dtype=np.float32), rhs=floats(3, 4, 2), **LOOSE)
for full in (True, False):
    case("Qr", input=floats(2, 5, 3), full_matrices=full, _derive="qr", **LOOSE)
    case("Svd", input=floats(2, 5, 3), full_matrices=full, _derive="svd", **LOOSE)
case("Svd", input=floats(2, 3, 5), _derive="svd", **LOOSE)
case("Cholesky", input=POSITIVE, **LOOSE)
case("Cholesky", input=POSITIVE.astype(np.float64), **WIDE)
case("SelfAdjointEigV2", input=POSITIVE, _derive="eigh", **LOOSE)
case("SelfAdjointEigV2", input=POSITIVE, compute_v=False, _derive="first", **LOOSE)
case("Eig", input=S, Tout=np.complex64, _derive="eig", **LOOSE)
case(
    "MatrixSolveLs",
    "l2_regularizer",
    matrix=floats(2, 5, 3),
    rhs=floats(2, 5, 2),
    l2_regularizer=np.float64(0.1) * np.ones(()),
    **LOOSE,
)
case(
    "MatrixSolveLs",
    "l2_regularizer",
    matrix=floats(2, 3, 5),
    rhs=floats(2, 3, 2),
    l2_regularizer=np.float64(0.1) * np.ones(()),
    **LOOSE,
)
case("MatrixSquareRoot", input=POSITIVE, **LOOSE)
case(
    "TridiagonalMatMul",
    superdiag=floats(2, 1, 4),
    maindiag=floats(2, 1, 4, seed=1),
    subdiag=floats(2, 1, 4, seed=2),
    rhs=floats(2, 4, 3),
    **LOOSE,
)
case("TridiagonalSolve", diagonals=floats(2, 3, 4) + f32([[0], [6], [0]]), rhs=floats(2, 4, 3), **LOOSE)
for lower in (True, False):
    main = f32([[6], [0], [0]]) if lower else f32([[0], [0], [6]])
    case("BandedTriangularSolve", matrix=floats(2, 3, 5) + main, rhs=floats(2, 5, 2), lower=lower, **LOOSE)
