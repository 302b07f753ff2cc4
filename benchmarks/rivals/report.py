"""Medians and ratios of a run of the training benchmark, as Markdown tables."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

OURS = "mainstay"
ROWS = {"fit": "train, `fit`", "step": "train, own step", "predict": "infer, `predict`", "call": "infer, function"}
TITLES = {
    "jax": "JAX by hand",
    "tensorflow": "TF",
    "tensorflow-jit": "TF jit",
    "torch": "PyTorch",
    "torch-compile": "torch.compile",
}

Blocks = dict[str, dict[str, dict[str, list[dict[str, Any]]]]]
"""The measured blocks, by case, task and engine; an engine without a figure is not in it."""


def median(blocks: Sequence[dict[str, Any]], key: str) -> float:
    return statistics.median(block[key] for block in blocks)


def ratio(engines: dict[str, list[dict[str, Any]]], rival: str, key: str) -> float | None:
    """Return the rival's median over Mainstay's: above 1, Mainstay is ahead."""
    if not engines.get(rival) or not engines.get(OURS):
        return None
    return median(engines[rival], key) / median(engines[OURS], key)


def ratios(blocks: Blocks, titles: dict[str, str], rivals: Sequence[str], key: str) -> str:
    """Return a table of one row a task: Mainstay's median in ms per batch, and each rival's ratio to it."""
    lines = ["| model | task | Mainstay ms | " + " | ".join(TITLES[rival] for rival in rivals) + " |"]
    lines.append("|---|---|---:|" + "---:|" * len(rivals))
    for case, tasks in blocks.items():
        for task, engines in tasks.items():
            ours = f"{median(engines[OURS], key):.3g}" if engines.get(OURS) else "n/a"
            cells = [_cell(ratio(engines, rival, key)) for rival in rivals]
            lines.append(f"| {titles[case]} | {ROWS[task]} | {ours} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    if value is None:
        return "n/a"
    return f"{value:.2f}" if value >= 1 else f"**{value:.2f}**"


def times(blocks: Blocks, titles: dict[str, str], engines: Sequence[str]) -> str:
    """Return a table of absolute wall times: the median of the rounds, and the least, in ms per batch."""
    heads = [TITLES.get(engine, "Mainstay") for engine in engines]
    lines = ["| model | task | " + " | ".join(heads) + " |", "|---|---|" + "---:|" * len(engines)]
    for case, tasks in blocks.items():
        for task, measured in tasks.items():
            cells = [_times(measured.get(engine)) for engine in engines]
            lines.append(f"| {titles[case]} | {ROWS[task]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _times(blocks: list[dict[str, Any]] | None) -> str:
    if not blocks:
        return "n/a"
    return f"{median(blocks, 'wall_ms'):.3g} ({min(block['wall_ms'] for block in blocks):.3g})"


def memory(blocks: Blocks, titles: dict[str, str], engines: Sequence[str]) -> str:
    """Return a table of the peak resident memory of each engine's process, in MB."""
    lines = ["| model | " + " | ".join(TITLES.get(engine, "Mainstay") for engine in engines) + " |"]
    lines.append("|---|" + "---:|" * len(engines))
    for case, tasks in blocks.items():
        cells = []
        for engine in engines:
            peaks = [block["peak_mb"] for measured in tasks.values() for block in measured.get(engine, [])]
            cells.append(f"{max(peaks):,.0f}" if peaks else "n/a")
        lines.append(f"| {titles[case]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def behind(blocks: Blocks, titles: dict[str, str], rivals: Sequence[str]) -> list[str]:
    """Return the rows where a rival is ahead of Mainstay in wall time, the worst first."""
    found = [
        (value, f"{titles[case]}, {ROWS[task]}: {TITLES[rival]} {value:.2f}")
        for case, tasks in blocks.items()
        for task, engines in tasks.items()
        for rival in rivals
        if rival != "jax" and (value := ratio(engines, rival, "wall_ms")) is not None and value < 1
    ]
    return [line for _, line in sorted(found)]
