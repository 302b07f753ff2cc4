"""Training and inference against TensorFlow, PyTorch and JAX by hand: seven models, the same in each framework.

    python tools/rival_env.py                            # once: .venv-tensorflow and .venv-torch
    python benchmarks/training.py --rounds 7 --json training.json
    python benchmarks/training.py --models mlp32,lstm --engines mainstay,torch --quick

Each framework runs in a process of its own. In every round each measures one block of each task, in an order that
turns from round to round, so that all of them meet the same noise. Compilation and warm-up are left out; see
`startup.py` for those. Ratios are the rival's median over Mainstay's: above 1, Mainstay is ahead. `fit` of PyTorch and
of JAX is the loop over shuffled batches that their users write.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rivals import report
from rivals.cases import CASES
from rivals.process import EngineFailedError, Process, require_environments
from rivals.worker import ENGINES, TASKS


def started(case: str, options: argparse.Namespace) -> list[Process]:
    """Return a running worker for each engine that works, one after the other, and say why another does not."""
    extra, running = ["3"] * options.quick, []
    for engine in options.engines:
        process = Process(engine, case, extra)
        try:
            process.answer()
            running.append(process)
        except EngineFailedError as error:
            print(f"{case}: {engine} is left out: {error}", file=sys.stderr)
            process.close()
    return running


def prepared(case: str, processes: list[Process], options: argparse.Namespace) -> dict[str, list[Process]]:
    """Compile and warm up every task in every engine, and return the engines of each task that can do it."""
    able: dict[str, list[Process]] = {task: [] for task in options.tasks}
    parameters = {}
    for process in processes:
        for task in options.tasks:
            try:
                parameters[f"{process.engine} {task}"] = process.ask("prepare", task)["parameters"]
                able[task].append(process)
            except EngineFailedError as error:
                print(f"{case}: {process.engine} cannot {task}: {error}", file=sys.stderr)
    if len(set(parameters.values())) > 1:
        raise SystemExit(f"{case}: the models differ in their number of parameters: {parameters}")
    return able


def measured(case: str, options: argparse.Namespace) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return the blocks of one case by task and engine."""
    processes = started(case, options)
    try:
        able = prepared(case, processes, options)
        blocks: dict[str, dict[str, list[dict[str, Any]]]] = {
            task: {process.engine: [] for process in able[task]} for task in options.tasks
        }
        for turn in range(options.rounds):
            for task in options.tasks:
                split = turn % max(1, len(able[task]))
                for process in able[task][split:] + able[task][:split]:
                    blocks[task][process.engine].append(process.ask("run", task, options.seconds))
            print(f"{case}: round {turn + 1} of {options.rounds}", file=sys.stderr)
    finally:
        for process in processes:
            process.close()
    return blocks


def printed(blocks: report.Blocks, engines: list[str]) -> str:
    """Return everything there is to read."""
    titles = {name: case.title for name, case in CASES.items()}
    rivals = [engine for engine in engines if engine != report.OURS]
    parts = [
        "Wall time: rival ÷ Mainstay, above 1 Mainstay is ahead",
        report.ratios(blocks, titles, rivals, "wall_ms"),
        "CPU time: rival ÷ Mainstay",
        report.ratios(blocks, titles, rivals, "cpu_ms"),
        "Wall ms per batch: median (least)",
        report.times(blocks, titles, engines),
        "Peak memory of the process, MB",
        report.memory(blocks, titles, engines),
    ]
    lines = report.behind(blocks, titles, rivals)
    parts.append("Behind in wall time:\n" + "\n".join(f"- {line}" for line in lines) if lines else "Behind: nowhere")
    return "\n\n".join(parts)


def chosen(text: str, known: Any, what: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise SystemExit(f"no such {what}: {', '.join(unknown)}; there are: {', '.join(known)}")
    return names


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(CASES), help="default: all of %(default)s")
    parser.add_argument("--engines", default=",".join(ENGINES), help="default: all of %(default)s")
    parser.add_argument("--tasks", default=",".join(TASKS), help="default: all of %(default)s")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of one block; default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="one round, short epochs: to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measured block there")
    options = parser.parse_args()
    options.models = chosen(options.models, CASES, "model")
    options.engines = chosen(options.engines, ENGINES, "engine")
    options.tasks = chosen(options.tasks, TASKS, "task")
    require_environments(options.engines)
    if options.quick:
        options.rounds, options.seconds = 1, 0.0
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, jax {version('jax')}, keras {version('keras')}, {options.rounds} rounds\n", flush=True)
    if (load := os.getloadavg()[0]) > 0.5:
        print(f"The machine is busy (load {load:.1f}): frameworks that wait by spinning suffer most.", file=sys.stderr)
    blocks = {}
    for case in options.models:
        blocks[case] = measured(case, options)
        if options.json:
            options.json.write_text(json.dumps(blocks, indent=1))
    print(printed(blocks, options.engines))


if __name__ == "__main__":
    main()
