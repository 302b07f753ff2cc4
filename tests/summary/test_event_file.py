"""Event files: whole records at any time, several threads and processes, and failures that reach the caller."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mainstay.core import ArgumentError, StorageError, message_class
from mainstay.summary.event_file import EventFile


def event(step: int) -> bytes:
    return message_class("tensorflow.Event")(wall_time=1.0, step=step, graph_def=b"x" * 50).SerializeToString()


def steps(events: list) -> list[int]:
    return [item.step for item in events]


def test_the_name_has_time_host_process_and_suffix(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "deep" / "run", suffix=".v2", clock=lambda: 12.9)
    parts = file.path.name.split(".")
    assert parts[:4] == ["events", "out", "tfevents", "0000000012"]
    assert f".{os.getpid()}." in file.path.name
    assert file.path.name.endswith(".v2")
    file.close()


def test_a_new_file_says_its_version_at_once(tmp_path: Path, read_events) -> None:
    file = EventFile(tmp_path)
    assert read_events(tmp_path) == []
    file.close()


def test_flush_makes_every_record_visible_in_order(tmp_path: Path, read_events) -> None:
    file = EventFile(tmp_path, max_queue=1000)
    for step in range(100):
        file.add(event(step))
    file.flush()
    assert steps(read_events(tmp_path)) == list(range(100))
    file.close()


def test_a_full_queue_is_written_without_a_flush(tmp_path: Path, read_events) -> None:
    file = EventFile(tmp_path, max_queue=2)
    size = file.path.stat().st_size
    file.add(event(0))
    file.add(event(1))
    assert file.path.stat().st_size == size
    file.add(event(2))
    assert file.wait_for_size(size + 1, timeout=60)
    assert steps(read_events(tmp_path)) == [0, 1, 2]
    file.close()


def test_a_record_does_not_wait_longer_than_the_interval(tmp_path: Path, read_events) -> None:
    file = EventFile(tmp_path, max_queue=1000, flush_seconds=0.01)
    size = file.path.stat().st_size
    file.add(event(7))
    assert file.wait_for_size(size + 1, timeout=60)
    assert steps(read_events(tmp_path)) == [7]
    file.close()


def test_close_writes_what_waits_and_may_be_called_twice(tmp_path: Path, read_events) -> None:
    file = EventFile(tmp_path, max_queue=1000)
    file.add(event(1))
    file.close()
    file.close()
    assert steps(read_events(tmp_path)) == [1]
    with pytest.raises(ArgumentError, match="is closed"):
        file.add(event(2))


def test_many_threads_lose_and_mix_nothing(tmp_path: Path, read_events) -> None:
    file = EventFile(tmp_path, max_queue=3)

    def work(first: int) -> None:
        for step in range(first, first + 200):
            file.add(event(step))
            if step % 50 == 0:
                file.flush()

    threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.close()
    written = steps(read_events(tmp_path))
    assert sorted(written) == [1000 * n + step for n in range(4) for step in range(200)]
    for n in range(4):
        assert [step for step in written if step // 1000 == n] == list(range(1000 * n, 1000 * n + 200))


def test_writers_on_one_folder_have_files_of_their_own(tmp_path: Path, read_events) -> None:
    files = [EventFile(tmp_path, clock=lambda: 1.0) for _ in range(5)]
    for number, file in enumerate(files):
        file.add(event(number))
        file.close()
    assert len({file.path for file in files}) == 5
    assert sorted(steps(read_events(tmp_path))) == [0, 1, 2, 3, 4]


def test_a_name_that_another_process_took_is_not_overwritten(tmp_path: Path, monkeypatch) -> None:
    numbers = iter([0, 0, 1])
    monkeypatch.setattr("mainstay.summary.event_file._numbers", numbers)
    first, second = (EventFile(tmp_path, clock=lambda: 1.0) for _ in range(2))
    assert first.path != second.path
    first.close()
    second.close()


def test_a_folder_that_is_a_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("")
    with pytest.raises(StorageError, match="cannot write events into"):
        EventFile(tmp_path / "logs")


def test_a_deleted_file_is_an_error_of_every_later_call(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    file.path.unlink()
    file.add(event(1))
    with pytest.raises(StorageError, match="deleted while it was written"):
        file.flush()
    with pytest.raises(StorageError, match="deleted"):
        file.add(event(2))
    with pytest.raises(StorageError, match="deleted"):
        file.close()


def test_a_failure_of_the_writing_thread_reaches_the_next_call(tmp_path: Path, monkeypatch) -> None:
    file = EventFile(tmp_path, max_queue=0)

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("mainstay.summary.event_file.os.write", full)
    with pytest.raises(StorageError, match="No space left") as caught:
        for _ in range(10**6):
            file.add(event(1))
    assert caught.value.where == str(file.path)
    with pytest.raises(StorageError, match="free some space"):
        file.close()


def test_a_write_that_fails_half_way_leaves_whole_records(tmp_path: Path, read_events, monkeypatch) -> None:
    file = EventFile(tmp_path, max_queue=1000)
    file.add(event(1))
    file.flush()
    write, calls = os.write, []

    def short(descriptor: int, data: memoryview) -> int:
        calls.append(len(data))
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:20])

    monkeypatch.setattr("mainstay.summary.event_file.os.write", short)
    file.add(event(2))
    with pytest.raises(StorageError, match="No space left"):
        file.flush()
    assert len(calls) == 2
    assert steps(read_events(tmp_path)) == [1]
    with pytest.raises(StorageError):
        file.close()


def run(code: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_what_waits_when_python_ends_is_written(tmp_path: Path, read_values) -> None:
    done = run(
        "import sys\nfrom mainstay import summary\nwriter = summary.create_file_writer(sys.argv[1])\n"
        "writer.set_as_default(step=3)\nsummary.scalar('a', 1.0)",
        tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [value[:2] for value in read_values(tmp_path)] == [("a", 3)]


def test_a_forked_process_writes_a_file_of_its_own(tmp_path: Path, read_values) -> None:
    code = """
