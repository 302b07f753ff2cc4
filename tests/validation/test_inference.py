"""Schemas say what the data looks like, by TensorFlow Data Validation's rules."""

import math

import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from mainstay import validation
from mainstay.core import ArgumentError


def schema_of(columns, **options):
    return validation.infer_schema(validation.generate_statistics_from_batches(columns), **options)


def feature_of(values, **options):
    return schema_of({"x": values}, **options).feature[0]


def test_a_schema_in_full():
    schema = schema_of({"fare": [1.5, 2.5], "city": ["b", "a"], "tip": pa.array([None, 0.5])})
    assert schema == text_format.Parse(
        """
        feature { name: "fare" type: FLOAT presence { min_fraction: 1.0 min_count: 1 } value_count { min: 1 max: 1 } }
        feature {
          name: "city" type: BYTES domain: "city"
          presence { min_fraction: 1.0 min_count: 1 } value_count { min: 1 max: 1 }
        }
        feature { name: "tip" type: FLOAT presence { min_count: 1 } value_count { min: 1 max: 1 } }
        string_domain { name: "city" value: "a" value: "b" }
        """,
        schema_pb2.Schema(),
    )


def test_a_column_without_values_is_not_required():
    feature = feature_of(pa.nulls(3))
    assert feature.presence.min_count == 0
    assert not feature.presence.HasField("min_fraction")
    assert not feature.HasField("value_count")


def test_shapes_are_inferred_where_nothing_is_missing():
    assert [dim.size for dim in feature_of([1, 2], infer_feature_shape=True).shape.dim] == [1]
    assert not feature_of([1, 2], infer_feature_shape=True).HasField("value_count")
    assert not feature_of([1, None], infer_feature_shape=True).HasField("shape")


def test_few_integers_are_categories():
    domain = feature_of([3, 5, 8] * 10).int_domain
    assert (domain.min, domain.max, domain.is_categorical) == (3, 8, True)


def test_many_integers_and_few_rows_are_not():
    assert feature_of(list(range(33)) * 20).WhichOneof("domain_info") is None
    assert feature_of([3, 5, 8] * 9).WhichOneof("domain_info") is None


def test_booleans_and_zeros_with_ones_are_a_bool_domain():
    assert feature_of([True, True]).WhichOneof("domain_info") == "bool_domain"
    assert feature_of([False, None]).WhichOneof("domain_info") == "bool_domain"
    assert feature_of([0, 1, 1]).WhichOneof("domain_info") == "bool_domain"
    assert feature_of([0, 0, 0]).WhichOneof("domain_info") is None


def test_timestamps_keep_their_type():
    feature = feature_of(pa.array([1, 2], pa.timestamp("us")))
    assert feature.type == schema_pb2.INT
    assert feature.time_domain.integer_format == schema_pb2.TimeDomain.UNIX_MICROSECONDS


def test_strings_become_the_first_domain_that_fits():
    flags = feature_of(["true", "false", "true"])
    assert (flags.bool_domain.true_value, flags.bool_domain.false_value) == ("true", "false")
    assert feature_of(["12", "-7"]).WhichOneof("domain_info") == "int_domain"
    assert feature_of(["1", "TRUE"]).WhichOneof("domain_info") == "domain"
    assert feature_of(["1_0", "2"]).WhichOneof("domain_info") == "domain"


def test_many_large_or_broken_strings_have_no_domain():
    assert feature_of([f"v{n}" for n in range(101)]).WhichOneof("domain_info") is None
    assert feature_of([f"v{n}" for n in range(101)], max_string_domain_size=101).domain == "x"
    assert feature_of(["a", "b"], max_string_domain_size=1).WhichOneof("domain_info") is None
    assert feature_of(["long " * 500, "longer " * 500]).WhichOneof("domain_info") is None
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"a"]).buffers())
    assert feature_of(broken).WhichOneof("domain_info") is None


def test_ranges_are_inferred_when_asked_for():
    floats = feature_of([0.25, 4.5], infer_ranges=True).float_domain
    assert (floats.min, floats.max) == (0.25, 4.5)
    integers = feature_of(list(range(100)), infer_ranges=True).int_domain
    assert (integers.min, integers.max, integers.is_categorical) == (0, 99, False)
    assert not feature_of([1.5, math.inf], infer_ranges=True).float_domain.HasField("max")
    assert not feature_of([1.5, 1e300], infer_ranges=True).float_domain.HasField("max")
    assert feature_of([math.nan], infer_ranges=True).WhichOneof("domain_info") is None


def test_integers_at_the_ends_of_their_range_are_inferred():
    domain = feature_of([-(2**63), 2**63 - 1], infer_ranges=True).int_domain
    assert (domain.min, domain.max) == (-(2**63), 2**63 - 1)


def test_what_are_no_statistics_is_refused():
    with pytest.raises(ArgumentError, match="no statistics"):
        validation.infer_schema(schema_pb2.Schema())
    with pytest.raises(ArgumentError, match="which dataset"):
        validation.infer_schema(statistics_pb2.DatasetFeatureStatisticsList())
    with pytest.raises(ArgumentError):
        schema_of({"x": [1]}, max_string_domain_size=-1)


def test_of_several_slices_all_examples_are_taken():
    statistics = validation.generate_statistics_from_batches({"x": [1]})
    statistics.datasets[0].name = "All Examples"
    statistics.datasets.add(name="slice")
    assert len(validation.infer_schema(statistics).feature) == 1
