"""Builds the environments of the frameworks that the benchmarks compare with, each apart from Mainstay's own.

    python tools/rival_env.py                  # the frameworks: .venv-grain, .venv-tensorflow and .venv-torch
    python tools/rival_env.py torch            # one of them
    python tools/rival_env.py serving          # the model servers: .venv-serving-http and five more

Each is made from a pinned requirements file in `benchmarks/`; one that is up to date is left alone. Use a Python that
the rival supports: TensorFlow 2.21 has no build for Python 3.14.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORKS = ("grain", "tensorflow", "torch")
SERVERS = ("serving-bentoml", "serving-http", "serving-kserve", "serving-litserve", "serving-ray", "serving-triton")
RIVALS = (*FRAMEWORKS, *SERVERS)


def build(rival: str) -> str:
    """Make the environment of one rival, unless it is there and up to date, and return what was done."""
    requirements = ROOT / "benchmarks" / f"requirements-{rival}.txt"
    folder = ROOT / f".venv-{rival}"
    mark = folder / ".made-from"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == digest:
        return f"{folder.name} is up to date"
    venv.create(folder, clear=True, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)]
    subprocess.run(command, check=True)
    mark.write_text(digest)
    return f"{folder.name} was made from {requirements.relative_to(ROOT)}"


def main() -> None:
    """Build the environments that were asked for, all of them by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rivals", nargs="*", metavar="RIVAL", help=f"any of: {', '.join(RIVALS)}")
    chosen = parser.parse_args().rivals or FRAMEWORKS
    chosen = [name for rival in chosen for name in (SERVERS if rival == "serving" else (rival,))]
    unknown = sorted(set(chosen) - set(RIVALS))
    if unknown:
        parser.error(f"no such rival: {', '.join(unknown)}; there are: {', '.join(RIVALS)}")
    for rival in chosen:
        sys.stdout.write(build(rival) + "\n")


if __name__ == "__main__":
    main()
