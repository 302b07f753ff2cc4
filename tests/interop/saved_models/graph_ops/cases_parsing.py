"""Examples and images parsed from strings."""

import struct
import zlib

import numpy as np
from case import case, f32, i64, integers, words
from examples import example, sequence_example

RECORDS = words(
    example(ids=[1, -2, 2**40], name=[b"a"], price=[1.5], pair=[1, 2]),
    example(ids=None, more=[5, 6], name=[b"\xff"], pair=[3, 4], other=[b"x"]),
    example(price=[0.25], pair=[5, 6], ids=[7], tags=[b"t", b"u"]),
)
NONE = words("")[:0]
MANY = {
    "names": NONE,
    "sparse_keys": words("ids", "other"),
    "dense_keys": words("name", "price", "pair"),
    "ragged_keys": words("more", "tags"),
    "dense_defaults": [words("?").reshape(()), f32(-1), i64([])],
    "num_sparse": 2,
    "sparse_types": [np.int64, object],
    "ragged_value_types": [np.int64, object],
    "ragged_split_types": [np.int64, np.int32],
    "dense_shapes": [[], [], [2]],
}
case("ParseExampleV2", serialized=RECORDS, **MANY)
case("ParseExampleV2", serialized=RECORDS[:0], **MANY)
case("ParseExampleV2", serialized=RECORDS[:1].reshape(()), **MANY)
case("ParseExampleV2", serialized=words(example(pair=[1])), **MANY, _fails=True)
case("ParseExampleV2", serialized=words(example(ids=[1])), **MANY, _fails=True)
case("ParseExampleV2", serialized=words(example(ids=[b"x"], pair=[1, 2])), **MANY, _fails=True)
case("ParseExampleV2", serialized=words(RECORDS[0][:-1]), **MANY, _fails=True)
case("ParseExampleV2", serialized=words(b"\xff\xff"), **MANY, _fails=True)
FEW = {**MANY, "sparse_keys": NONE, "ragged_keys": NONE, "num_sparse": 0, "sparse_types": []}
FEW |= {"ragged_value_types": [], "ragged_split_types": []}
LONG = {**FEW, "dense_keys": words("ids", "tags"), "dense_defaults": [i64(-7), words("").reshape(())]}
case("ParseExampleV2", serialized=RECORDS, **{**LONG, "dense_shapes": [[-1], [-1]]})
case(
    "ParseExampleV2",
    serialized=RECORDS,
    **{**FEW, "dense_keys": words("pair"), "dense_defaults": [i64([[0], [0]])], "dense_shapes": [[2, 1]]},
)
case(
    "ParseExample",
    serialized=RECORDS,
    names=NONE,
    sparse_keys=[words("ids").reshape(())],
    dense_keys=[words("name").reshape(()), words("pair").reshape(())],
    dense_defaults=[words("?").reshape(()), i64([])],
    sparse_types=[np.int64],
    dense_shapes=[[], [2]],
)
case(
    "ParseSingleExample",
    serialized=RECORDS[:1].reshape(()),
    dense_defaults=[words("?").reshape(()), i64([])],
    num_sparse=1,
    sparse_keys=["ids"],
    dense_keys=["name", "pair"],
    sparse_types=[np.int64],
    dense_shapes=[[], [2]],
)

