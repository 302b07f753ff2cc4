"""Compile the C files of `mainstay.core.native` into the one library that the package loads.

    python tools/build_native.py              # writes src/mainstay/core/native/_mainstay.so

Needs a C compiler: $CC, cc, gcc or clang. The installation runs the same and goes on without it, for NumPy then serves.
"""

from __future__ import annotations

import os
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "src" / "mainstay" / "core" / "native"
# No instruction set beyond the platform's own: a function that wants more asks the processor when it runs. Products and
# sums are not contracted, so that C and NumPy round alike.
FLAGS = [
    "-std=gnu11",
    "-O3",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Werror=missing-prototypes",
]


class BuildError(Exception):
    """There is no compiler, or it refused."""


def find_compiler() -> list[str]:
    """Return the command of the C compiler.

    Raises:
        BuildError: There is none.
    """
    if chosen := os.environ.get("CC"):
        return shlex.split(chosen)
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    raise BuildError("no C compiler: neither $CC nor cc, gcc or clang")


def build(folder: Path = FOLDER) -> Path:
    """Compile every `.c` file of the folder into one library there; an older one stays until the new one is whole.

    Args:
        folder: Where the C files, the headers and `interface.py` are.

    Returns:
        The path of the library.

    Raises:
        BuildError: There is no compiler, or it refused.
    """
    interface = runpy.run_path(str(folder / "interface.py"))
    sources = sorted(path.name for path in folder.glob("*.c"))
    version = f"-DMAINSTAY_ABI_VERSION={interface['abi_version'](folder)}ULL"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as temporary:
        output = Path(temporary) / interface["LIBRARY"]
        # Run inside the folder with bare names, so that no path of this machine enters the library.
        command = [*find_compiler(), *FLAGS, version, *sources, "-o", f"{Path(temporary).name}/{output.name}"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        except OSError as error:
            raise BuildError(f"{command[0]}: {error.strerror}") from error
        if done.returncode or not output.is_file():
            raise BuildError(f"{shlex.join(command)}\n{done.stderr.strip()}")
        sys.stderr.write(done.stderr)
        library: Path = folder / interface["LIBRARY"]
        output.replace(library)
        return library


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{build()}\n")
    except BuildError as failure:
        sys.exit(f"The C library was not built: {failure}")
