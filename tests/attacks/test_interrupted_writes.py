"""A disk that is full at any call, a process that dies at any call, two processes that write one path."""

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstay.core import StorageError, TensorSpec
from mainstay.saved_model import ServingFunction, load, save

Before = Callable[[str], None]


def function(weight: float = 2.0) -> ServingFunction:
    spec = TensorSpec([None], "float32", "x")
    return ServingFunction(lambda w, x: {"y": w["w"] * x["x"]}, (spec,), {"w": np.float32(weight)})


def watch(monkeypatch: pytest.MonkeyPatch, folder: Path, before: Before) -> None:
    """Call `before` with the name of every call that changes something in `folder`, before it does."""
    real_open = io.open

    def opened(file: Any, mode: str = "r", *more: Any, **options: Any) -> Any:
        if set(mode) & set("wxa+") and str(file).startswith(str(folder)):
            before("open")
        return real_open(file, mode, *more, **options)

    monkeypatch.setattr("builtins.open", opened)
    monkeypatch.setattr(io, "open", opened)
    for name in ("fsync", "rename", "mkdir"):
        real = getattr(os, name)

        def called(*given: Any, real: Any = real, name: str = name, **options: Any) -> Any:
            before(name)
            return real(*given, **options)

        monkeypatch.setattr(os, name, called)


def test_a_process_that_dies_at_any_call_leaves_nothing_or_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies on the disk before a call is what a process leaves that is killed there."""
    target, seen = tmp_path / "m", []

    def before(name: str) -> None:
        seen.append((name, target.exists()))
        if target.exists():
            assert (target / "assets.extra" / "mainstay" / "manifest.sha256").is_file()

    with monkeypatch.context() as patched:
        watch(patched, tmp_path, before)
        save(function(), target)
    names = [name for name, _ in seen]
    assert names.count("rename") == 1
    assert names.count("fsync") > 10
    assert [exists for _, exists in seen] == [index > names.index("rename") for index in range(len(names))]
    assert load(target, buckets=[4]).signatures


def test_a_disk_that_is_full_at_any_call_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = function()
    calls: list[str] = []
    with monkeypatch.context() as patched:
        watch(patched, tmp_path, calls.append)
        save(made, tmp_path / "whole", tensorflow=None)
    renamed = calls.index("rename")
    for fails_at in range(renamed + 1):
        count = iter(range(10_000))

        def full(name: str, count: Any = count, fails_at: int = fails_at) -> None:
            if next(count) == fails_at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patched:
            watch(patched, tmp_path, full)
            with pytest.raises(StorageError, match="No space left") as failure:
                save(made, tmp_path / "m", tensorflow=None)
        assert failure.value.where is not None
        assert [path.name for path in tmp_path.iterdir()] == ["whole"], calls[fails_at]


def test_of_two_processes_that_write_one_path_one_wins_whole(tmp_path: Path) -> None:
    program = """if True:
        import sys
        import numpy as np
        from mainstay.core import StorageError, TensorSpec
        from mainstay.saved_model import ServingFunction, save
        spec = TensorSpec([None], "float32", "x")
        function = ServingFunction(lambda w, x: {"y": w["w"] * x["x"]}, (spec,), {"w": np.float32(sys.argv[2])})
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            save(function, sys.argv[1])
            print("won")
        except StorageError as error:
            print(f"lost: {error.fix}")
    """
    command = [sys.executable, "-c", program, str(tmp_path / "m")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "2"], **pipes) as one, subprocess.Popen([*command, "3"], **pipes) as other:
        assert [each.stdout.readline() for each in (one, other)] == ["ready\n"] * 2
        answers = [""] * 2
        for each in (one, other):
            each.stdin.write("go\n")
            each.stdin.flush()
        for index, each in enumerate((one, other)):
            answers[index] = each.communicate()[0].strip()
    assert sorted(answers) == ["lost: choose a path that is not taken", "won"]
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    answer: Any = load(tmp_path / "m", buckets=[4]).signatures["serving_default"]([1.0])["y"]
    assert answer.tolist() == [[2.0], [3.0]][answers.index("won")]
