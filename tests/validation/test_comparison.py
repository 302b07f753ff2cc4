"""Every way in which data can contradict its schema becomes an anomaly with what was measured."""

import math

import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from mainstay import validation
from mainstay.core import ArgumentError

INFO = anomalies_pb2.AnomalyInfo


def statistics_of(columns):
    return validation.generate_statistics_from_batches(columns)


def schema_of(columns, **options):
    return validation.infer_schema(statistics_of(columns), **options)


def types_of(anomalies):
    return {
        name: [INFO.Type.Name(reason.type) for reason in info.reason] for name, info in anomalies.anomaly_info.items()
    }


def found(schema, columns, environment=None):
    return types_of(validation.validate_statistics(statistics_of(columns), schema, environment))


def described(schema, columns, name="x"):
    return validation.validate_statistics(statistics_of(columns), schema).anomaly_info[name].description


BASE = {"x": [1.5, 2.5, 3.5, 4.5], "c": ["a", "b", "a", "b"]}


def test_data_fits_its_own_schema():
    anomalies = validation.validate_statistics(statistics_of(BASE), schema_of(BASE))
    assert not anomalies.anomaly_info
    assert not anomalies.HasField("dataset_anomaly_info")
    assert not anomalies.data_missing
    assert anomalies.baseline == schema_of(BASE)
    assert anomalies.anomaly_name_format == anomalies_pb2.Anomalies.SERIALIZED_PATH


def test_a_missing_column_is_an_error():
    anomalies = validation.validate_statistics(statistics_of({"c": BASE["c"]}), schema_of(BASE))
    info = anomalies.anomaly_info["x"]
    assert types_of(anomalies) == {"x": ["SCHEMA_MISSING_COLUMN"]}
    assert info.severity == INFO.ERROR
    assert list(info.path.step) == ["x"]
    assert (info.short_description, info.description) == ("Column dropped", "Column is completely missing")


def test_a_column_that_may_be_missing_is_not_missed():
    schema = schema_of({**BASE, "n": pa.nulls(4)})
    assert found(schema, BASE) == {}
    schema.feature[0].ClearField("presence")
    assert found(schema, {"c": BASE["c"]}) == {}


def test_a_column_without_any_value_is_an_error():
    assert found(schema_of(BASE), {**BASE, "x": pa.nulls(4)}) == {"x": ["FEATURE_TYPE_NOT_PRESENT"]}


def test_a_new_column_is_an_error():
    assert found(schema_of(BASE), {**BASE, "new": [1] * 4}) == {"new": ["SCHEMA_NEW_COLUMN"]}


def test_names_with_dots_and_quotes_are_quoted():
    columns = {"a.b": [1], "it's": [2], "plain name": [3]}
    anomalies = validation.validate_statistics(statistics_of(columns), schema_pb2.Schema())
    assert set(anomalies.anomaly_info) == {"'a.b'", "'it''s'", "plain name"}
    assert list(anomalies.anomaly_info["'a.b'"].path.step) == ["a.b"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([1, 2], ["a", "b"], "INT but got STRING"),
        ([1.5, 2.5], ["a", "b"], "FLOAT but got STRING"),
        (["a", "b"], [1, 2], "BYTES but got INT"),
        ([1, 2], [1.5, 2.5], "INT but got FLOAT"),
        (pa.array([1, 2], pa.timestamp("us")), [1, 2], "INT (timestamps) but got INT (int)"),
        ([1, 2], pa.array([1, 2], pa.timestamp("us")), "INT but got INT (timestamp)"),
    ],
)
def test_another_type_is_an_error(before, after, words):
    schema = schema_of({"x": before})
    assert found(schema, {"x": after}) == {"x": ["UNEXPECTED_DATA_TYPE"]}
    assert words in described(schema, {"x": after})


def test_whole_numbers_are_floats():
    assert found(schema_of({"x": [1.5, 2.5]}), {"x": [1, 2]}) == {}


def test_unseen_strings_are_named_most_frequent_first_with_their_share():
    schema = schema_of({"x": ["a", "b"]})
    text = described(schema, {"x": ["a"] * 94 + ["new"] * 5 + ["odd\n"]})
    assert "new (~5%), odd\\n (~1%)" in text
    assert "6 of 100 values (6%), where 0% is allowed" in text
    assert found(schema, {"x": ["z"]}) == {"x": ["ENUM_TYPE_UNEXPECTED_STRING_VALUES"]}


def test_many_unseen_strings_are_counted_not_listed():
    schema = schema_of({"x": ["a", "b"]})
    text = described(schema, {"x": [f"new {n}" for n in range(2000)]})
    assert "and 990 more" in text
    assert "at least 1,000 of 2,000 values" in text


def test_the_share_that_is_allowed_is_honoured():
    schema = schema_of({"x": ["a", "b"]})
    schema.feature[0].distribution_constraints.min_domain_mass = 0.9
    assert found(schema, {"x": ["a"] * 90 + ["z"] * 10}) == {}
    assert found(schema, {"x": ["a"] * 89 + ["z"] * 11}) == {"x": ["ENUM_TYPE_UNEXPECTED_STRING_VALUES"]}


