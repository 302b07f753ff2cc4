"""How long the first answer takes: imports, and the first step with a cold and with a warm compilation cache.

    python tools/rival_env.py                  # once: .venv-tensorflow and .venv-torch
    python benchmarks/startup.py --rounds 5 --json startup.json

Every figure is a process of its own. An import is timed inside it, without the start of Python. The first step is
building the model and one training step, data at hand and the framework imported: what a user waits for. Caches of
compiled programs lie in a fresh folder, so that the first process finds none and the second one what the first left.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rivals.cases import CASES
from rivals.process import EngineFailedError, Process, python_of, require_environments
from rivals.report import TITLES
from rivals.worker import ENGINES

IMPORTS = (
    ("mainstay", "mainstay"),
    ("mainstay with Keras", "mainstay", "import mainstay.keras"),
    ("jax", "jax"),
    ("keras on jax", "jax", "import keras", {"KERAS_BACKEND": "jax"}),
    ("tensorflow", "tensorflow"),
    ("tensorflow with tf.keras", "tensorflow", "import tensorflow; tensorflow.keras.layers"),
    ("torch", "torch"),
)
TIMED = """
import resource, time
started = time.perf_counter()
{statement}
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def imported(engine: str, statement: str, environment: dict[str, str]) -> tuple[float, float]:
    """Return the seconds of an import in a fresh process, and the process's peak memory in MB."""
    command = [python_of(engine), "-c", TIMED.format(statement=statement)]
    settings = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
    seconds, memory = done.stdout.split()[-2:]
    return float(seconds), float(memory)


def first_step(engine: str, case: str, task: str, cache: str) -> float | None:
    """Return the seconds of the first step in a fresh process, or None if the engine cannot do it."""
    environment = {"MAINSTAY_COMPILATION_CACHE": f"{cache}/mainstay", "TORCHINDUCTOR_CACHE_DIR": f"{cache}/inductor"}
    process = Process(engine, case, ["1"], environment)
    try:
        process.answer()
        return float(process.ask("first", task)["seconds"])
    except EngineFailedError as error:
        print(f"{case}: {engine} cannot {task}: {error}", file=sys.stderr)
        return None
    finally:
        process.close()


def import_table(rounds: int, engines: list[str]) -> tuple[str, dict[str, Any]]:
    entries = [entry for entry in IMPORTS if entry[1] in engines]
    found: dict[str, list[tuple[float, float]]] = {entry[0]: [] for entry in entries}
    for _ in range(rounds):
        for title, engine, *rest in entries:
            statement = rest[0] if rest else f"import {engine}"
            found[title].append(imported(engine, statement, rest[1] if len(rest) > 1 else {}))
    lines = ["| import | s, median | s, least | peak MB |", "|---|---:|---:|---:|"]
    for title, measured in found.items():
        seconds = [item[0] for item in measured]
        memory = statistics.median(item[1] for item in measured)
        lines.append(f"| {title} | {statistics.median(seconds):.2f} | {min(seconds):.2f} | {memory:,.0f} |")
    return "\n".join(lines), found


def step_table(rounds: int, engines: list[str], models: list[str]) -> tuple[str, dict[str, Any]]:
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for _ in range(rounds):
        for case in models:
            for engine in engines:
                keras = engine == "mainstay" or engine.startswith("tensorflow")
                for task in ("fit", "step") if keras else ("step",):
                    with tempfile.TemporaryDirectory() as cache:
                        for state in ("cold", "warm"):
                            seconds = first_step(engine, case, task, cache)
                            if seconds is not None:
                                kept = found.setdefault(case, {}).setdefault(f"{engine} {task}", {})
                                kept.setdefault(state, []).append(seconds)
    lines = ["| model | engine | task | cold s | warm s |", "|---|---|---|---:|---:|"]
    for case, measured in found.items():
        for name, states in measured.items():
            engine, task = name.split()
            times = " | ".join(f"{statistics.median(states[state]):.2f}" for state in states)
            lines.append(f"| {CASES[case].title} | {TITLES.get(engine, 'Mainstay')} | {task} | {times} |")
    return "\n".join(lines), found


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="mlp32,cnn,transformer", help="default: %(default)s")
    parser.add_argument("--engines", default=",".join(ENGINES), help="default: all of %(default)s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured there")
    options = parser.parse_args()
    engines, models = options.engines.split(","), [name for name in options.models.split(",") if name]
    unknown = sorted(set(engines) - set(ENGINES)) + sorted(set(models) - set(CASES))
    if unknown:
        parser.error(f"no such engine or model: {', '.join(unknown)}")
    require_environments(engines)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {options.rounds} rounds\n"
    )
    imports, seconds = import_table(options.rounds, engines)
    print(imports + "\n", flush=True)
    steps, firsts = step_table(options.rounds, engines, models)
    print(steps)
    if options.json:
        options.json.write_text(json.dumps({"imports": seconds, "first": firsts}, indent=1))


if __name__ == "__main__":
    main()
