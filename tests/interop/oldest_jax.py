"""Runs the tests of the programming model on the oldest supported JAX, in `.venv-oldest-jax`, which it makes first.

`python tests/interop/oldest_jax.py [ARGUMENTS OF PYTEST]`; without arguments it runs the tests of what
stands on JAX's inside. Everything but JAX itself is installed at the pins of constraints.txt, verified against their
hashes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mainstay.framework import SUPPORTED_JAX

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".venv-oldest-jax"
PYTHON = PLACE / ("Scripts" if os.name == "nt" else "bin") / "python"
REPLACED = ("jax==", "jaxlib==")
DEFAULT = [
    *(
        f"tests/framework/test_{name}.py"
        for name in ("jax_internals", "function", "function_state", "tapes", "kernels")
    ),
    "tests/framework/test_tape_custom_gradients.py",
    "tests/saved_model/test_export.py",
]
"""What stands on JAX's inside; other tests see it through these."""


def pins() -> str:
    """Return the pins of what the tests need, without JAX."""
    command = [sys.executable, "tools/pins.py", "select", "dev"]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    kept, skipping = [], False
    for line in text.splitlines():
        if not line.startswith(" "):
            skipping = line.startswith(REPLACED)
        if not skipping:
            kept.append(line)
    return "\n".join(kept) + "\n"


def make(version: str) -> None:
    """Make the environment, once for each version and set of pins."""
    wanted = f"{version}\n{pins()}"
    made = PLACE / "made-of.txt"
    if made.exists() and made.read_text() == wanted:
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", PLACE], check=True)
    requirements = PLACE / "requirements.txt"
    requirements.write_text(pins())
    install = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*install, "--require-hashes", "-r", requirements], check=True)
    subprocess.run([*install, f"jax=={version}", f"jaxlib=={version}"], check=True)
    made.write_text(wanted)


def main(arguments: list[str]) -> int:
    """Run pytest on the oldest supported JAX and return its exit status."""
    version = SUPPORTED_JAX[0]
    make(version)
    print(f"jax {version}", flush=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [PYTHON, "-m", "pytest", "-n", "2", *(arguments or DEFAULT)]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