def test_a_domain_inside_the_feature_works_as_well():
    schema = schema_of({"x": ["a", "b"]})
    validation.set_domain(schema, "x", schema_pb2.StringDomain(value=["a"]))
    assert found(schema, {"x": ["b"]}) == {"x": ["ENUM_TYPE_UNEXPECTED_STRING_VALUES"]}


def test_strings_that_are_not_utf8_are_an_error():
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"a"]).buffers())
    assert found(schema_of({"x": ["a", "b"]}), {"x": broken}) == {"x": ["ENUM_TYPE_INVALID_UTF8"]}


def test_integers_out_of_range_are_an_error_with_the_value():
    schema = schema_of({"x": [3, 5, 8] * 10})
    assert found(schema, {"x": [2, 9]}) == {"x": ["INT_TYPE_SMALL_INT", "INT_TYPE_BIG_INT"]}
    info = validation.validate_statistics(statistics_of({"x": [2, 9]}), schema).anomaly_info["x"]
    assert info.short_description == "Multiple errors"
    assert info.description == (
        "Unexpectedly small value: 2, below the minimum 3. Unexpectedly large value: 9, above the maximum 8."
    )


def test_floats_out_of_range_are_an_error_and_their_own_range_is_not():
    schema = schema_of({"x": [0.1, 0.7]}, infer_ranges=True)
    assert found(schema, {"x": [0.1, 0.7]}) == {}
    assert found(schema, {"x": [0.05, 0.75]}) == {"x": ["FLOAT_TYPE_SMALL_FLOAT", "FLOAT_TYPE_BIG_FLOAT"]}


def test_nan_and_infinity_can_be_forbidden():
    schema = schema_of({"x": [1.5]})
    validation.set_domain(schema, "x", schema_pb2.FloatDomain(disallow_nan=True, disallow_inf=True))
    assert found(schema, {"x": [math.nan, math.inf]}) == {"x": ["FLOAT_TYPE_HAS_NAN", "FLOAT_TYPE_HAS_INF"]}
    assert found(schema, {"x": [2.5]}) == {}


def test_no_booleans_are_an_error():
    assert found(schema_of({"x": [0, 1]}), {"x": [-1, 2]}) == {"x": ["BOOL_TYPE_SMALL_INT", "BOOL_TYPE_BIG_INT"]}
    assert found(schema_of({"x": ["true", "false"]}), {"x": ["maybe"]}) == {"x": ["BOOL_TYPE_UNEXPECTED_STRING"]}


def test_strings_that_write_no_numbers_are_an_error():
    assert found(schema_of({"x": ["12", "7"]}), {"x": ["12", "twelve"]}) == {"x": ["INT_TYPE_NOT_INT_STRING"]}
    schema = schema_of({"x": ["1.5", "x"]})
    validation.set_domain(schema, "x", schema_pb2.FloatDomain(min=1.0, max=2.0))
    assert found(schema, {"x": ["x"]}) == {"x": ["FLOAT_TYPE_STRING_NOT_FLOAT"]}
    assert found(schema, {"x": ["2.5"]}) == {"x": ["FLOAT_TYPE_BIG_FLOAT"]}


def test_too_few_present_values_are_an_error():
    schema = schema_of(BASE)
    assert found(schema, {**BASE, "x": [1.5, None, 2.5, 3.5]}) == {"x": ["FEATURE_TYPE_LOW_FRACTION_PRESENT"]}
    assert "missing in 1 of 4 examples" in described(schema, {**BASE, "x": [1.5, None, 2.5, 3.5]})
    schema.feature[0].presence.min_fraction = 0.5
    schema.feature[0].presence.min_count = 3
    assert found(schema, {**BASE, "x": [1.5, None, 2.5, 3.5]}) == {}
    columns = {**BASE, "x": pa.array([1.5, None, None, None])}
    assert found(schema, columns) == {"x": ["FEATURE_TYPE_LOW_NUMBER_PRESENT", "FEATURE_TYPE_LOW_FRACTION_PRESENT"]}
    assert "minimum fraction = 0.5, actual = 0.25 (1 of 4)" in described(schema, columns)


def test_shapes_and_value_counts_are_checked():
    schema = schema_of({"x": [1, 2]}, infer_feature_shape=True)
    assert found(schema, {"x": [1, None]})["x"] == ["INVALID_FEATURE_SHAPE", "FEATURE_TYPE_LOW_FRACTION_PRESENT"]
    schema = schema_of({"x": [1, 2]})
    schema.feature[0].value_count.min = schema.feature[0].value_count.max = 3
    assert found(schema, {"x": [1, 2]}) == {"x": ["FEATURE_TYPE_LOW_NUMBER_VALUES"]}


