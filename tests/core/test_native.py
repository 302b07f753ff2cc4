"""The C library: optional, never called when it is of other headers, and replaced by NumPy on request."""

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from mainstay.core import ADDRESS, ArgumentError, address_of, native_function, native_library, without_native
from mainstay.core.native import interface, library

FOLDER = Path(library.__file__).parent

with_library = pytest.mark.skipif(native_library() is None, reason="the C library is not built")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the C files in a folder of their own."""
    folder = tmp_path / "native"
    folder.mkdir()
    for path in [*FOLDER.glob("*.[ch]"), FOLDER / "interface.py"]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def loading_from(monkeypatch: pytest.MonkeyPatch):
    def load(folder: Path) -> ctypes.CDLL | None:
        monkeypatch.setattr(library, "_FOLDER", folder)
        return library._load.__wrapped__()

    return load


def test_without_native_nothing_is_called_in_any_thread() -> None:
    seen: list[object] = []
    with without_native():
        with without_native():
            assert native_library() is None
        thread = threading.Thread(target=lambda: seen.append(native_function("mainstay_abi_version", ctypes.c_uint64)))
        thread.start()
        thread.join()
    assert seen == [None]


@with_library
def test_a_function_has_the_types_that_it_was_asked_for_with() -> None:
    version = native_function("mainstay_abi_version", ctypes.c_uint64)
    assert version is not None
    assert version() == interface.abi_version(FOLDER)
    crc = native_function("mainstay_masked_crc32c", ctypes.c_uint32, ADDRESS, ctypes.c_int64, ctypes.c_int32)
    assert crc is not None
    assert crc(address_of(np.frombuffer(b"abc", np.uint8)), 3, 0) == 0x21F1576E


def test_an_array_with_gaps_has_no_address() -> None:
    with pytest.raises(ArgumentError, match="contiguous"):
        address_of(np.zeros(10)[::2])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(3),
        np.empty(0),
        np.zeros((2, 3), np.float16),
        np.array(5, np.int32),
        np.array([b"a"], object),
        np.array(["2020-01-01"], "M8[s]"),
        np.frombuffer(b"abc", np.uint8),
    ],
)
def test_an_address_is_that_of_the_first_element_whatever_the_array_holds(array: np.ndarray) -> None:
    assert address_of(array) == array.ctypes.data


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_library_of_other_headers_is_not_used(sources: Path, loading_from, monkeypatch: pytest.MonkeyPatch) -> None:
    from build_native import FLAGS, build

    monkeypatch.setattr("build_native.FLAGS", ["-O0" if flag == "-O3" else flag for flag in FLAGS])
    assert loading_from(sources) is None
    built = build(sources)
    assert built == sources / interface.LIBRARY
    assert loading_from(sources) is not None
    (sources / "records.h").write_text((sources / "records.h").read_text() + "\n/* another declaration */\n")
    assert loading_from(sources) is None
    assert sorted(path.name for path in sources.glob(".build-*")) == []


def test_a_file_that_is_no_library_is_not_used(sources: Path, loading_from) -> None:
    (sources / interface.LIBRARY).write_bytes(b"not a library")
    assert loading_from(sources) is None


def test_a_compiler_that_fails_leaves_the_older_library(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from build_native import BuildError, build

    (sources / interface.LIBRARY).write_bytes(b"older")
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(BuildError, match="no-such-compiler"):
        build(sources)
    monkeypatch.setenv("CC", "false")
    with pytest.raises(BuildError):
        build(sources)
    assert (sources / interface.LIBRARY).read_bytes() == b"older"
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BuildError, match="no C compiler"):
        build(sources)


def test_the_environment_switches_the_library_off() -> None:
    code = "from mainstay.core import native_library; print(native_library())"
    environment = {**os.environ, "MAINSTAY_NATIVE": "off"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_the_version_follows_the_headers_and_nothing_else(sources: Path) -> None:
    version = interface.abi_version(sources)
    assert version == interface.abi_version(FOLDER)
    (sources / "records.c").write_text("int changed;")
    assert interface.abi_version(sources) == version
    (sources / "more.h").write_text("int more(void);")
    assert interface.abi_version(sources) != version
