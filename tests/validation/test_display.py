"""Tables on the terminal say what there is, fit narrow terminals and obey no escape sequence from the data."""

import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from mainstay import validation
from mainstay.core import ArgumentError

COLUMNS = {
    "fare": [0.5, 2.5, None, 1.5],
    "city": ["Ulm", "Köln", "Ulm", None],
    "day": [3] * 4,
    "flag": [True, False, True, True],
    "none": pa.nulls(4),
    "[bold]\x1b[31mred": ["\x1b]0;title\x07", "b", "b", "b"],
}


@pytest.fixture
def statistics():
    return validation.generate_statistics_from_batches(COLUMNS)


@pytest.mark.parametrize("width", [40, 80, 160])
def test_statistics_are_shown_at_any_width(statistics, width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    assert validation.visualize_statistics(statistics) is None
    shown = capsys.readouterr().out
    assert "Numeric features of 4 examples" in " ".join(shown.split())
    assert "\x1b]" not in shown
    assert "\x07" not in shown
    if width == 160:
        assert "std dev" in shown
        assert "25.0%" in shown
        assert "[bold]\\x1b[31mred" in shown


def test_a_schema_is_shown_with_its_domains(statistics, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "160")
    schema = validation.infer_schema(statistics, infer_ranges=True)
    validation.get_feature(schema, "fare").presence.min_fraction = 0.9
    schema.feature.add(name="text", type=schema_pb2.BYTES).string_domain.value.extend(["p", "q"])
    schema.feature.add(name="list", type=schema_pb2.INT).value_count.min = 2
    assert validation.display_schema(schema) is None
    shown = capsys.readouterr().out
    for words in ("fare", "optional", "required", "min: 0.5; max: 2.5", "Köln, Ulm", "p, q", "single", "[2, inf)"):
        assert words in shown


def test_anomalies_are_shown_or_said_to_be_none(statistics, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "160")
    schema = validation.infer_schema(statistics)
    assert validation.display_anomalies(validation.validate_statistics(statistics, schema)) is None
    assert "No anomalies found." in capsys.readouterr().out
    schema.dataset_constraints.min_examples_count = 9
    del schema.feature[0]
    validation.display_anomalies(validation.validate_statistics(statistics, schema))
    shown = capsys.readouterr().out
    assert "fare" in shown
    assert "New column" in shown
    assert "[dataset anomaly]" in shown


def test_other_protos_are_refused(statistics):
    for show in (validation.display_schema, validation.display_anomalies):
        with pytest.raises(ArgumentError):
            show(statistics)
    with pytest.raises(ArgumentError):
        validation.visualize_statistics(schema_pb2.Schema())
