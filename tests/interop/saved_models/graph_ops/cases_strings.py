"""Strings: cut, joined, measured, hashed, written and read."""

import numpy as np
from case import case, f32, i32, i64, uneven, words

WORDS = words("Hello World", "", "  two  words ", "äÖß ☃ \U0001f600", b"\xff\xfe raw\x00", "a,b,,c", "ΣΑΣ İ ǅ")
GRID = words("a", "bc", "", "d e", "f", "ghi").reshape(2, 3)

for op in ("StringLower", "StringUpper"):
    case(op, input=WORDS)
    case(op, input=WORDS, encoding="utf-8")
    case(op, input=words("ABC")[0:0])
    case(op, input=WORDS, encoding="latin", _fails=True)
case("StringLower", input=words("Scalar").reshape(()))
case("StringStrip", input=words(" \t\n\v\f\r a b \r", "", "\u00a0x\u00a0", "\0 z \0"))
for unit in ("BYTE", "UTF8_CHAR"):
    case("StringLength", input=WORDS, unit=unit)
    case("StringLength", input=GRID, unit=unit)
    case("Substr", input=WORDS[:1], pos=i32([2]), len=i32([4]), unit=unit)
    case("Substr", input=WORDS, pos=i32(0), len=i32(3), unit=unit)
    case("Substr", input=WORDS[[0, 2, 3, 4]], pos=i64(-3), len=i64(2), unit=unit)
    case("Substr", input=WORDS[:1], pos=i32([11]), len=i32([4]), unit=unit)
    case("Substr", input=WORDS[:1], pos=i32([12]), len=i32([4]), unit=unit, _fails=True)
    case("Substr", input=WORDS[:1], pos=i32([-12]), len=i32([4]), unit=unit, _fails=True)
    case("Substr", input=GRID[:, :1], pos=i32([0, 1]), len=i32([1, 0]), unit=unit)
    case("Substr", input=words("abcdef").reshape(()), pos=i32(1), len=i32(3), unit=unit)
    case("Substr", input=words("abcdef"), pos=i32([1]), len=i32([-1]), unit=unit)
case("StringJoin", inputs=[GRID, GRID])
case("StringJoin", inputs=[GRID, words("-").reshape(()), GRID], separator="|")
case("StringJoin", inputs=[words("x").reshape(()), words("y").reshape(())], separator=", ")
case("StringJoin", inputs=[GRID[:0], GRID[:0]])
case("StringJoin", inputs=[GRID, GRID[:1]], _fails=True)
for delimiter in ("", ",", " ,b", "ab"):
    for skip in (True, False):
        case("StringSplit", input=WORDS, delimiter=words(delimiter).reshape(()), skip_empty=skip)
case("StringSplit", input=WORDS[:0], delimiter=words(" ").reshape(()))
for separator in ("", ",", "l", "<>", "  "):
    for most in (-1, 0, 1, 2):
        text = words("a,b,,c", "", " a  b ", "x<><>y", "  ", "hello", "a b", "a b ", "\u00a0q\x1fz")
        case("StringSplitV2", input=text, sep=words(separator).reshape(()), maxsplit=most)
case("ReduceJoin", inputs=GRID, reduction_indices=i32(0))
case("ReduceJoin", inputs=GRID, reduction_indices=i32([-1]), keep_dims=True, separator=", ")
case("ReduceJoin", inputs=GRID, reduction_indices=i32([0, 1]), separator=".")
case("ReduceJoin", inputs=GRID, reduction_indices=i32([1, 0]), separator=".", keep_dims=True)
case("ReduceJoin", inputs=GRID, reduction_indices=i32([]), separator=".")
case("ReduceJoin", inputs=GRID[:0], reduction_indices=i32([0]), separator=".")
case("ReduceJoin", inputs=GRID, reduction_indices=i32([2]), _fails=True)
case("ReduceJoin", inputs=GRID, reduction_indices=i32([0, 0]), _fails=True)
case("ReduceJoin", inputs=words("x").reshape(()), reduction_indices=i32([]))
case("UnsortedSegmentJoin", inputs=GRID[0], segment_ids=i32([1, 0, 1]), num_segments=i32(3), separator="+")
case("UnsortedSegmentJoin", inputs=GRID, segment_ids=i64([1, 1]), num_segments=i32(2), separator="+")
case("UnsortedSegmentJoin", inputs=GRID, segment_ids=i64([1, -1]), num_segments=i32(2), separator="+", _fails=True)
case("UnsortedSegmentJoin", inputs=GRID, segment_ids=i32([[0, 1, 1], [0, 0, 1]]), num_segments=i64(2))
case("UnsortedSegmentJoin", inputs=GRID, segment_ids=i32([0, 5]), num_segments=i64(2), _fails=True)

