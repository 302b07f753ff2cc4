"""`mainstay run` and `mainstay demo`: the road from a table to a served model, shown step by step on a terminal."""

from __future__ import annotations

import contextlib
import shlex
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mainstay import pipeline
from mainstay.analysis import compare
from mainstay.core import SetupError, format_number
from mainstay.core import quiet as no_progress
from mainstay.pipeline import RoadOptions, RoadResult

DEMO_LABEL = "is_fraud"


def run(
    data: str | Sequence[str],
    *,
    label: str,
    output: Path = Path("out"),
    serve: bool = False,
    port: int = 8501,
    quiet: bool = False,
    **training: Any,
) -> RoadResult:
    """Train a model on a table, measure it, package it and report on it.

    Args:
        data: A CSV or Parquet file, a glob or a folder.
        label: The column to predict.
        output: The folder for the report, the model's versions and what later runs reuse.
        serve: Whether to end with the server up.
        port: The server's port.
        quiet: Whether to show results only.
        **training: Further fields of `pipeline.RoadOptions`: task, epochs, seed, exclude, preprocessing, model.

    Returns:
        Where everything is and what the model is worth.

    Raises:
        MainstayError: The message says where, what was expected, what was received and how to fix it.
    """
    if serve:
        _require_free(port)
    options = RoadOptions(data=data, label=label, output=output, **training)
    console = Console(highlight=False)
    with no_progress() if quiet else contextlib.nullcontext():
        result = pipeline.run_road(options, on_event=None if quiet else _Steps(console))
    _show(console, result, serving=serve)
    if serve:
        _serve(console, result, port)
    return result


def demo(*, rows: int = 30_000, output: Path = Path("out"), seed: int = 1, **options: Any) -> RoadResult:
    """Do what `run` does on synthetic card transactions, made on the spot.

    Args:
        rows: How many rows to make.
        output: As for `run`; the table is written to ``transactions.csv`` in it.
        seed: As for `run`; the table is the same for every seed.
        **options: As for `run`.

    Returns:
        As for `run`.
    """
    path = Path(output) / "transactions.csv"
    if not options.get("quiet"):
        Console(highlight=False).print(f"Making {rows:,} synthetic card transactions: [bold]{escape(str(path))}[/]")
    pipeline.write_transactions(path, rows)
    return run(str(path), label=DEMO_LABEL, output=output, seed=seed, **options)


class _Steps:
    """Shows each step as it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: Any) -> None:
        match event:
            case pipeline.StepFinished(name=name, seconds=seconds):
                self._console.print(f"  [green]✓[/] {escape(name):<12} {seconds:6.1f} s")
            case pipeline.StepReused(name=name):
                self._console.print(f"  [blue]↺[/] {escape(name):<12} reused")


def _show(console: Console, result: RoadResult, *, serving: bool) -> None:
    evaluation = result.evaluation
    title = f"{result.name}: {evaluation.task} of {result.label} on {evaluation.num_examples:,} held-out rows"
    table = Table()
    table.add_column("metric")
    table.add_column("model", justify="right")
    table.add_column("baseline", justify="right")
    for row in compare(evaluation):
        value = format_number(row.value)
        if row.better is not None:
            value = f"[{'green' if row.better else 'red'}]{value}[/]"
        table.add_row(row.title, value, format_number(row.baseline))
    console.print()
    console.print(title, markup=False, soft_wrap=True)
    console.print(table)
    if result.reused_everything:
        console.print("Nothing changed: every step was reused.")
    if result.num_anomalies:
        console.print(f"[yellow]![/] anomalies in the held-out rows: {result.num_anomalies}; the report lists them")
    console.print(f"Report  {escape(str(result.report))}", soft_wrap=True)
    console.print(f"Model   {escape(str(result.model))} [green](verified in a fresh process)[/]", soft_wrap=True)
    if not serving:
        command = f"mainstay serve --model {shlex.quote(f'{result.name}={result.model.parent}')}"
        console.print(f"Next    [bold]{escape(command)}[/]", soft_wrap=True)


def _require_free(port: int) -> None:
    """Find out that the port is taken before the work is done, not after."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SetupError(
                f"cannot listen on port {port}: {error.strerror}",
                where="--port",
                fix="stop what uses it, or choose another --port",
            ) from error


def _serve(console: Console, result: RoadResult, port: int) -> None:
    from mainstay import serving

    def ready(server: Any) -> None:
        line = pipeline.curl_line(result.name, result.request, port=server.rest_port)
        console.print("\nServing. Ctrl-C stops. Ask it:\n")
        console.print(line, soft_wrap=True, markup=False)

    serving.serve(
        {result.name: result.model.parent}, serving.ServerOptions(rest_port=port, grpc_port=None), on_ready=ready
    )