SEQUENCES = words(
    sequence_example(
        {"id": [7], "tags": [b"a", b"b"]},
        {"words": [[b"x"], [b"y", b"z"], None], "others": [[b"p", b"q"]], "vectors": [[1.0, 2.0], [3.0, 4.0]]},
    ),
    sequence_example({"id": [8]}, {"words": [], "vectors": [[5.0, 6.0]]}),
    sequence_example({"tags": [b"c"], "more": [b"m"]}, {"words": [[b"w"]], "others": [None, [b"r"]]}),
)
LISTS = {
    "debug_name": NONE,
    "context_sparse_keys": words("tags"),
    "context_dense_keys": words("id"),
    "context_ragged_keys": words("more"),
    "feature_list_sparse_keys": words("words"),
    "feature_list_dense_keys": words("vectors"),
    "feature_list_ragged_keys": words("others"),
    "feature_list_dense_missing_assumed_empty": np.array([True]),
    "context_dense_defaults": [i64(-1)],
    "Ncontext_sparse": 1,
    "context_sparse_types": [object],
    "context_ragged_value_types": [object],
    "context_ragged_split_types": [np.int64],
    "context_dense_shapes": [[]],
    "Nfeature_list_sparse": 1,
    "Nfeature_list_dense": 1,
    "feature_list_dense_types": [np.float32],
    "feature_list_sparse_types": [object],
    "feature_list_ragged_value_types": [object],
    "feature_list_ragged_split_types": [np.int32],
    "feature_list_dense_shapes": [[2]],
}
case("ParseSequenceExampleV2", serialized=SEQUENCES, **LISTS)
ONE = {**LISTS, "context_ragged_keys": NONE, "feature_list_ragged_keys": NONE}
ONE |= {name: [] for name in LISTS if "ragged" in name and name.endswith("types")}
case("ParseSequenceExampleV2", serialized=SEQUENCES[:1].reshape(()), **ONE)
case(
    "ParseSequenceExampleV2",
    serialized=SEQUENCES,
    **{**LISTS, "feature_list_dense_missing_assumed_empty": np.array([False])},
    _fails=True,
)
case(
    "ParseSequenceExample",
    serialized=SEQUENCES,
    debug_name=NONE,
    context_dense_defaults=[i64(-1)],
    feature_list_dense_missing_assumed_empty=["vectors"],
    context_sparse_keys=["tags"],
    context_dense_keys=["id"],
    feature_list_sparse_keys=["words"],
    feature_list_dense_keys=["vectors"],
    Ncontext_sparse=1,
    Ncontext_dense=1,
    Nfeature_list_sparse=1,
    Nfeature_list_dense=1,
    context_sparse_types=[object],
    feature_list_dense_types=[np.float32],
    context_dense_shapes=[[]],
    feature_list_sparse_types=[object],
    feature_list_dense_shapes=[[2]],
)
case(
    "ParseSingleSequenceExample",
    serialized=SEQUENCES[:1].reshape(()),
    feature_list_dense_missing_assumed_empty=words("vectors"),
    context_sparse_keys=[words("tags").reshape(())],
    context_dense_keys=[words("id").reshape(())],
    feature_list_sparse_keys=[words("words").reshape(())],
    feature_list_dense_keys=[words("vectors").reshape(())],
    context_dense_defaults=[i64(-1)],
    debug_name=words("").reshape(()),
    context_sparse_types=[object],
    feature_list_dense_types=[np.float32],
    context_dense_shapes=[[]],
    feature_list_sparse_types=[object],
    feature_list_dense_shapes=[[2]],
)
case(
    "DecodeJSONExample",
    json_examples=words('{"features": {"feature": {"a": {"bytesList": {"value": ["YQ==", ""]}}}}}', "{}"),
)
case("DecodeJSONExample", json_examples=words("{"), _fails=True)
case("DecodeJSONExample", json_examples=words('{"x": 1}'), _fails=True)
case("SerializeTensor", tensor=f32([1, 2]))
case("SerializeTensor", tensor=words("a", "b"))
TENSOR = b"\x08\x03\x12\x04\x12\x02\x08\x02\x3a\x02\x01\x02"
case("ParseTensor", serialized=words(TENSOR).reshape(()), out_type=np.int32)
case("ParseTensor", serialized=words(TENSOR).reshape(()), out_type=np.int64, _fails=True)
case("ParseTensor", serialized=words(TENSOR[:-1]).reshape(()), out_type=np.int32, _fails=True)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


PIXELS = integers(5, 7, 3, low=0, high=256).astype(np.uint8)
ROWS = zlib.compress(b"".join(b"\0" + row.tobytes() for row in PIXELS))
PNG = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 5, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", ROWS)
    + chunk(b"IEND", b"")
)
BMP = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54 + 24 * 5, 0, 0, 54, 40, 7, 5, 1, 24, 0, 0, 0, 0, 0, 0)
BMP += b"".join(row[:, ::-1].tobytes() + b"\0\0\0" for row in PIXELS[::-1])
GIF = bytes.fromhex("47494638396101000100800000ff0000ffffff21f90400000000002c00000000010001000002024401003b")
for channels in (0, 1, 3):
    case("DecodePng", contents=words(PNG).reshape(()), channels=channels, _atol=1)
    case("DecodePng", contents=words(PNG).reshape(()), channels=channels, dtype=np.uint16)
    for file in (PNG, BMP) if channels != 1 else (PNG,):
        case("DecodeImage", contents=words(file).reshape(()), channels=channels)
        case("DecodeImage", contents=words(file).reshape(()), channels=channels, dtype=np.float32)
case("DecodeBmp", contents=words(BMP).reshape(()), channels=3)
case("DecodeGif", contents=words(GIF).reshape(()))
case("DecodeImage", contents=words(GIF).reshape(()))
case("DecodeImage", contents=words(GIF).reshape(()), expand_animations=False)
for op, file in (("DecodePng", PNG), ("DecodeBmp", BMP), ("DecodeGif", GIF), ("DecodeImage", PNG), ("DecodeJpeg", PNG)):
    case(op, contents=words(file[: len(file) // 2]).reshape(()), _fails=True)
    case(op, contents=words("").reshape(()), _fails=True)
case("DecodeJpeg", contents=words(PNG).reshape(()), channels=3)
case("EncodePng", image=PIXELS, _derive="shape")
