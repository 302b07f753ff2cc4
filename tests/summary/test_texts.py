"""Texts and tensors for other plugins."""

from pathlib import Path

import numpy as np
import pytest

from mainstay import summary
from mainstay.core import ArgumentError, message_class


@pytest.fixture
def writer(tmp_path: Path):
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(step=0):
        yield writer
    writer.close()


@pytest.mark.parametrize(
    ("data", "shape", "strings"),
    [
        ("grüße", (), ["grüße".encode()]),
        (b"raw\0", (), [b"raw\0"]),
        (np.array(["a", "bc"]), (2,), [b"a", b"bc"]),
        ([["a", "b"], ["c", "d"]], (2, 2), [b"a", b"b", b"c", b"d"]),
        (np.array([["x"]], dtype=object), (1, 1), [b"x"]),
    ],
)
def test_strings_keep_their_shape(writer, tmp_path: Path, read_values, data, shape, strings) -> None:
    assert summary.text("note", data)
    writer.flush()
    [(tag, _, plugin, array)] = read_values(tmp_path)
    assert (tag, plugin, array.shape) == ("note", "text", shape)
    assert list(array.flat) == strings


@pytest.mark.parametrize("data", [3, None, [1, 2], np.zeros(2), ["a", 1]])
def test_what_is_no_text_is_refused(writer, data: object) -> None:
    with pytest.raises(ArgumentError, match="the text of a summary is wrong"):
        summary.text("note", data)


def test_write_takes_the_metadata_of_any_plugin(writer, tmp_path: Path, read_values) -> None:
    metadata = message_class("tensorflow.SummaryMetadata")()
    metadata.plugin_data.plugin_name = "mine"
    assert summary.write("a", np.arange(6).reshape(2, 3), metadata=metadata)
    assert summary.write("b", "text", metadata=metadata.SerializeToString())
    assert summary.write("c", 1.0)
    with pytest.raises(ArgumentError, match="metadata"):
        summary.write("d", 1.0, metadata="mine")
    writer.flush()
    first, second, third = read_values(tmp_path)
    assert first[2] == second[2] == "mine"
    np.testing.assert_array_equal(first[3], [[0, 1, 2], [3, 4, 5]])
    assert (second[3].item(), third[2]) == (b"text", "")
