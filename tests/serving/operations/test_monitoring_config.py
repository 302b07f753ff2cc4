"""TF Serving's monitoring_config_file, and text protos in general."""

import pytest

from mainstay.core import FormatError, StorageError
from mainstay.serving.operations.monitoring_config import read_monitoring_config
from mainstay.serving.operations.text_protos import read_text_proto


@pytest.fixture
def write(tmp_path):
    def run(data):
        path = tmp_path / "config"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return run


def test_metrics_have_the_path_that_the_file_gives(write):
    path = write('# comment\nprometheus_config {\n  enable: true,\n  path: "/monitoring/here"\n}\n')
    assert read_monitoring_config(path) == "/monitoring/here"


def test_the_path_is_tf_serving_s_where_the_file_gives_none(write):
    assert read_monitoring_config(write("prometheus_config { enable: true }")) == "/monitoring/prometheus/metrics"


@pytest.mark.parametrize("text", ["", "prometheus_config {}", 'prometheus_config { enable: false path: "/x" }'])
def test_a_file_that_does_not_ask_for_metrics_gets_none(write, text):
    assert read_monitoring_config(write(text)) is None


@pytest.mark.parametrize("page", ["x", "/a b", "/a?b", "/a%20", "/\\303\\244", "//a#"])
def test_a_path_that_cannot_be_served_is_refused(write, page):
    with pytest.raises(FormatError, match="cannot be served"):
        read_monitoring_config(write(f'prometheus_config {{ enable: true path: "{page}" }}'))


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"\x00",
        b"{",
        b"prometheus_config {",
        b"prometheus_config { enable: maybe }",
        b"prometheus_config { enable: 3 }",
        b"prometheus { enable: true }",
        b"prometheus_config { enable: true } }",
        b'prometheus_config { path: "/x }',
        b"prometheus_config { enable: true enable: true }",
        b"prometheus_config " * 100_000,
        b"#" * (5 << 20),
        b"prometheus_config {" * 5000,
    ],
)
def test_what_is_no_such_file_is_refused_with_its_place(write, data):
    with pytest.raises(FormatError):
        read_monitoring_config(write(data))


def test_the_line_of_a_fault_is_named(write):
    with pytest.raises(FormatError, match=r"config:3: .*MonitoringConfig"):
        read_text_proto(
            write("prometheus_config {\n enable: true\n paths: 3\n}"), "tensorflow.serving.MonitoringConfig"
        )


def test_a_file_that_is_not_there_or_no_file_is_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(StorageError):
            read_monitoring_config(path)
