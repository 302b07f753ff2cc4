"""Saved models against TensorFlow and Keras: saving, loading, memory, and inference of imported models.

    python tools/rival_env.py tensorflow                       # once: the rival's environment
    python benchmarks/saved_model.py --rounds 3 --json saved_model.json
    python benchmarks/saved_model.py --only run --models mlp,bert

Every save and every load is a process of its own, in turns; imports come before the clock. "Ready" is loaded and the
first row answered. Mainstay keeps compiled programs between processes, so its first load, into an empty cache, stands
in a line of its own. Inference runs the SavedModel that TensorFlow wrote, in both. Ratios are medians, the rival's time
over Mainstay's: above 1, Mainstay is ahead.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rivals.process import EngineFailedError, Process, require_environments

Figures = dict[str, list[dict[str, Any]]]

STORED = ("resnet50", "embedding")
RUN = ("mlp", "bert", "mobilenet", "resnet50")
ENGINES = ("mainstay", "tensorflow", "tensorflow-keras")


def _process(engine: str, model: str, path: Path, cache: Path) -> Process:
    environment = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "MAINSTAY_COMPILATION_CACHE": str(cache)}
    process = Process(engine, model, [str(path)], environment, module="model_files.worker")
    try:
        process.answer()
    except EngineFailedError:
        process.close()
        raise
    return process


def _asked(engine: str, model: str, path: Path, cache: Path, command: list[Any]) -> dict[str, Any]:
    process = _process(engine, model, path, cache)
    try:
        return process.ask(*command)
    finally:
        process.close()


def _path(folder: Path, engine: str, model: str) -> Path:
    return folder / f"{model}-{engine}{'.keras' if engine.endswith('keras') else ''}"


def _agree(name: str, figures: Figures) -> None:
    answers = {engine: np.array(items[-1]["answer"]) for engine, items in figures.items() if "answer" in items[-1]}
    first = next(iter(answers.values()))
    for engine, answer in answers.items():
        if not np.allclose(answer, first, rtol=1e-3, atol=1e-3 * np.abs(first).max()):
            raise SystemExit(f"{name}: {engine} answers {answer}, the others {first}")


def stored(model: str, folder: Path, rounds: int) -> dict[str, Figures]:
    """Return what saving and loading of a model took."""
    saves: Figures = {}
    loads: Figures = {}
    cache = folder / "cache"
    for turn in range(rounds):
        for engine in ENGINES:
            path = _path(folder, engine, model)
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True) if path.is_file() else None
            saves.setdefault(engine, []).append(_asked(engine, model, path, cache, ["save"]))
        if turn == 0:
            shutil.rmtree(cache, ignore_errors=True)
        for engine in ENGINES:
            path = _path(folder, engine, model)
            name = f"{engine}, first" if engine == "mainstay" and turn == 0 else engine
            loads.setdefault(name, []).append(_asked(engine, model, path, cache, ["load"]))
        written = _path(folder, "tensorflow", model)
        name = "mainstay, file of TensorFlow" + (", first" if turn == 0 else "")
        loads.setdefault(name, []).append(_asked("mainstay", model, written, cache, ["load"]))
    _agree(model, {name: items for name, items in loads.items() if not name.startswith("tensorflow-keras")})
    return {"save": saves, "load": loads}


def run(model: str, folder: Path, rounds: int, seconds: float) -> dict[str, Figures]:
    """Return what a batch of a model that TensorFlow wrote took, by rows and engine."""
    path = _path(folder, "tensorflow", model)
    if not path.exists():
        _asked("tensorflow", model, path, folder / "cache", ["save"])
    found: dict[str, Figures] = {}
    for _ in range(rounds):
        for engine in ("mainstay", "tensorflow"):
            process = _process(engine, model, path, folder / "cache")
            try:
                answer = process.ask("load")
                for rows in (1, 32):
                    figures = process.ask("run", rows, seconds)
                    found.setdefault(str(rows), {}).setdefault(engine, []).append({**figures, **_only(answer)})
            finally:
                process.close()
    for figures_of_rows in found.values():
        _agree(model, figures_of_rows)
    return found


def _only(answer: dict[str, Any]) -> dict[str, Any]:
    return {"answer": answer["answer"]}


def _median(items: list[dict[str, Any]], *keys: str) -> float:
    return statistics.median(sum(item[key] for key in keys) for item in items)


def print_stored(model: str, figures: dict[str, Figures], megabytes: float) -> None:
    """Print the table of a model's saving and loading."""
    print(f"### {model}, {megabytes:,.0f} MB of weights\n")
    print("| what | load s | first row s | ready s | ready CPU s | memory, × weights |\n|---|---:|---:|---:|---:|---:|")
    for name, items in figures["load"].items():
        ready = _median(items, "seconds", "first")
        print(
            f"| {name} | {_median(items, 'seconds'):.2f} | {_median(items, 'first'):.2f} | {ready:.2f} "
            f"| {_median(items, 'cpu'):.2f} | {_median(items, 'memory') / megabytes:.2f} |"
        )
    rival = _median(figures["load"]["tensorflow"], "seconds", "first")
    if "mainstay" in figures["load"]:
        own = _median(figures["load"]["mainstay"], "seconds", "first")
        print(f"\nMainstay is ready after {own / rival:.2f} of TensorFlow's time.")
    saves = ", ".join(f"{name} {_median(items, 'seconds'):.1f} s" for name, items in figures["save"].items())
    print(f"\nSaving: {saves}.\n", flush=True)


def print_run(found: dict[str, dict[str, Figures]]) -> None:
    """Print the table of inference."""
    print("| model | rows | Mainstay ms | TensorFlow ms | TensorFlow ÷ Mainstay | the same in CPU time |")
    print("|---|---:|---:|---:|---:|---:|")
    for model, by_rows in found.items():
        for rows, figures in by_rows.items():
            own, rival = figures["mainstay"], figures["tensorflow"]
            ratio = _median(rival, "seconds") / _median(own, "seconds")
            cpu = _median(rival, "cpu") / _median(own, "cpu")
            print(
                f"| {model} | {rows} | {1e3 * _median(own, 'seconds'):.3g} | {1e3 * _median(rival, 'seconds'):.3g} "
                f"| {ratio:.2f} | {cpu:.2f} |"
            )


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("store", "run"), help="default: both")
    parser.add_argument("--models", default="", help="some of the models; default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of inference for each figure")
    parser.add_argument("--folder", type=Path, help="where to keep the models; default: a temporary folder of 5 GB")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured there")
    options = parser.parse_args()
    wanted = set(options.models.split(",")) - {""}
    require_environments(["tensorflow"])
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {options.rounds} rounds\n"
    )
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for model in STORED if options.only != "run" else ():
            if wanted and model not in wanted:
                continue
            found[model] = stored(model, folder, max(options.rounds, 2))
            weights = next((_path(folder, "mainstay", model) / "variables").glob("*.data*")).stat().st_size / 1e6
            print_stored(model, found[model], weights)
        if options.only != "store":
            ran: dict[str, dict[str, Figures]] = {}
            for model in RUN:
                if wanted and model not in wanted:
                    continue
                try:
                    ran[model] = run(model, folder, options.rounds, options.seconds)
                except EngineFailedError as error:
                    print(f"{model}: {error}", file=sys.stderr)
            print_run(ran)
            found["run"] = ran
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