HASHED = words(*("xyzzy" * 9)[:20], *[("0123456789abcdef" * 8)[:n] for n in range(0, 100, 3)], b"\xff\x80", "Zürich")
case("StringToHashBucketFast", input=HASHED, num_buckets=1000)
case("StringToHashBucketFast", input=GRID, num_buckets=2**40)
case("StringToHashBucket", string_tensor=HASHED, num_buckets=1000)
case("StringToHashBucket", string_tensor=GRID, num_buckets=2**40)
case("StringToHashBucketStrong", input=HASHED, num_buckets=1000, key=[1, 2])
case("StringToHashBucketStrong", input=GRID, num_buckets=2**40, key=[-7, 2**40])
case("Fingerprint", data=HASHED, method=words("farmhash64").reshape(()))
case("Fingerprint", data=GRID, method=words("farmhash64").reshape(()))
case("Fingerprint", data=np.arange(12.0).reshape(3, 2, 2), method=words("farmhash64").reshape(()))
case("Fingerprint", data=GRID, method=words("md5").reshape(()), _fails=True)

NUMBERS = [
    "1",
    "-2.5",
    "+3e-2",
    " 4 ",
    "1e40",
    "-1e400",
    "inf",
    "-INF",
    "NaN",
    "0x1F",
    "0x1.8p3",
    "-0x.8p-2",
    "nan(1)",
    "1.",
    ".5",
    "16777217",
]
DECIMALS = ["0.1", "1.17549435e-38", "3.4028236e38", "9007199254740993", "7.038531e-26", "1e-50"]
for dtype in (np.float32, np.float64):
    case("StringToNumber", string_tensor=words(*NUMBERS, *DECIMALS), out_type=dtype)
    for text in ("", "a", "1_0", "1f", "1 2", "--1", "e5", ".", "0x", "1e", "infinit", "0x1p", "nan(-)", "+ 1"):
        case("StringToNumber", string_tensor=words("1", text), out_type=dtype, _fails=True)
case("StringToNumber", string_tensor=words("Infinity", "+inf", "-nan"), out_type=np.float32)
for dtype, number in ((np.int32, 2**31 - 1), (np.int64, 2**63 - 1)):
    case("StringToNumber", string_tensor=words("1", "-2", "+3", " 4\n", "007", str(number)), out_type=dtype)
    for text in ("", "1.0", "1e3", "0x10", str(number + 1), "1_0", "٣", "- 1"):
        case("StringToNumber", string_tensor=words("1", text), out_type=dtype, _fails=True)

for dtype in (np.int8, np.int32, np.int64, np.uint8):
    case("AsString", input=np.array([[0, 7], [100, 120]], dtype))
    for fill in ("", " ", "+", "-", "0", "#"):
        case("AsString", input=np.array([0, 7, 100], dtype), width=6, fill=fill)
case("AsString", input=i32([-5, 5]), width=6, fill="0")
case("AsString", input=np.array([True, False]))
case("AsString", input=np.array([True, False]), width=7)
case("AsString", input=GRID)
case("AsString", input=np.array([1 + 2j, -0.5j], np.complex64), width=8, precision=2)
for dtype in (np.float32, np.float64):
    case("AsString", input=uneven(12, dtype))
    for options in ({"precision": 2}, {"precision": 0}, {"scientific": True}, {"shortest": True}, {"width": 12}):
        for fill in ("", "0", "+", "-", " ", "#"):
            case("AsString", input=uneven(12, dtype), fill=fill, **options)
case("AsString", input=i32([1]), precision=2, _fails=True)
case("AsString", input=i32([1]), scientific=True, _fails=True)
case("AsString", input=f32([1]), scientific=True, shortest=True, _fails=True)
case("AsString", input=f32([1]), fill="x", _fails=True)
case("AsString", input=f32([1]), fill="00", _fails=True)

case("StringFormat", inputs=[np.arange(10, dtype=np.int32)], template="got %s!", _rtol=0)
for array in (uneven(12), uneven(12, np.float64), GRID, i32(5), f32(0.1), np.array([True, False]), i32([])):
    case("StringFormat", inputs=[array], template="<{}>", placeholder="{}")
case("StringFormat", inputs=[np.arange(60).reshape(3, 4, 5)], template="{}", placeholder="{}", summarize=1)
case("StringFormat", inputs=[np.arange(60).reshape(3, 4, 5)], template="{}", placeholder="{}", summarize=-1)
case("StringFormat", inputs=[words('q"\n\t\\\x01é')], template="{}", placeholder="{}")
case("StringFormat", inputs=[i32(1), words("x")], template="{} and {}", placeholder="{}")
case("StringFormat", inputs=[i32(1)], template="{} and {}", placeholder="{}", _fails=True)
