"""tf.Example for the protocol buffer library, which is what those who have no parser of their own use."""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from data_rivals.inputs import COLUMNS

_FIELD = descriptor_pb2.FieldDescriptorProto
_LISTS = {"BytesList": _FIELD.TYPE_BYTES, "FloatList": _FIELD.TYPE_FLOAT, "Int64List": _FIELD.TYPE_INT64}


def _example() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="benchmark_example.proto", package="benchmark", syntax="proto3")

    def message(name: str) -> descriptor_pb2.DescriptorProto:
        return file.message_type.add(name=name)

    for name, kind in _LISTS.items():
        message(name).field.add(name="value", number=1, type=kind, label=_FIELD.LABEL_REPEATED)
    feature = message("Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("bytes_list", "float_list", "int64_list"), 1):
        kind = f".benchmark.{list(_LISTS)[number - 1]}"
        feature.field.add(
            name=name, number=number, type=_FIELD.TYPE_MESSAGE, label=_FIELD.LABEL_OPTIONAL, type_name=kind,
            oneof_index=0,
        )  # fmt: skip
    features = message("Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    for owner, name, number, kind, label in (
        (entry, "value", 2, "Feature", _FIELD.LABEL_OPTIONAL),
        (features, "feature", 1, "Features.FeatureEntry", _FIELD.LABEL_REPEATED),
        (message("Example"), "features", 1, "Features", _FIELD.LABEL_OPTIONAL),
    ):
        owner.field.add(name=name, number=number, type=_FIELD.TYPE_MESSAGE, label=label, type_name=f".benchmark.{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("benchmark.Example"))


Example = _example()


def parsed(record: bytes) -> dict[str, Any]:
    """Return the columns of one record: NumPy scalars, and strings of a fixed width, which Grain can stack."""
    feature, row = Example.FromString(record).features.feature, {}
    for name, kind in COLUMNS.items():
        match kind:
            case "string":
                row[name] = np.array(feature[name].bytes_list.value[0], "S32")
            case "int64":
                row[name] = np.int64(feature[name].int64_list.value[0])
            case _:
                row[name] = np.float32(feature[name].float_list.value[0])
    return row
