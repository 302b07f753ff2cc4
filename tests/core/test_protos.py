"""The private proto pool: genuine names, nothing in protobuf's default pool, and a descriptor set up to date."""

from pathlib import Path

import pytest

from mainstay.core import ArgumentError, message_class


def test_a_message_comes_back_from_its_bytes() -> None:
    entry = message_class("tensorflow.BundleEntryProto")(dtype=1, offset=64, size=4, crc32c=7)
    entry.shape.dim.add(size=1)
    assert type(entry).FromString(entry.SerializeToString()) == entry
    assert entry.DESCRIPTOR.full_name == "tensorflow.BundleEntryProto"


def test_the_wire_form_is_that_of_the_field_numbers() -> None:
    entry = message_class("tensorflow.BundleEntryProto")(dtype=1, shard_id=2, offset=3, size=4, crc32c=5)
    assert entry.SerializeToString().hex() == "08011802200328043505000000"


def test_nothing_is_registered_in_the_default_pool() -> None:
    from google.protobuf import descriptor_pool

    message_class("tensorflow.BundleHeaderProto")
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindFileByName("tensorflow/core/protobuf/tensor_bundle.proto")


def test_an_unknown_message_is_an_error_that_names_it() -> None:
    with pytest.raises(ArgumentError, match=r"tensorflow\.Nothing"):
        message_class("tensorflow.Nothing")


def test_the_descriptor_set_is_what_the_proto_files_compile_to(repository: Path) -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    from compile_protos import PROTOS, compile_protos

    assert compile_protos() == (PROTOS / "descriptors.binpb").read_bytes()


def test_services_are_in_the_pool_for_who_asks_what_a_server_offers() -> None:
    from mainstay.core import descriptor_pool

    service = descriptor_pool().FindServiceByName("tensorflow.serving.PredictionService")
    assert [method.name for method in service.methods] == [
        "Classify",
        "Regress",
        "Predict",
        "MultiInference",
        "GetModelMetadata",
    ]
