"""The input pipeline against tf.data, Grain and PyTorch's DataLoader: rows a second, rows a CPU second, memory.

    python tools/rival_env.py                                  # once: the environments of the rivals
    python benchmarks/data.py --rounds 5 --json data.json
    python benchmarks/data.py --only examples,csv --engines mainstay,tensorflow --quick

Every block is a new process, which makes its pipeline, waits for the first batch (compilation, the filling of a buffer)
and counts rows for the seconds after it. Engines take turns in every round. The inputs are made once, from a seed, into
a temporary folder of about 1 GB. Each rival is used in the ways its own documentation calls fast. The shuffles differ:
tf.data's has a buffer of 100,000 rows, all others mix the whole of an array. Ratios are medians, Mainstay's rows over
the rival's: above 1, Mainstay is ahead.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from data_rivals import report
from data_rivals.cases import CASES, Case
from data_rivals.inputs import Inputs
from rivals.process import FOLDER, EngineFailedError, Process, python_of, require_environments

FULL, QUICK = (1_000_000, 5_000), (20_000, 256)
"""Rows and pictures."""


def made_inputs(base: Path, rows: int, pictures: int) -> Path:
    """Return the folder of the inputs, which are made unless they are there in full."""
    folder = base / f"mainstay-data-{rows}-{pictures}"
    if not folder.exists():
        print(f"making the inputs in {folder}", file=sys.stderr)
        beside = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=base))
        command = [python_of("tensorflow"), "-m", "data_rivals.inputs", str(beside), str(rows), str(pictures)]
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        subprocess.run(command, cwd=FOLDER, env=environment, check=True)
        beside.rename(folder)
    # A sparse file, and made here so that no engine pays for it.
    Inputs(folder).memmap()
    return folder


def block(case: Case, engine: str, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Return the figures of one new process."""
    environment = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    environment |= {"MAINSTAY_NATIVE": "off"} if engine == "mainstay-numpy" else {}
    process = Process(engine, case.name, [str(folder)], environment, module="data_rivals.worker")
    try:
        process.answer()
        command = {"memory": ["memory", options.memory_rows, options.memory_seconds]}.get(
            case.kind, [case.kind, options.seconds]
        )
        return process.ask(*command)
    finally:
        process.close()


def measured(case: Case, folder: Path, options: argparse.Namespace) -> report.Blocks:
    """Return the blocks of one case by engine; one that fails is named, and tried no more."""
    engines = [engine for engine in case.engines if engine.split("-")[0] in options.engines]
    blocks: report.Blocks = {engine: [] for engine in engines}
    for turn in range(options.rounds):
        split = turn % max(1, len(engines))
        for engine in engines[split:] + engines[:split]:
            try:
                blocks[engine].append(block(case, engine, folder, options))
            except EngineFailedError as error:
                print(f"{case.name}: {engine} failed: {error}", file=sys.stderr)
                engines.remove(engine)
        print(f"{case.name}: round {turn + 1} of {options.rounds}", file=sys.stderr)
    return {engine: rounds for engine, rounds in blocks.items() if rounds}


def chosen(text: str, known: list[str]) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := sorted(set(names) - set(known)):
        raise SystemExit(f"no such name: {', '.join(unknown)}; there are: {', '.join(known)}")
    return names


def main() -> None:
    """Measure and print the tables."""
    frameworks = ["mainstay", "tensorflow", "grain", "torch"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(CASES), metavar="CASES", help="default: all of %(default)s")
    parser.add_argument("--engines", default=",".join(frameworks), help="frameworks; default: all of %(default)s")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one block; default: %(default)s")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the inputs are kept")
    parser.add_argument("--quick", action="store_true", help="one round over small inputs: to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measured block there")
    options = parser.parse_args()
    options.engines = chosen(options.engines, frameworks)
    require_environments({*options.engines, "tensorflow"})
    options.memory_rows = 200_000 if options.quick else 10_000_000
    options.memory_seconds = 1.0 if options.quick else 15.0
    if options.quick:
        options.rounds, options.seconds = 1, 0.1
    folder = made_inputs(options.folder, *(QUICK if options.quick else FULL))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, {options.rounds} rounds of {options.seconds:g} s, load {os.getloadavg()[0]:.1f}\n", flush=True)
    found = {}
    for name in chosen(options.only, list(CASES)):
        found[name] = measured(CASES[name], folder, options)
        if found[name]:
            print(report.section(CASES[name], found[name]) + "\n", flush=True)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1))
    print("\n".join(f"- {line}" for line in report.goals(found)))


if __name__ == "__main__":
    main()
