import json
import signal

import pytest

from mainstay.core import ArtifactError, FormatError, IntegrityError, SetupError, UnavailableError
from mainstay.serving.models import apart
from mainstay.serving.models.apart import ChildProcesses


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Let a Python program stand in for the child process."""

    def use(text):
        file = tmp_path / "program.py"
        file.write_text(text)
        monkeypatch.setattr(apart, "COMMAND", (apart.COMMAND[0], str(file)))

    return use


def test_the_report_is_the_last_line_that_a_child_process_writes(program):
    program("import json, sys; print(1); print(json.dumps({'seconds': json.load(sys.stdin)['a']}))")
    assert ChildProcesses().run({"a": 3}) == {"seconds": 3}


def test_an_error_of_a_child_process_comes_back_as_it_was(program):
    error = IntegrityError("a file was edited", where="weights", expected="a", received="b", fix="save it again")
    program(f"print({json.dumps({'error': apart._report_error(error)})!r})")
    with pytest.raises(IntegrityError) as caught:
        ChildProcesses().run({})
    assert str(caught.value) == str(error)


@pytest.mark.parametrize("error", [ArtifactError("a"), FormatError("b"), SetupError("c", fix="d")])
def test_errors_keep_their_kind_on_the_way(error):
    again = apart._error(json.loads(json.dumps(apart._report_error(error))))
    assert type(again) is type(error)
    assert str(again) == str(error)


def test_other_errors_may_go_away():
    again = apart._error(apart._report_error(RuntimeError("no memory")))
    assert isinstance(again, UnavailableError)
    assert "RuntimeError: no memory" in str(again)


def test_a_child_process_that_is_killed_may_go_well_another_time(program):
    program(f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})")
    with pytest.raises(UnavailableError, match="ended early") as caught:
        ChildProcesses().run({})
    assert caught.value.received == "signal 9"
    program("raise SystemExit('nothing works')")
    with pytest.raises(UnavailableError, match="nothing works"):
        ChildProcesses().run({})


def test_a_child_process_without_a_report_is_an_error(program):
    program("print('hello')")
    with pytest.raises(UnavailableError, match="gave no report"):
        ChildProcesses().run({})


def test_child_processes_end_with_the_server(program):
    children = ChildProcesses()
    children.close()
    with pytest.raises(UnavailableError, match="stopping"):
        children.run({})
