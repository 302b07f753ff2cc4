"""Compiled programs are kept from one process to the next: whole, of bounded size, and never at the price of a run."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mainstay.core import ArgumentError
from mainstay.core.compilation_cache import CompilationCache, default_folder, set_compilation_cache

PROGRAM = """
import json, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from mainstay.core import start_compilation_cache
    start_compilation_cache()
    import jax, jax.numpy as jnp
    events = []
    jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
    value = float(jax.jit(lambda x: jnp.tanh(x @ x).sum())(jnp.ones((4, 4))))
    value += float(jax.jit(lambda x: (x @ x).sum())(jnp.ones((5, 5))))
print(json.dumps({
    "value": value,
    "hits": events.count("/jax/compilation_cache/cache_hits"),
    "folder": jax.config.jax_compilation_cache_dir,
    "warnings": [str(w.message) for w in caught if "compilation cache" in str(w.message)],
}))
"""
VALUE = 16 * 0.9993292997390670 + 125


def start(**environment: str) -> "subprocess.Popen[str]":
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MAINSTAY_") and k != "XDG_CACHE_HOME"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=inherited | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> dict:
    out, err = process.communicate()
    assert process.returncode == 0, err
    result = json.loads(out.splitlines()[-1])
    assert result["value"] == pytest.approx(VALUE, rel=1e-6)
    return result


def run(**environment: str) -> dict:
    return finish(start(**environment))


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.xla"))


def test_an_entry_comes_back_and_an_absent_one_does_not(tmp_path: Path) -> None:
    cache = CompilationCache(tmp_path / "a" / "b")
    assert cache.get("key") is None
    cache.put("key", b"program")
    assert cache.get("key") == b"program"
    assert cache.get("other") is None
    assert [entry.name[0] for entry in (tmp_path / "a" / "b").iterdir()] != ["."]


def test_the_folder_is_the_users_alone(tmp_path: Path) -> None:
    CompilationCache(tmp_path / "b").put("key", b"program")
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:40] + b"x" + data[41:]]
)
def test_a_damaged_entry_is_removed_and_made_again(tmp_path: Path, damage) -> None:
    cache = CompilationCache(tmp_path / "b")
    cache.put("key", b"a rather long program")
    [entry] = entries(tmp_path)
    entry.write_bytes(damage(entry.read_bytes()))
    assert cache.get("key") is None
    assert entries(tmp_path) == []
    cache.put("key", b"another")
    assert cache.get("key") == b"another"


def test_the_least_recently_used_entries_give_way(tmp_path: Path) -> None:
    cache = CompilationCache(tmp_path / "new", max_size=1000)
    old = CompilationCache(tmp_path / "old", max_size=1000)
    old.put("elsewhere", bytes(200))
    for number in range(3):
        cache.put(str(number), bytes(200))
    for age, path in enumerate([old._path("elsewhere"), *(cache._path(str(number)) for number in range(3))]):
        os.utime(path, (age, age))
    assert cache.get("0") is not None
    cache.put("3", bytes(200))
    assert old.get("elsewhere") is None
    assert cache.get("1") is None
    assert [cache.get(key) is not None for key in "023"] == [True, True, True]
    assert sum(path.stat().st_size for path in entries(tmp_path)) <= 1000


def test_an_entry_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    CompilationCache(tmp_path / "b", max_size=10).put("key", bytes(11))
    assert entries(tmp_path) == []


def test_a_place_that_cannot_be_written_costs_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = CompilationCache(tmp_path / "file" / "b")
    with pytest.warns(RuntimeWarning, match="the compilation cache cannot be read: Not a directory") as caught:
        cache.get("key")
        cache.put("key", b"program")
        cache.get("key")
    assert len(caught) == 1


def test_a_full_disk_costs_one_warning_and_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = CompilationCache(tmp_path / "b")

    def full(self: Path, data: bytes) -> None:
        open(self, "wb").close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.warns(RuntimeWarning, match="cannot be written: No space left on device") as caught:
        cache.put("key", b"program")
        cache.put("key", b"program")
    assert len(caught) == 1
    assert list((tmp_path / "b").iterdir()) == []


def test_a_folder_that_others_may_write_to_is_not_trusted(tmp_path: Path) -> None:
    CompilationCache(tmp_path / "b").put("key", b"program")
    (tmp_path / "b").chmod(0o777)
    cache = CompilationCache(tmp_path / "b")
    with pytest.warns(RuntimeWarning, match="others may write to it"):
        assert cache.get("key") is None


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"MAINSTAY_COMPILATION_CACHE": "off"}, None),
        ({"MAINSTAY_COMPILATION_CACHE": "OFF", "MAINSTAY_CACHE": "/c"}, None),
        ({"MAINSTAY_COMPILATION_CACHE": "/a/b", "MAINSTAY_CACHE": "/c"}, Path("/a/b")),
        ({"MAINSTAY_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, Path("/c/xla")),
        ({"XDG_CACHE_HOME": "/x"}, Path("/x/mainstay/xla")),
        ({"HOME": "/h"}, Path("/h/.cache/mainstay/xla")),
    ],
)
def test_the_environment_says_where_programs_are_kept(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], folder: Path | None
) -> None:
    for name in ("MAINSTAY_COMPILATION_CACHE", "MAINSTAY_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert default_folder() == folder


def test_a_size_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ArgumentError, match="not positive"):
        set_compilation_cache("x", max_size=0)


def test_the_second_process_finds_what_the_first_compiled(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    first, second = run(**environment), run(**environment)
    assert first["hits"] == 0
    assert second["hits"] >= 2
    assert entries(tmp_path / "mainstay" / "xla")
    assert first["warnings"] == second["warnings"] == []


def test_two_processes_at_once_and_damaged_entries_do_no_harm(tmp_path: Path) -> None:
    environment = {"MAINSTAY_COMPILATION_CACHE": str(tmp_path)}
    processes = [start(**environment) for _ in range(2)]
    for result in [finish(process) for process in processes]:
        assert result["warnings"] == []
    for entry in entries(tmp_path):
        entry.write_bytes(b"garbage")
    assert run(**environment)["hits"] == 0
    assert run(**environment)["hits"] >= 2
    assert list(tmp_path.rglob("*.partial")) == []


def test_the_users_own_setting_of_jax_is_kept(tmp_path: Path) -> None:
    own = str(tmp_path / "own")
    environment = {"MAINSTAY_COMPILATION_CACHE": str(tmp_path / "ours"), "JAX_COMPILATION_CACHE_DIR": own}
    assert run(**environment)["folder"] == own
    assert not (tmp_path / "ours").exists()


def test_a_home_that_cannot_be_written_costs_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(MAINSTAY_COMPILATION_CACHE=str(tmp_path / "file" / "xla"))
    assert len(result["warnings"]) == 1
    assert "Set MAINSTAY_COMPILATION_CACHE to a folder of yours, or to off" in result["warnings"][0]


def test_off_is_off(tmp_path: Path) -> None:
    result = run(MAINSTAY_COMPILATION_CACHE="off", XDG_CACHE_HOME=str(tmp_path))
    assert result["folder"] is None
    assert list(tmp_path.iterdir()) == []


def test_who_chose_no_cache_keeps_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import jax

    from mainstay.core import start_compilation_cache

    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("MAINSTAY_COMPILATION_CACHE", str(tmp_path))
    set_compilation_cache(None)
    try:
        start_compilation_cache()
        assert jax.config.jax_compilation_cache_dir is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
