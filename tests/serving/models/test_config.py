from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import ArgumentError, FormatError, MainstayError, PreconditionError, StorageError
from mainstay.serving.models.config import (
    FleetConfig,
    LoggingRule,
    ModelConfig,
    VersionPolicy,
    check_change,
    config_of_models,
    parse_config,
    read_config_file,
)


def config_of(*models):
    return parse_config("model_config_list {" + "".join(f"config {{ {model} }}" for model in models) + "}")


GOOD = "name: 'm' base_path: '/models/m' model_platform: 'tensorflow'"


def test_a_configuration_file_of_tf_serving_is_read(tmp_path):
    path = tmp_path / "models.config"
    path.write_text("""
        model_config_list {
          config {
            name: "flowers" base_path: "/models/flowers" model_platform: "tensorflow"
            model_version_policy { specific { versions: 7 versions: 3 versions: 7 } }
            version_labels { key: "stable" value: 3 }
            version_labels { key: "canary" value: 7 }
            logging_config {
              log_collector_config { type: "file" filename_prefix: "/logs/flowers" }
              sampling_config { sampling_rate: 0.25 }
            }
          }
          config: { name: 'b' base_path: 'file:' '///models/b' model_type: TENSORFLOW
            model_version_policy: { all: {} } }
          # a comment
          config {
            name: "c" base_path: "/c" model_platform: "mainstay"
            model_version_policy { latest { num_versions: 2 } }
          }
        }""")
    assert read_config_file(path).models == (
        ModelConfig(
            "flowers",
            Path("/models/flowers"),
            policy=VersionPolicy("specific", versions=(3, 7)),
            labels={"canary": 7, "stable": 3},
            logging=LoggingRule("file", "/logs/flowers", 0.25),
        ),
        ModelConfig("b", Path("/models/b"), policy=VersionPolicy("all")),
        ModelConfig("c", Path("/c"), policy=VersionPolicy("latest", 2), platform="mainstay"),
    )


def test_an_empty_file_has_no_models():
    assert parse_config("") == FleetConfig()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("model_config_list {\n  config { nmae: 'm' }\n}", "models:2:12"),
        ("model_config_list {\n", "models"),
        ("model_config_list { config { name: 3 } }", "models:1:36"),
        ("{}", "models:1:1"),
        ("model_config_list { config { name: '" + "\\xff" + "' } }", "models"),
    ],
)
def test_a_malformed_file_is_refused_with_line_and_column(text, place):
    with pytest.raises(FormatError) as caught:
        parse_config(text, where="models")
    assert caught.value.where.startswith(place)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(StorageError, match="cannot be read"):
        read_config_file(tmp_path / "absent")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="no text"):
        read_config_file(tmp_path / "binary")


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ((GOOD, GOOD), "Illegal to list model m multiple times in config list"),
        (
            ("name: 'm' base_path: 'models/m' model_platform: 'tensorflow'",),
            r"Expected model m to have an absolute path or URI; got base_path\(\)=models/m",
        ),
        (("name: 'm' base_path: '/m' model_platform: 'caffe'",), "Model m requests unsupported platform caffe"),
        (("name: 'm' base_path: '/m'",), "Illegal setting neither ModelServerConfig::model_type"),
        ((GOOD + " model_type: TENSORFLOW",), "Illegal setting both ModelServerConfig::model_type"),
        (("name: 'm' base_path: '/m' model_type: OTHER",), "model_type choice 2 not supported"),
        (("base_path: '/m' model_platform: 'tensorflow'",), "a model has no name"),
        (("name: 'a/b' base_path: '/m' model_platform: 'tensorflow'",), "cannot stand in a path"),
        (("name: 'm' base_path: 's3://m' model_platform: 'tensorflow'",), "from the file system only"),
        ((GOOD + " logging_config { sampling_config { sampling_rate: 2 } }",), "sampling rate is out of range"),
    ],
)
def test_a_wrong_model_is_refused_with_the_words_of_tf_serving(models, message):
    with pytest.raises(ArgumentError, match=message):
        config_of(*models)


def test_a_custom_configuration_is_refused():
    with pytest.raises(PreconditionError):
        parse_config("custom_model_config { type_url: 'x' }")


def test_a_model_may_not_change_its_platform():
    old = config_of(GOOD)
    new = config_of(GOOD.replace("tensorflow", "mainstay"))
    check_change(old, old)
    with pytest.raises(
        ArgumentError,
        match=r"Illegal to change a model's platform\. For model m platform was tensorflow and new platform requested",
    ):
        check_change(old, new)


def test_names_and_paths_are_a_configuration_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = object()
    assert config_of_models({"a": "here", "b": model}).models == (
        ModelConfig("a", tmp_path / "here"),
        ModelConfig("b", model=model),
    )


def test_policies_choose_versions():
    there = [1, 10, 9, 2]
    assert VersionPolicy().choose(there) == [10]
    assert VersionPolicy("latest", 3).choose(there) == [2, 9, 10]
    assert VersionPolicy("latest", 9).choose(there) == [1, 2, 9, 10]
    assert VersionPolicy("all").choose(there) == [1, 2, 9, 10]
    assert VersionPolicy("specific", versions=(9, 1, 4)).choose(there) == [1, 9]
    assert VersionPolicy().choose([]) == []
    with pytest.raises(ArgumentError):
        VersionPolicy("newest")


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        config = parse_config(text)
    except MainstayError:
        return
    assert isinstance(config, FleetConfig)