import os, sys
from mainstay import summary
writer = summary.create_file_writer(sys.argv[1], max_queue=100)
writer.set_as_default()
summary.scalar("parent", 1.0, step=0)
child = os.fork()
summary.scalar("child" if child == 0 else "parent", 2.0, step=1)
writer.close()
if child:
    os.waitpid(child, 0)
"""
    done = run(code, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(tmp_path.iterdir())) == 2
    assert sorted(value[:2] for value in read_values(tmp_path)) == [("child", 1), ("parent", 0), ("parent", 1)]


def test_a_failure_when_python_ends_is_shown(tmp_path: Path) -> None:
    done = run(
        "import os, sys\nfrom mainstay import summary\nwriter = summary.create_file_writer(sys.argv[1])\n"
        "writer.set_as_default(step=3)\nsummary.scalar('a', 1.0)\n"
        "[os.unlink(entry.path) for entry in os.scandir(sys.argv[1])]",
        tmp_path,
    )
    assert "StorageError" in done.stderr
    assert "deleted" in done.stderr


def test_a_limit_of_the_system_is_reported_and_leaves_whole_records(tmp_path: Path, read_values) -> None:
    code = """
import resource, signal, sys
from mainstay import summary
from mainstay.core import StorageError
writer = summary.create_file_writer(sys.argv[1], max_queue=10**6)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
with writer.as_default(step=0):
    summary.scalar("a", 1.0)
    writer.flush()
    for step in range(1, 10):
        summary.scalar("a", 1.0, step=step)
    for attempt in (writer.flush, writer.flush, writer.close):
        try:
            attempt()
        except StorageError as error:
            print(error.one_line())
"""
    done = run(code, tmp_path)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all("File too large" in line for line in lines)
    assert [value[1] for value in read_values(tmp_path)] == [0]


def test_a_failure_that_was_raised_is_not_shown_again_when_python_ends(tmp_path: Path) -> None:
    code = """
import os, sys
from mainstay import summary
from mainstay.core import StorageError
writer = summary.create_file_writer(sys.argv[1])
writer.set_as_default(step=3)
summary.scalar('a', 1.0)
[os.unlink(entry.path) for entry in os.scandir(sys.argv[1])]
try:
    summary.flush()
except StorageError:
    print("seen")
"""
    done = run(code, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "seen\n", "")
