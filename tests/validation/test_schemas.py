"""Features and domains are found, and changed, by name."""

import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from mainstay import validation
from mainstay.core import ArgumentError, SchemaError


@pytest.fixture
def schema():
    return validation.infer_schema(
        validation.generate_statistics_from_batches(
            {"city": ["a", "b"] * 10, "fare": [1.5, 2.5] * 10, "day": [1, 7] * 10}
        )
    )


def test_features_and_domains_are_those_of_the_schema(schema):
    validation.get_feature(schema, "fare").presence.min_fraction = 0.5
    assert schema.feature[1].presence.min_fraction == 0.5
    validation.get_domain(schema, "city").value.append("c")
    assert list(schema.string_domain[0].value) == ["a", "b", "c"]
    assert validation.get_domain(schema, "day").max == 7


def test_domains_are_replaced(schema):
    validation.set_domain(schema, "fare", schema_pb2.FloatDomain(min=0))
    assert validation.get_domain(schema, "fare").min == 0
    validation.set_domain(schema, "day", "city")
    assert validation.get_feature(schema, "day").domain == "city"
    assert not validation.get_feature(schema, "day").HasField("int_domain")


def test_a_misspelt_feature_is_refused_with_the_nearest(schema):
    with pytest.raises(SchemaError, match="did you mean 'fare'"):
        validation.get_feature(schema, "fair")


def test_domains_that_are_not_there_are_refused(schema):
    with pytest.raises(SchemaError, match="no domain"):
        validation.get_domain(schema, "fare")
    with pytest.raises(SchemaError, match="no string domain 'town'"):
        validation.set_domain(schema, "day", "town")
    with pytest.raises(ArgumentError, match="no domain"):
        validation.set_domain(schema, "day", 3)
    with pytest.raises(ArgumentError, match="no schema"):
        validation.get_feature({}, "day")
