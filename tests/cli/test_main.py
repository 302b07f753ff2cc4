"""The command itself."""

import logging

import pytest

from mainstay.cli.main import _TextFormatter, main


@pytest.mark.parametrize(
    ("level", "line"),
    [(logging.INFO, "7 models"), (logging.WARNING, "warning: 7 models"), (logging.ERROR, "error: 7 models")],
)
def test_lines_of_text_say_what_is_wrong(level, line):
    record = logging.LogRecord("mainstay", level, "", 0, "%d models", (7,), None)
    assert _TextFormatter().format(record) == line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("serve --mode m=/m", "mainstay serve: error: unrecognized arguments: --mode m=/m; did you mean --model?"),
        ("serve --rest_prot=1", "unrecognized arguments: --rest_prot=1; did you mean --rest_port?"),
        ("serve folder", "mainstay serve: error: unrecognized arguments: folder\n"),
        ("bench serve http://a --model m --xyzzy", "mainstay bench serve: error: unrecognized arguments: --xyzzy\n"),
    ],
)
def test_a_word_that_nobody_knows_is_refused_with_the_nearest_option(capsys, words, told):
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err
