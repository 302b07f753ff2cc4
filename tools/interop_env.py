"""Builds the environments of the foreign programs that `tests/interop` runs, each apart from Mainstay's own.

    python tools/interop_env.py                  # one for every requirements file in tests/interop
    python tools/interop_env.py tensorboard      # one of them

`tests/interop/NAME.txt` holds exact versions and hashes; `.interop/NAME` is made from it, and left alone while the file
stays the same. A requirements file is made from a list of what is wanted, here `tensorboard.in`, by

    uv pip compile tensorboard.in --universal --fork-strategy fewest --python-version 3.11 --generate-hashes \\
        --no-header --no-emit-index-url --no-emit-find-links --output-file tests/interop/tensorboard.txt
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "tests" / "interop"


def names() -> list[str]:
    """Return the names of all environments."""
    return sorted(file.stem for file in REQUIREMENTS.glob("*.txt"))


def python_of(name: str) -> Path:
    """Return the Python of an environment, which may not be built."""
    return ROOT / ".interop" / name / "bin" / "python"


def is_current(name: str) -> bool:
    """Return whether an environment is built, from the requirements as they are now."""
    mark = _mark(name)
    return mark.exists() and mark.read_text() == _digest(name)


def build(name: str) -> str:
    """Make an environment, unless it is there and up to date; return what was done."""
    if is_current(name):
        return f".interop/{name} is up to date"
    venv.create(python_of(name).parent.parent, clear=True, with_pip=True)
    command = [str(python_of(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--only-binary", ":all:", "-r", str(REQUIREMENTS / f"{name}.txt")]
    subprocess.run(command, check=True)
    _mark(name).write_text(_digest(name))
    return f".interop/{name} was made from tests/interop/{name}.txt"


def _mark(name: str) -> Path:
    return ROOT / ".interop" / name / "made-from"


def _digest(name: str) -> str:
    return hashlib.sha256((REQUIREMENTS / f"{name}.txt").read_bytes()).hexdigest()


def main() -> None:
    """Build the environments that were asked for, all of them by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(names())}")
    chosen = parser.parse_args().names or names()
    if unknown := sorted(set(chosen) - set(names())):
        parser.error(f"no such environment: {', '.join(unknown)}; there are: {', '.join(names())}")
    for name in chosen:
        sys.stdout.write(build(name) + "\n")


if __name__ == "__main__":
    main()
