"""Pinned requirements: writes constraints.txt, and selects from it what a part of the work needs.

`pins.py lock [--upgrade]` resolves every dependency of pyproject.toml and of its build backend, for every supported
Python and platform at once. `pins.py select EXTRA...` prints the pins, with their hashes, of the run-time
dependencies, the build backend and those extras, closed over what they need themselves: pip's hash-checking mode
wants a complete list, and pip before 26 refuses a constraints file in its place.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Pin:
    """One pinned package: its name, the lines that pip reads, and the names of the packages that need it."""

    name: str
    lines: list[str] = field(default_factory=list)
    needed_by: set[str] = field(default_factory=set)


def normalised(requirement: str) -> str:
    """Return the normalised name of the package that a requirement asks for."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement.strip())
    if match is None:
        raise SystemExit(f"not a requirement: {requirement!r}")
    return re.sub(r"[-_.]+", "-", match[0].rstrip("-_.")).lower()


def read_pins(text: str) -> list[Pin]:
    """Return the pins of a constraints file whose comments say what needs each package."""
    pins: list[Pin] = []
    for line in text.splitlines():
        if line.strip().startswith("#"):
            parent = line.strip().removeprefix("#").strip().removeprefix("via").strip()
            if pins and re.match(r"[A-Za-z0-9]", parent):
                pins[-1].needed_by.add(normalised(parent))
        elif line.strip():
            if not line[0].isspace():
                pins.append(Pin(normalised(line)))
            pins[-1].lines.append(line)
    return pins


def wanted(project: dict[str, Any], extras: list[str]) -> set[str]:
    """Return the names that pyproject.toml asks for: run time, build backend and the given extras."""
    optional = project["project"]["optional-dependencies"]
    unknown = sorted(set(extras) - set(optional))
    if unknown:
        raise SystemExit(f"no such extra: {', '.join(unknown)}; there are: {', '.join(sorted(optional))}")
    direct = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    return {normalised(item) for item in direct + [item for extra in extras for item in optional[extra]]}


def select(pins: list[Pin], names: set[str]) -> list[Pin]:
    """Return the pins of `names` and of everything that these need, in the order of the file."""
    missing = sorted(names - {pin.name for pin in pins})
    if missing:
        raise SystemExit(f"not in constraints.txt: {', '.join(missing)}; run: make lock")
    chosen = set(names)
    while more := {pin.name for pin in pins if pin.needed_by & chosen} - chosen:
        chosen |= more
    return [pin for pin in pins if pin.name in chosen]


def lock(project: dict[str, Any], *, upgrade: bool) -> None:
    """Write constraints.txt, keeping the pins that still fit unless `upgrade`."""
    target = ROOT / "constraints.txt"
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "-", "--all-extras"]
    command += ["--universal", "--fork-strategy", "fewest", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-header", "--no-emit-index-url", "--no-emit-find-links", "--no-config", "--quiet"]
    command += ["--output-file", str(target), *(["--upgrade"] if upgrade else [])]
    # An output path in the environment of the caller must not find its way into the file.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    text = "\n".join(project["build-system"]["requires"]) + "\n"
    subprocess.run(command, input=text, text=True, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    if "://" in target.read_text():
        raise SystemExit("constraints.txt names an address; it may hold names, versions and hashes only")


def main(arguments: list[str]) -> None:
    """Run one command; see the head of this file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    match arguments:
        case ["lock"] | ["lock", "--upgrade"]:
            lock(project, upgrade="--upgrade" in arguments)
        case ["select", *extras]:
            pins = read_pins((ROOT / "constraints.txt").read_text())
            for pin in select(pins, wanted(project, extras)):
                print("\n".join(pin.lines))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