def test_limits_of_distinct_values_are_checked():
    schema = schema_of({"x": ["a", "b"]})
    schema.feature[0].unique_constraints.min = 3
    schema.feature[0].unique_constraints.max = 4
    schema.feature[0].ClearField("domain")
    assert found(schema, {"x": ["a"]}) == {"x": ["FEATURE_TYPE_LOW_UNIQUE"]}
    assert found(schema, {"x": list("abcde")}) == {"x": ["FEATURE_TYPE_HIGH_UNIQUE"]}
    assert found(schema, {"x": list("abc")}) == {}


def test_the_label_may_be_missing_where_the_schema_says_so():
    schema = schema_of({**BASE, "label": [0, 1, 0, 1]})
    schema.default_environment.extend(["TRAINING", "SERVING"])
    validation.get_feature(schema, "label").not_in_environment.append("SERVING")
    assert found(schema, BASE, "SERVING") == {}
    assert found(schema, BASE, "TRAINING") == {"label": ["SCHEMA_MISSING_COLUMN"]}
    assert found(schema, BASE) == {"label": ["SCHEMA_MISSING_COLUMN"]}
    assert found(schema, {**BASE, "label": [1] * 4}, "SERVING") == {"label": ["SCHEMA_NEW_COLUMN"]}


def test_a_feature_can_be_in_one_environment_only():
    schema = schema_of({**BASE, "weight": [1.5] * 4})
    schema.default_environment.append("TRAINING")
    validation.get_feature(schema, "weight").in_environment.append("REPLAY")
    validation.get_feature(schema, "weight").not_in_environment.append("TRAINING")
    assert found(schema, BASE, "TRAINING") == {}


def test_an_unknown_environment_is_refused():
    with pytest.raises(ArgumentError, match="environment"):
        found(schema_of(BASE), BASE, "SERVIGN")


def test_deprecated_features_are_left_alone():
    schema = schema_of(BASE)
    schema.feature[0].lifecycle_stage = schema_pb2.DEPRECATED
    schema.feature[1].deprecated = True
    assert found(schema, {"x": ["other"], "y": [1]}) == {"y": ["SCHEMA_NEW_COLUMN"]}


def test_no_examples_are_said_to_be_missing():
    anomalies = validation.validate_statistics(statistics_of({"x": pa.array([], pa.int64())}), schema_of(BASE))
    assert anomalies.data_missing
    assert not anomalies.anomaly_info
    assert "0 examples" in anomalies.dataset_anomaly_info.description


def test_too_few_and_too_many_examples_are_an_error_of_the_dataset():
    schema = schema_of(BASE)
    schema.dataset_constraints.min_examples_count = 10
    few = validation.validate_statistics(statistics_of(BASE), schema).dataset_anomaly_info
    assert few.reason[0].type == INFO.DATASET_LOW_NUM_EXAMPLES
    assert (few.severity, few.description) == (
        INFO.ERROR,
        "The dataset has 4 examples, which is fewer than expected: 10.",
    )
    schema.dataset_constraints.min_examples_count = 1
    schema.dataset_constraints.max_examples_count = 3
    many = validation.validate_statistics(statistics_of(BASE), schema).dataset_anomaly_info
    assert many.reason[0].type == INFO.DATASET_HIGH_NUM_EXAMPLES


def test_a_schema_that_contradicts_itself_is_an_anomaly_not_a_crash():
    def broken(change):
        schema = schema_of({"x": ["a", "b"]})
        change(schema.feature[0])
        return found(schema, {"x": ["a"]})["x"]

    assert broken(lambda f: f.ClearField("type")) == ["FEATURE_MISSING_TYPE"]
    assert broken(lambda f: setattr(f, "domain", "gone")) == ["INVALID_SCHEMA_SPECIFICATION"]
    assert broken(lambda f: f.float_domain.SetInParent() or f.ClearField("type") or setattr(f, "type", 2)) == [
        "UNEXPECTED_DATA_TYPE"
    ]
    assert broken(lambda f: setattr(f.presence, "min_fraction", 2.0)) == ["INVALID_SCHEMA_SPECIFICATION"]
    assert broken(lambda f: setattr(f.presence, "min_fraction", math.nan)) == ["INVALID_SCHEMA_SPECIFICATION"]
    schema = schema_of({"x": [1, 2]})
    schema.feature[0].float_domain.min = 1.0
    assert found(schema, {"x": [1, 2]}) == {"x": ["DOMAIN_INVALID_FOR_TYPE"]}
    schema.feature[0].ClearField("float_domain")
    schema.feature[0].distribution_constraints.min_domain_mass = 0.5
    assert found(schema, {"x": [1, 2]}) == {"x": ["INVALID_SCHEMA_SPECIFICATION"]}


def test_what_is_no_schema_is_refused():
    with pytest.raises(ArgumentError, match="no schema"):
        validation.validate_statistics(statistics_of(BASE), statistics_of(BASE))


def test_penguins_with_another_distribution_still_fit(shared_data):
    train = validation.generate_statistics_from_csv(shared_data / "penguins.csv")
    other = validation.generate_statistics_from_csv(shared_data / "penguins_skewed.csv")
    assert types_of(validation.validate_statistics(other, validation.infer_schema(train))) == {}
