"""A transformer and ResNet-50 in bfloat16 on one GPU: Mainstay, JAX by hand and PyTorch, with the use of the device.

    python benchmarks/training_gpu.py --rounds 5 --json gpu.json
    python benchmarks/training_gpu.py --smoke               # tiny sizes on whatever there is: to see that it works

Needs a JAX with GPU support in the environment of Mainstay. PyTorch is taken from .venv-torch (made by
`tools/rival_env.py`) or else from the same environment. Prints absolute times, examples per second, the share of the
device's bfloat16 peak that the model's own operations reach (counted by XLA before it optimizes, the same count for
every engine), and what nvidia-smi says of the device meanwhile. Without a GPU and without --smoke it does nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rivals.cases import SETS, Case
from rivals.process import EngineFailedError, Process, python_of
from rivals.report import ROWS, TITLES

TASKS = ("fit", "step", "call")
PEAK_TFLOPS = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362, "L4": 121, "A10": 125, "RTX 4090": 165}
"""Dense bfloat16 peaks from the data sheets, by a part of the device's name."""


def device_name() -> tuple[str, str]:
    """Return the platform and the name of JAX's device, asked in a process that then lets go of it."""
    code = "import jax; d = jax.devices()[0]; print(d.platform, d.device_kind, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    platform, name = done.stdout.splitlines()[-2:]
    return platform, name


def engines() -> dict[str, str]:
    """Return the engines that can be run, with their Python."""
    pythons = {"mainstay": sys.executable, "jax": sys.executable}
    if Path(python_of("torch")).exists():
        pythons |= dict.fromkeys(("torch", "torch-compile"), python_of("torch"))
    elif importlib.util.find_spec("torch"):
        pythons |= dict.fromkeys(("torch", "torch-compile"), sys.executable)
    return pythons


@contextmanager
def watched(use: list[tuple[float, float]]) -> Iterator[None]:
    """Add the device's utilisation in percent and its power in watts to `use`, five times a second."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        yield
        return
    query = "--query-gpu=utilization.gpu,power.draw"
    command = [tool, "-i", "0", query, "--format=csv,noheader,nounits", "-lms", "200"]
    watcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        watcher.terminate()
        for line in watcher.communicate()[0].splitlines():
            fields = line.split(",")
            if len(fields) == 2 and "[" not in line:
                use.append((float(fields[0]), float(fields[1])))


def measured(name: str, options: argparse.Namespace) -> tuple[dict[str, Any], float | None]:
    """Return the blocks of one model by task and engine, and the operations of a training step."""
    processes, flops = [], None
    blocks: dict[str, Any] = {task: {} for task in TASKS}
    try:
        for engine, python in engines().items():
            process = Process(engine, f"{options.set}/{name}", python=python)
            processes.append(process)
            try:
                process.answer()
                for task in TASKS:
                    process.ask("prepare", task)
                    blocks[task][engine] = []
                if engine == "jax":
                    flops = process.ask("flops")["flops"]
            except EngineFailedError as error:
                print(f"{name}: {engine} is left out: {error}", file=sys.stderr)
        for _ in range(options.rounds):
            for task in TASKS:
                for process in processes:
                    if process.engine in blocks[task]:
                        use: list[tuple[float, float]] = []
                        with watched(use):
                            block = process.ask("run", task, options.seconds)
                        blocks[task][process.engine].append(block | {"use": use})
    finally:
        for process in processes:
            process.close()
    return blocks, flops


def table(case: Case, blocks: dict[str, Any], flops: float | None, peak: float | None) -> str:
    lines = [f"### {case.title}", ""]
    if flops:
        lines += [f"{flops / 1e9:,.3g} GFLOP a training step", ""]
    lines += [
        "| task | engine | ms | ÷ Mainstay | examples/s | share of peak | busy | W |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for task, measured_engines in blocks.items():
        middle = {
            engine: statistics.median(block["wall_ms"] for block in rounds)
            for engine, rounds in measured_engines.items()
        }
        for engine, wall in middle.items():
            use = [item for block in measured_engines[engine] for item in block["use"]]
            share = flops / (wall / 1e3) / (peak * 1e12) if flops and peak and task != "call" else None
            cells = [
                ROWS[task],
                TITLES.get(engine, "Mainstay"),
                f"{wall:.2f}",
                f"{wall / middle['mainstay']:.2f}" if "mainstay" in middle else "n/a",
                f"{case.batch / wall * 1e3:,.0f}",
                f"{share:.0%}" if share is not None else "n/a",
                f"{statistics.mean(item[0] for item in use):.0f} %" if use else "n/a",
                f"{statistics.mean(item[1] for item in use):.0f}" if use else "n/a",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one block; default: %(default)s")
    parser.add_argument("--smoke", action="store_true", help="tiny models, one short round, any device")
    parser.add_argument("--peak-tflops", type=float, help="the device's dense bfloat16 peak, if it is not known here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measured block there")
    options = parser.parse_args()
    platform, name = device_name()
    if platform == "cpu" and not options.smoke:
        print("JAX sees no accelerator here; --smoke tries the benchmark out on the CPU.")
        return
    options.set = "smoke" if options.smoke else "large"
    if options.smoke:
        options.rounds, options.seconds = 1, 0.0
    peak = options.peak_tflops or next((value for part, value in PEAK_TFLOPS.items() if part in name), None)
    print(f"{name}, {options.rounds} rounds\n", flush=True)
    kept = {}
    for case in SETS[options.set].values():
        blocks, flops = measured(case.name, options)
        kept[case.name] = {"flops": flops, "blocks": blocks}
        print(table(case, blocks, flops, peak) + "\n", flush=True)
        if options.json:
            options.json.write_text(json.dumps({"device": name, "cases": kept}, indent=1))


if __name__ == "__main__":
    main()
