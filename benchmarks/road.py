"""What `mainstay run` costs beyond reading its file: CPU seconds and peak memory on generated rows.

    python benchmarks/road.py                       # 1,000,000 rows x 20 columns, three interleaved rounds
    python benchmarks/road.py --rows 5000000 --full  # peak memory of a whole run, training included

The rival is pyarrow reading the same file and doing nothing with it. Every measurement is a process of its own, so
that neither the memory nor a warm allocator of one helps the other.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LABEL = "is_fraud"
WORK = ("ingest", "statistics", "analysis", "transform")


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_pyarrow(path: str) -> dict[str, float]:
    """Read the file with pyarrow and return the CPU seconds."""
    import pyarrow.csv
    import pyarrow.parquet

    before = _cpu()
    if path.endswith(".parquet"):
        pyarrow.parquet.read_table(path)
    else:
        pyarrow.csv.read_csv(path)
    return {"read": _cpu() - before, "peak_mb": _peak_mb()}


def measure_mainstay(path: str) -> dict[str, float]:
    """Do a run's work on the data, up to the packed features, and return the CPU seconds of each part."""
    from mainstay.core import quiet
    from mainstay.pipeline.components import ingest, inspect, transform

    seconds = {}
    with tempfile.TemporaryDirectory() as folder, quiet():
        place = Path(folder)
        data, stats, label = place / "examples", place / "statistics", place / "label.json"
        schema, graph, features = place / "schema.pbtxt", place / "graph", place / "features"

        def timed(name: str, *calls: object) -> None:
            before = _cpu()
            for call in calls:
                call()  # type: ignore[operator]
            seconds[name] = _cpu() - before

        timed("ingest", lambda: ingest.ingest_table(path, label=LABEL, exclude=(), folder=data))
        timed(
            "statistics",
            lambda: inspect.compute_statistics(data, folder=stats),
            lambda: inspect.derive_schema(stats, path=schema),
            lambda: inspect.inspect_label(data, column=LABEL, task="auto", path=label),
            lambda: inspect.find_anomalies(stats, schema=schema, path=place / "anomalies.pbtxt"),
        )
        timed(
            "analysis",
            lambda: transform.analyze_examples(
                data, statistics=stats, schema=schema, label=label, reference=None, folder=graph
            ),
        )
        timed("transform", lambda: transform.transform_examples(data, graph=graph, label=label, folder=features))
    return {**seconds, "peak_mb": _peak_mb()}


def measure_run(path: str) -> dict[str, float]:
    """Run the whole road and return its CPU and wall seconds and the peak memory of its largest process."""
    from mainstay.core import quiet
    from mainstay.pipeline import RoadOptions, run_road

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, quiet():
        result = run_road(RoadOptions(data=path, label=LABEL, output=Path(folder)))
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "wall": time.perf_counter() - started,
        "cpu": _cpu() + children.ru_utime + children.ru_stime,
        "peak_mb": max(_peak_mb(), children.ru_maxrss / 1024),
        "auc": result.evaluation.metrics["auc"],
    }


MEASURES = {"pyarrow": measure_pyarrow, "mainstay": measure_mainstay, "run": measure_run}


def _in_process(measure: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", measure, "--file", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print the medians and what they mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv")
    parser.add_argument("--full", action="store_true", help="measure one whole run instead")
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(MEASURES[options.measure](options.file)))
        return
    import pyarrow

    from mainstay.pipeline import write_transactions

    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, pyarrow {pyarrow.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"transactions.{options.format}"
        write_transactions(path, options.rows)
        print(f"{options.rows:,} rows x 20 columns, {path.stat().st_size / 2**20:,.0f} MiB of {options.format}")
        if options.full:
            whole = _in_process("run", path)
            print(f"whole run: {whole['wall']:.0f} s, {whole['cpu']:.0f} CPU-s, AUC {whole['auc']:.3f}")
            print(f"peak memory: {whole['peak_mb']:,.0f} MB")
            return
        results = [(_in_process("pyarrow", path), _in_process("mainstay", path)) for _ in range(options.rounds)]
    read = statistics.median(rival["read"] for rival, _ in results)
    parts = {name: statistics.median(ours[name] for _, ours in results) for name in WORK}
    total = statistics.median(sum(ours[name] for name in WORK) for _, ours in results)
    million = options.rows / 1e6
    print(f"pyarrow reads it in {read:.2f} CPU-s; peak {max(rival['peak_mb'] for rival, _ in results):,.0f} MB")
    print("mainstay: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items()) + " CPU-s")
    print(f"beyond reading: {(total - read) / million:.2f} CPU-s per million rows; ratio {total / read:.2f}")
    print(f"peak memory: {max(ours['peak_mb'] for _, ours in results):,.0f} MB")


if __name__ == "__main__":
    main()
