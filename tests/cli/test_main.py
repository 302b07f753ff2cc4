"""The command itself."""

import logging

import pytest

from mainstay.cli.main import _TextFormatter


@pytest.mark.parametrize(
    ("level", "line"),
    [(logging.INFO, "7 models"), (logging.WARNING, "warning: 7 models"), (logging.ERROR, "error: 7 models")],
)
def test_lines_of_text_say_what_is_wrong(level, line):
    record = logging.LogRecord("mainstay", level, "", 0, "%d models", (7,), None)
    assert _TextFormatter().format(record) == line
