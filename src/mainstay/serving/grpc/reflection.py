"""The service ``grpc.reflection``: what the server offers, for tools that have no stubs of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

from mainstay.core import descriptor_pool, message_class
from mainstay.serving.grpc.exchange import GrpcExchange
from mainstay.serving.status import Code


class ReflectionService:
    """Answers calls of one version of the reflection service.

    Args:
        package: ``grpc.reflection.v1`` or ``grpc.reflection.v1alpha``.
        services: Returns the names of all services.
    """

    def __init__(self, package: str, services: Callable[[], frozenset[str]]) -> None:
        self._package = package
        self._services = services

    def open(self, exchange: GrpcExchange) -> None:
        """Begin a call: each request that comes is answered at once."""

        def take(message: bytes | None) -> None:
            if message is None:
                exchange.finish(Code.OK)
                return
            try:
                request = message_class(f"{self._package}.ServerReflectionRequest").FromString(message)
            except DecodeError:
                exchange.finish(Code.INTERNAL, f"the request cannot be read as {self._package}.ServerReflectionRequest")
                return
            exchange.send(self.answer(request).SerializeToString())

        exchange.on_message = take

    def answer(self, request: Any) -> Any:
        """Return the ``ServerReflectionResponse`` to a ``ServerReflectionRequest``."""
        response = message_class(f"{self._package}.ServerReflectionResponse")(valid_host=request.host)
        response.original_request.CopyFrom(request)
        asked = request.WhichOneof("message_request")
        pool = descriptor_pool()
        try:
            if asked == "list_services":
                for name in sorted(self._services()):
                    response.list_services_response.service.add(name=name)
            elif asked == "file_by_filename":
                _add_files(response, pool.FindFileByName(request.file_by_filename))
            elif asked == "file_containing_symbol":
                _add_files(response, _file_of(request.file_containing_symbol))
            elif asked == "all_extension_numbers_of_type":
                pool.FindMessageTypeByName(request.all_extension_numbers_of_type)
                found = response.all_extension_numbers_response
                found.base_type_name = request.all_extension_numbers_of_type
            elif asked == "file_containing_extension":
                raise KeyError(request.file_containing_extension.containing_type)  # messages here have no extensions
            else:
                _fail(response, Code.INVALID_ARGUMENT, "the request asks for nothing")
        except KeyError as error:
            _fail(response, Code.NOT_FOUND, f"not found: {error.args[0] if error.args else ''}")
        return response


def _file_of(symbol: str) -> Any:
    """Return the file with a message, an enum, a service or a method.

    Raises:
        KeyError: There is none.
    """
    pool = descriptor_pool()
    try:
        return pool.FindFileContainingSymbol(symbol)
    except KeyError:
        owner, _, name = symbol.rpartition(".")
        service = pool.FindServiceByName(owner)
        if name not in service.methods_by_name:
            raise
        return service.file


def _add_files(response: Any, file: Any) -> None:
    """Add a file and those that it imports, each before the ones that it imports."""
    found: dict[str, Any] = {}
    _collect(file, found)
    for one in reversed(found.values()):
        described = FileDescriptorProto()
        one.CopyToProto(described)
        response.file_descriptor_response.file_descriptor_proto.append(described.SerializeToString())


def _collect(file: Any, found: dict[str, Any]) -> None:
    """Collect a file and those that it imports, each after the ones that it imports."""
    if file.name not in found:
        for imported in file.dependencies:
            _collect(imported, found)
        found[file.name] = file


def _fail(response: Any, code: Code, message: str) -> None:
    response.error_response.error_code = code.value
    response.error_response.error_message = message
