"""What is written is read back; what cannot be read is refused with the place of the fault."""

import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from mainstay import validation
from mainstay.core import ArgumentError, FormatError, SchemaError, StorageError


@pytest.fixture
def statistics():
    return validation.generate_statistics_from_batches(
        {"Straße": ["Köln", "Ulm"], "when": pa.array([1, 2], pa.timestamp("us")), "flag": [True, False]}
    )


def test_schemas_come_back_with_their_types(statistics, tmp_path):
    schema = validation.infer_schema(statistics)
    path = tmp_path / "new" / "schema.pbtxt"
    validation.write_schema_text(schema, path)
    assert validation.load_schema_text(path) == schema
    assert "Straße" in path.read_text(encoding="utf-8")
    assert "UNIX_MICROSECONDS" in path.read_text(encoding="utf-8")


def test_statistics_and_anomalies_come_back(statistics, tmp_path):
    validation.write_statistics(statistics, tmp_path / "statistics.pb")
    assert validation.load_statistics(tmp_path / "statistics.pb") == statistics
    anomalies = validation.validate_statistics(statistics, schema_pb2.Schema())
    validation.write_anomalies_text(anomalies, tmp_path / "anomalies.pbtxt")
    assert validation.load_anomalies_text(tmp_path / "anomalies.pbtxt") == anomalies


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('feature { name: "x" }\nfeature { nam: "y" }\n', 2),
        ('feature {\n  name: "x"\n  type: STRING\n}\n', 3),
        ('feature {\n  name: "x"\n', 2),
        ('string_domain { name: "s"\n value: 3 }', 2),
    ],
)
def test_a_malformed_schema_is_refused_naming_the_line(tmp_path, text, line):
    path = tmp_path / "schema.pbtxt"
    path.write_text(text)
    with pytest.raises(SchemaError) as caught:
        validation.load_schema_text(path)
    assert caught.value.where.startswith(f"{path}:{line}")


def test_a_schema_that_is_not_utf8_is_refused_naming_the_line(tmp_path):
    path = tmp_path / "schema.pbtxt"
    path.write_bytes(b'feature {\n name: "\xff" }')
    with pytest.raises(SchemaError, match=r"schema\.pbtxt:2"):
        validation.load_schema_text(path)


def test_malformed_anomalies_and_statistics_are_refused_naming_the_file(tmp_path):
    path = tmp_path / "broken"
    path.write_bytes(b"\xff\xff\xff not a proto")
    with pytest.raises(FormatError, match="broken"):
        validation.load_statistics(path)
    path.write_text("anomaly")
    with pytest.raises(FormatError, match="broken:1"):
        validation.load_anomalies_text(path)


def test_missing_files_and_other_protos_are_refused(statistics, tmp_path):
    for load in (validation.load_schema_text, validation.load_statistics, validation.load_anomalies_text):
        with pytest.raises(StorageError, match="nowhere"):
            load(tmp_path / "nowhere")
    with pytest.raises(ArgumentError, match="Schema"):
        validation.write_schema_text(statistics, tmp_path / "schema.pbtxt")
    with pytest.raises(ArgumentError):
        validation.write_statistics(schema_pb2.Schema(), tmp_path / "statistics.pb")
    assert list(tmp_path.iterdir()) == []
