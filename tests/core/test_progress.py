"""Progress is a bar on a terminal, a log line now and then elsewhere, and nothing when quiet."""

import io
import logging

import pytest

from mainstay.core import progress as module
from mainstay.core import quiet, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that progress sees, in seconds; set its only item to move it."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_away_from_a_terminal_there_is_a_log_line_every_ten_seconds(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mainstay")
    with track("Reading", total=2000, unit="rows") as progress:
        progress.advance(500)
        assert caplog.messages == []
        clock[0] = 10.0
        progress.advance(1000, note="a.csv")
        clock[0] = 19.0
        progress.advance(500)
    assert caplog.messages == ["Reading: 1,500 of 2,000 rows a.csv"]
    assert progress.done == 2000


def test_without_a_total_the_log_line_shows_the_count_alone(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mainstay")
    with track("Reading", unit="rows") as progress:
        clock[0] = 11.0
        progress.advance(3)
    assert [message.strip() for message in caplog.messages] == ["Reading: 3 rows"]


def test_on_a_terminal_there_is_a_bar_that_disappears(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    with track("Training", total=10, unit="steps") as progress:
        progress.advance(10, note="loss 0.5")
    text = terminal.getvalue()
    assert "Training" in text
    assert "10 steps loss 0.5" in text
    assert text.endswith("\x1b[2K")


def test_quiet_silences_everything_below_it_and_ends_with_its_block(
    clock: list[float], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "mainstay")
    terminal = Terminal()
    with quiet(), track("Reading") as progress:
        clock[0] = 60.0
        progress.advance()
        with monkeypatch.context() as patch:
            patch.setattr("sys.stderr", terminal)
            with track("Training") as inner:
                inner.advance()
    assert (progress.done, inner.done) == (1, 1)
    assert (caplog.messages, terminal.getvalue()) == ([], "")
    with track("Reading", unit="rows") as progress:
        clock[0] = 120.0
        progress.advance()
    assert len(caplog.messages) == 1


def test_an_error_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError), track("Reading"):
        raise KeyError


def test_a_request_to_stop_ends_the_work_at_its_next_step():
    from mainstay.core import quiet, request_stop, track

    with quiet(), track("Work") as progress:
        progress.advance()
        request_stop()
        with pytest.raises(KeyboardInterrupt):
            progress.advance()
        progress.advance()
