"""`mainstay bench serve`: load on a model server, as a table, JSON and a plot."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mainstay.core import ArgumentError, write_json, write_text
from mainstay.serving import LoadRequest, LoadStep, StepResult, bench_server, plot_svg

_COLUMNS = ("offered/s", "answered/s", "p50", "p90", "p99", "p99.9", "slowest", "failed")


def bench_serve(
    address: str,
    request: LoadRequest,
    steps: Sequence[LoadStep],
    *,
    json_file: Path | None = None,
    plot_file: Path | None = None,
) -> None:
    """Put load on a server and show what came of it.

    Args:
        address: The server.
        request: What is asked.
        steps: The load, in order.
        json_file: Where the figures go as JSON.
        plot_file: Where the plot goes, an SVG file.

    Raises:
        MainstayError: The server cannot be reached, or refuses the request.
    """
    console = Console(file=sys.stderr, highlight=False)

    def show(result: StepResult) -> None:
        console.print(f"{result.rate:,.0f} answers/s, p99 {result.percentiles()[99.0] * 1e3:.2f} ms", style="dim")

    results = bench_server(address, request, steps, on_step=show if len(steps) > 1 else None)
    Console(highlight=False).print(_table(results))
    for result in results:
        for failure, count in result.failures.items():
            console.print(f"{count:,} × {failure}", style="red")
    if json_file is not None:
        write_json(json_file, {"address": address, "steps": [result.to_json() for result in results]})
    if plot_file is not None:
        if not any(len(result.latencies) for result in results):
            raise ArgumentError("there is nothing to plot: no request was answered", where="--plot")
        write_text(plot_file, plot_svg(results, f"{request.model} at {address}"))


def read_inputs(path: Path) -> Any:
    """Return the inputs that a JSON file holds: an object of values by input name, or the value of the only input.

    Raises:
        ArgumentError: The file cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ArgumentError("the inputs cannot be read", where=path, received=error.strerror) from error
    except ValueError as error:
        raise ArgumentError("the inputs are no JSON", where=path, received=str(error)) from error


def _table(results: Sequence[StepResult]) -> Table:
    table = Table(*_COLUMNS, caption="latencies in milliseconds")
    for column in table.columns:
        column.justify = "right"
    for result in results:
        offered = "all" if result.offered is None else f"{result.offered:,.0f}"
        times = [f"{value * 1e3:,.2f}" for value in result.percentiles().values()]
        table.add_row(offered, f"{result.rate:,.0f}", *times, f"{result.num_failures:,}")
    return table
