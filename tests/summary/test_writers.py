"""Writers: defaults of a thread, arguments, and what happens without one."""

import gc
import threading
from pathlib import Path

import pytest

from mainstay import summary
from mainstay.core import ArgumentError, StorageError


def test_a_summary_without_a_writer_is_not_recorded() -> None:
    assert summary.scalar("a", 1.0, step=0) is False
    assert summary.image("a", "anything", step=None) is False
    assert not summary.should_record_summaries()


def test_writers_nest_and_the_outer_one_comes_back(tmp_path: Path, read_values) -> None:
    outer, inner = (summary.create_file_writer(tmp_path / name) for name in ("outer", "inner"))
    with outer.as_default(step=1) as entered:
        assert entered is outer
        summary.scalar("a", 1.0)
        with inner.as_default(step=2):
            summary.scalar("b", 1.0)
            with outer.as_default():
                summary.scalar("c", 1.0)
        summary.scalar("d", 1.0)
    assert summary.experimental.get_step() is None
    outer.close()
    inner.close()
    assert [value[:2] for value in read_values(tmp_path / "outer")] == [("a", 1), ("c", 2), ("d", 1)]
    assert [value[:2] for value in read_values(tmp_path / "inner")] == [("b", 2)]


def test_the_default_writer_belongs_to_its_thread(tmp_path: Path, read_values) -> None:
    writer, seen = summary.create_file_writer(tmp_path), []
    with writer.as_default():
        thread = threading.Thread(target=lambda: seen.append(summary.scalar("a", 1.0, step=0)))
        thread.start()
        thread.join()
    writer.close()
    assert seen == [False]
    assert read_values(tmp_path) == []


def test_record_if_takes_bools_arrays_and_functions(tmp_path: Path, read_values) -> None:
    import jax.numpy as jnp

    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(step=0):
        for name, condition in (("no", False), ("no", jnp.array(False)), ("yes", jnp.array(True)), ("yes", True)):
            with summary.record_if(condition):
                assert summary.should_record_summaries() == (name == "yes")
                assert summary.scalar(name, 1.0) == (name == "yes")
        for step in range(6):
            with summary.record_if(lambda step=step: step % 3 == 0):
                summary.scalar("third", 1.0, step=step)
    writer.close()
    assert [value[:2] for value in read_values(tmp_path)] == [("yes", 0), ("yes", 0), ("third", 0), ("third", 3)]


def test_the_default_step_can_be_a_variable(tmp_path: Path, read_values) -> None:
    from mainstay import keras

    step = keras.Variable(4, dtype="int32", trainable=False)
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(step=step):
        summary.scalar("a", 1.0)
        step.assign_add(1)
        summary.scalar("a", 1.0)
        summary.experimental.set_step(9)
        summary.scalar("a", 1.0)
    writer.close()
    assert [value[1] for value in read_values(tmp_path)] == [4, 5, 9]


def test_the_clock_dates_the_events(tmp_path: Path, read_events) -> None:
    writer = summary.create_file_writer(tmp_path, clock=lambda: 5.5)
    with writer.as_default():
        summary.scalar("a", 1.0, step=0)
    summary.flush(writer)
    assert [event.wall_time for event in read_events(tmp_path)] == [5.5]
    writer.close()


def test_flush_without_a_writer_flushes_the_default_one(tmp_path: Path, read_values) -> None:
    summary.flush()
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(step=0):
        summary.scalar("a", 1.0)
        summary.flush()
        assert len(read_values(tmp_path)) == 1
    writer.close()


def test_a_writer_that_is_dropped_is_written(tmp_path: Path, read_values) -> None:
    writer = summary.create_file_writer(tmp_path)
    file = writer._file
    with writer.as_default(step=0):
        summary.scalar("a", 1.0)
    size = file.path.stat().st_size
    del writer
    gc.collect()
    assert file.wait_for_size(size + 1, timeout=60)
    assert len(read_values(tmp_path)) == 1


def test_a_noop_writer_takes_everything() -> None:
    writer = summary.create_noop_writer()
    with writer.as_default(step=0):
        assert summary.scalar("a", 1.0)
    writer.flush()
    writer.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"logdir": ""}, "logdir"),
        ({"logdir": 3}, "logdir"),
        ({"logdir": "gs://bucket/logs"}, "local folders only"),
        ({"logdir": "x", "max_queue": -1}, "max_queue"),
        ({"logdir": "x", "flush_millis": 0}, "flush_millis"),
        ({"logdir": "x", "max_queue": True}, "max_queue"),
        ({"logdir": "x", "filename_suffix": "/a"}, "filename_suffix"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        summary.create_file_writer(**arguments)


@pytest.mark.parametrize("step", [-1, 2**63, 1.5, float("nan"), float("inf"), "3", None, True, [1]])
def test_a_wrong_step_is_refused(tmp_path: Path, step: object) -> None:
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(), pytest.raises(ArgumentError, match="step"):
        summary.scalar("a", 1.0, step=step)
    if step is not None:
        with pytest.raises(ArgumentError, match="step"):
            summary.experimental.set_step(step)
    writer.close()


@pytest.mark.parametrize("name", ["", None, 3, b"a"])
def test_a_wrong_name_is_refused(tmp_path: Path, name: object) -> None:
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default(), pytest.raises(ArgumentError, match="the name of a summary is wrong"):
        summary.scalar(name, 1.0, step=0)
    writer.close()


def test_a_closed_writer_and_a_broken_file_are_errors_of_the_summary(tmp_path: Path) -> None:
    writer = summary.create_file_writer(tmp_path)
    writer.close()
    with writer.as_default(), pytest.raises(ArgumentError, match="closed"):
        summary.scalar("a", 1.0, step=0)
    writer = summary.create_file_writer(tmp_path)
    writer._file.path.unlink()
    with writer.as_default():
        summary.scalar("a", 1.0, step=0)
        with pytest.raises(StorageError, match="deleted"):
            summary.flush()
        with pytest.raises(StorageError, match="deleted"):
            summary.scalar("a", 1.0, step=0)
    with pytest.raises(StorageError):
        writer.close()
