"""Run where tensorflow-serving-api is installed: writes every field, enum value and method of its messages as JSON."""

import importlib
import json
import pkgutil
import sys

import tensorflow  # noqa: F401  (so that its own messages are there as well)
import tensorflow_serving
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from tritonclient.grpc import service_pb2


def files():
    """Yield the descriptions of all files, each once."""
    for module in pkgutil.walk_packages(tensorflow_serving.__path__, "tensorflow_serving."):
        if module.name.endswith("_pb2"):
            importlib.import_module(module.name)
    waiting = [module.DESCRIPTOR for module in (health_pb2, reflection_pb2, service_pb2)]
    waiting += [module.DESCRIPTOR for name, module in sys.modules.items() if name.endswith("_pb2") and "tensor" in name]
    pool, seen = descriptor_pool.Default(), set()
    while waiting:
        file = pool.FindFileByName(waiting.pop().name)
        if file.name not in seen:
            seen.add(file.name)
            waiting += file.dependencies
            described = FileDescriptorProto()
            file.CopyToProto(described)
            yield described


def describe(described):
    """Return what a file defines, by full names."""
    found = {}

    def message(one, prefix):
        name = f"{prefix}.{one.name}"
        found[name] = "message"
        for field in one.field:
            oneof = one.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
            found[f"{name}.{field.name}"] = [field.number, field.type, field.label, field.type_name, oneof]
        for inner in one.nested_type:
            message(inner, name)
        for inner in one.enum_type:
            enum(inner, name)

    def enum(one, prefix):
        for value in one.value:
            found[f"{prefix}.{one.name}.{value.name}"] = value.number

    for one in described.message_type:
        message(one, described.package)
    for one in described.enum_type:
        enum(one, described.package)
    for one in described.service:
        for method in one.method:
            streams = [method.client_streaming, method.server_streaming]
            found[f"{described.package}.{one.name}.{method.name}"] = [method.input_type, method.output_type, *streams]
    return found


if __name__ == "__main__":
    everything = {}
    for file in files():
        everything.update(describe(file))
    with open(sys.argv[1], "w") as out:
        json.dump(everything, out)
