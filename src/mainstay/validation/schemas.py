"""Looking into a schema and changing it: features and their domains by name."""

from __future__ import annotations

import difflib
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2

from mainstay.core import ArgumentError, SchemaError


def get_feature(schema: schema_pb2.Schema, name: str) -> Any:
    """Return the `Feature` of a schema by its name; changing it changes the schema.

    Raises:
        ArgumentError: `schema` is no schema.
        SchemaError: It has no such feature.
    """
    check_schema(schema)
    for feature in schema.feature:
        if feature.name == name:
            return feature
    names = [feature.name for feature in schema.feature]
    near = difflib.get_close_matches(name, names, n=1)
    raise SchemaError(
        f"the schema has no feature {name!r}",
        expected=f"one of {', '.join(names)}" if names else "a schema with features",
        fix=f"did you mean {near[0]!r}?" if near else None,
    )


def get_domain(schema: schema_pb2.Schema, name: str) -> Any:
    """Return the domain of a feature, such as a `StringDomain` or an `IntDomain`; changing it changes the schema.

    Raises:
        ArgumentError: `schema` is no schema.
        SchemaError: It has no such feature, or the feature no domain.
    """
    feature = get_feature(schema, name)
    kind = feature.WhichOneof("domain_info")
    if kind is None:
        raise SchemaError(f"the feature {name!r} has no domain", fix="give it one with set_domain")
    return getattr(feature, kind) if kind != "domain" else shared_domain(schema, feature.domain)


def set_domain(schema: schema_pb2.Schema, name: str, domain: Any) -> None:
    """Give a feature a domain in place of the one that it has.

    Args:
        schema: The schema, which is changed.
        name: The feature.
        domain: A domain proto, such as `schema_pb2.IntDomain(min=0, max=120)`, or the name of one of the schema's
            string domains.

    Raises:
        ArgumentError: `schema` or `domain` is of another type.
        SchemaError: The schema has no such feature or string domain.
    """
    feature = get_feature(schema, name)
    if isinstance(domain, str):
        shared_domain(schema, domain)
        feature.domain = domain
        return
    fields = schema_pb2.Feature.DESCRIPTOR.oneofs_by_name["domain_info"].fields
    for field in fields:
        if field.message_type is not None and field.message_type is getattr(domain, "DESCRIPTOR", None):
            getattr(feature, field.name).CopyFrom(domain)
            return
    raise ArgumentError(
        "this is no domain",
        expected=", ".join(field.message_type.name for field in fields if field.message_type) + " or a name",
        received=type(domain).__name__,
    )


def shared_domain(schema: schema_pb2.Schema, name: str) -> Any:
    """Return one of the schema's string domains by its name.

    Raises:
        SchemaError: There is no such domain.
    """
    for domain in schema.string_domain:
        if domain.name == name:
            return domain
    raise SchemaError(
        f"the schema has no string domain {name!r}",
        expected=[domain.name for domain in schema.string_domain] or "a schema with string domains",
    )


def check_schema(schema: Any) -> None:
    """Refuse what is not a schema.

    Raises:
        ArgumentError: It is not.
    """
    if not isinstance(schema, schema_pb2.Schema):
        raise ArgumentError("this is no schema", expected="a schema_pb2.Schema", received=type(schema).__name__)
