"""Arithmetic, comparisons, logic, bits and functions of one tensor."""

import ml_dtypes
import numpy as np
from case import case, complexes, f32, floats, i32, i64, integers, uneven

A, B = floats(3, 4), floats(4, seed=1)
ODD, SHIFTED = uneven(12), np.roll(uneven(12), 5)
GRID = np.repeat(uneven(12)[:, None], 12, 1), np.repeat(uneven(12)[None], 12, 0)
INTS, BELOW = integers(20), np.where(integers(20, seed=1) == 0, 3, integers(20, seed=1)).astype(np.int32)
EXTREME = np.array([2**31 - 1, -(2**31), 5, -5], np.int32)

for op in ("Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "FloorDiv", "FloorMod", "Maximum", "Minimum"):
    case(op, x=A, y=B)
    case(op, x=floats(2, 0, 4), y=B)
    case(op, x=A.astype(np.float64), y=np.float64(1.7) * np.ones((), np.float64))
for op in ("Add", "AddV2", "Sub", "Mul", "Maximum", "Minimum", "FloorDiv", "FloorMod", "TruncateDiv", "TruncateMod"):
    case(op, x=INTS, y=BELOW)
    case(op, x=INTS.astype(np.int64) * 10**15, y=BELOW.astype(np.int64))
for op in ("Add", "AddV2", "Sub", "Mul", "RealDiv"):
    case(op, x=complexes(3, 4), y=complexes(4, seed=4))
    case(op, x=A.astype(ml_dtypes.bfloat16), y=B.astype(ml_dtypes.bfloat16), _rtol=1e-2)
    case(op, x=A.astype(np.float16), y=B.astype(np.float16), _rtol=1e-3)
for op in ("AddV2", "Sub", "Mul"):
    case(op, x=EXTREME, y=EXTREME[::-1].copy())
    case(op, x=integers(9, dtype=np.uint8, low=0, high=255), y=integers(9, dtype=np.uint8, low=0, high=255, seed=3))
for op in ("Add", "Sub", "Mul", "RealDiv", "DivNoNan", "MulNoNan", "SquaredDifference", "Pow", "Atan2"):
    case(op, x=GRID[0], y=GRID[1])
for op in ("Maximum", "Minimum"):
    case(op, x=np.where(np.isnan(GRID[0]), 7, GRID[0]), y=np.where(np.isnan(GRID[1]), 7, GRID[1]))
for op in ("Xlogy", "Xlog1py", "Xdivy", "DivNoNan", "MulNoNan", "SquaredDifference", "Atan2"):
    case(op, x=np.where(A > 1, A, 0), y=np.abs(A) + 0.5)
    case(op, x=np.zeros((2, 2), np.float32), y=np.array([[0, 1], [np.inf, -1]], np.float32))
    case(op, x=np.where(A > 1, A, 0).astype(np.float64), y=np.abs(A).astype(np.float64))
case("Div", x=INTS, y=BELOW)
case("Mod", x=INTS, y=BELOW)
case("Mod", x=A, y=B)
case("TruncateMod", x=A, y=B)
case("FloorDiv", x=f32([5, -5, 5, -5, 0.5]), y=f32([2, 2, -2, -2, 0.1]))
case("FloorMod", x=f32([5, -5, 5, -5, np.inf, 1, -1]), y=f32([3, 3, -3, -3, 2, np.inf, np.inf]))
case("FloorDiv", x=i32([1, 2]), y=i32([1, 0]), _fails=True, _modes=("numpy",))
case("FloorMod", x=i32([1, 2]), y=i32([1, 0]), _fails=True, _modes=("numpy",))
case("TruncateDiv", x=i32([1, 2]), y=i32([1, 0]), _fails=True, _modes=("numpy",))
case("Pow", x=i32([2, -3, 0, 7]), y=i32([10, 3, 0, 1]))
case("Pow", x=i32([2]), y=i32([-1]), _fails=True, _modes=("numpy",))
case("Pow", x=f32([2, -2, -8, 0, 0]), y=f32([0.5, 2, 1 / 3, 0, -1]))
case("SquaredDifference", x=INTS, y=BELOW)
for op in ("Less", "LessEqual", "Greater", "GreaterEqual", "Equal", "NotEqual"):
    case(op, x=GRID[0], y=GRID[1])
    case(op, x=INTS, y=BELOW)
for op in ("Equal", "NotEqual"):
    case(op, x=complexes(3), y=complexes(3))
    case(op, x=i32([1, 2, 3]), y=i32([1, 2]), incompatible_shape_error=False)
    case(op, x=np.array([True, False]), y=np.array([True, True]))
case("ApproximateEqual", x=f32([1, 2, 3]), y=f32([1.0000001, 2.1, 3]), tolerance=1e-5)
for op in ("LogicalAnd", "LogicalOr"):
    case(op, x=np.array([[True], [False]]), y=np.array([True, False]))
case("LogicalNot", x=np.array([True, False]))
for dtype in (np.int8, np.int32, np.int64, np.uint8, np.uint32):
    left, right = integers(9, dtype=dtype, low=0, high=100), integers(9, dtype=dtype, low=0, high=9, seed=2)
    for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor", "LeftShift", "RightShift"):
        case(op, x=left, y=right)
    case("Invert", x=left)
    case("PopulationCount", x=left)
case("RightShift", x=EXTREME, y=i32([3, 3, 1, 1]))
case("AddN", inputs=[A, A * 2, A * 3])
case("AddN", inputs=[A])
for condition in (A > 0, A[:, 0] > 0, np.array(True)):
    case("Select", condition=condition, x=A, y=-A)
case("SelectV2", condition=A[:1] > 0, t=A, e=f32(0.0))
case("SelectV2", condition=np.array([True, False]), t=i64([1, 2]), e=i64(9))
case("ClipByValue", t=A, clip_value_min=f32(-1.0), clip_value_max=f32(1.0))
case("ClipByValue", t=A, clip_value_min=A - 1, clip_value_max=A - 0.5)
case("Cross", a=floats(5, 3), b=floats(5, 3, seed=1))
case("ToBool", input=f32(0.0))
case("ToBool", input=f32(2.0))
case("ToBool", input=floats(0, 3))

for op in [
    "Abs",
    "Neg",
    "Sign",
    "Square",
    "Exp",
    "Expm1",
    "Sin",
    "Cos",
    "Tanh",
    "Asinh",
    "Atan",
    "Sigmoid",
    "Rsqrt",
    "Inv",
    "Floor",
    "Ceil",
    "Round",
    "Rint",
    "IsNan",
    "IsInf",
    "IsFinite",
    "Sqrt",
    "Log",
    "Log1p",
    "Reciprocal",
    "Relu",
    "Relu6",
    "Elu",
    "Selu",
    "Softplus",
    "Softsign",
    "Erf",
    "Erfc",
    "Sinh",
    "Cosh",
    "Tan",
]:
    name = {"Relu": "features", "Relu6": "features", "Elu": "features", "Selu": "features"}.get(op, "x")
    name = "features" if op.startswith("Soft") else name
    odd = uneven(12) if op not in ("Sin", "Cos", "Tan", "Sinh", "Cosh") else f32([0.0, 0.5, -0.5, np.nan])
    case(op, **{name: odd})
    case(op, **{name: floats(2, 3)})
    case(op, **{name: floats(2, 3, dtype=np.float64)})
    case(op, **{name: floats(0, 3)})
    if op not in ("Round", "Rint", "IsNan", "IsInf", "IsFinite", "Floor", "Ceil", "Sign", "Erf", "Erfc"):
        case(op, **{name: floats(7, low=0.1, dtype=np.float16)}, _rtol=2e-3)
for op in ("Acos", "Asin", "Atanh", "Erfinv"):
    case(op, x=floats(9, low=-0.99, high=0.99))
    case(op, x=f32([1, -1, 0]))
case("Acosh", x=floats(9, low=1, high=9))
case("Ndtri", x=f32([0, 0.1, 0.5, 0.9, 1]))
for op in ("Abs", "Neg", "Sign", "Square"):
    case(op, x=INTS)
case("Sign", x=complexes(4))
case("Round", x=f32([0.5, 1.5, 2.5, -0.5, -1.5, 2.4999]))
for op in ("Exp", "Log", "Sqrt", "Tanh", "Sin", "Rsqrt", "Sigmoid"):
    case(op, x=complexes(5))
case("ZerosLike", x=A)
case("OnesLike", x=INTS)
for op in ("TanhGrad", "SigmoidGrad", "SqrtGrad", "RsqrtGrad", "InvGrad", "ReciprocalGrad"):
    case(op, y=floats(9, low=0.1, high=0.9), dy=floats(9))
case("Complex", real=A, imag=A * 2)
case("Complex", real=A.astype(np.float64), imag=A[0].astype(np.float64), Tout=np.complex128)
for op in ("Real", "Imag", "Angle"):
    case(op, input=complexes(4))
    case(op, input=complexes(4, dtype=np.complex128), Tout=np.float64)
case("Conj", input=complexes(4))
case("ComplexAbs", x=complexes(4))
case("NextAfter", x1=uneven(12), x2=np.roll(uneven(12), 5))
case("L2Loss", t=A)

POSITIVE = floats(12, low=0.1, high=6)
for op in ("Lgamma", "Digamma", "BesselI0", "BesselI0e", "BesselI1", "BesselI1e", "Spence", "Expint"):
    case(op, x=POSITIVE, _rtol=3e-5)
    case(op, x=POSITIVE.astype(np.float64), _rtol=1e-8)
for op in ("FresnelSin", "FresnelCos"):
    case(op, x=floats(9), _rtol=1e-4)
case("Lgamma", x=f32([-0.5, -1.5, 0.5, 1, 2, 20]))
case("Digamma", x=f32([-0.5, 0.5, 1, 20]), _rtol=1e-4)
case("Erf", x=floats(20, dtype=np.float64))
case("Igamma", a=POSITIVE, x=POSITIVE[::-1].copy(), _rtol=1e-4)
case("Igammac", a=POSITIVE, x=POSITIVE[::-1].copy(), _rtol=1e-4)
case("IgammaGradA", a=POSITIVE, x=POSITIVE[::-1].copy(), _rtol=1e-3, _atol=1e-5)
case("Betainc", a=POSITIVE, b=POSITIVE[::-1].copy(), x=floats(12, low=0, high=1), _rtol=1e-4)
case("Zeta", x=POSITIVE + 1.5, q=POSITIVE, _rtol=1e-4)
case("Polygamma", a=f32([0, 1, 2, 3]), x=f32([0.5, 1.5, 2.5, 3.5]), _rtol=1e-4)
