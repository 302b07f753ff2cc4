"""What was measured, as Markdown tables: absolute figures, ratios of medians, and the goals."""

from __future__ import annotations

from typing import Any

from rivals.report import OURS, median, ratio

from data_rivals.cases import CASES, TITLES, Case

Blocks = dict[str, list[dict[str, Any]]]
"""The measured blocks of one case by engine."""


def section(case: Case, blocks: Blocks) -> str:
    """Return a heading and the table of one case."""
    table = {"stream": _streams, "memory": _memory, "fit": _fit}[case.kind]
    return "\n".join([f"### {case.title}", "", *table(blocks)])


def _times(blocks: Blocks, engine: str, key: str) -> str:
    value = ratio(blocks, engine, key)
    if engine == OURS or value is None:
        return ""
    return f"{value:.2f}" if value >= 1 else f"**{value:.2f}**"


def _rate(rounds: list[dict[str, Any]], key: str) -> str:
    return f"{1e6 / median(rounds, key):,.0f}"


def _streams(blocks: Blocks) -> list[str]:
    lines = [
        "| pipeline | rows/s | from to | Mainstay ÷ it | rows per CPU s | Mainstay ÷ it | first batch s | peak MB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for engine, rounds in blocks.items():
        rates = [1e6 / block["wall_us"] for block in rounds]
        cells = [
            TITLES[engine],
            _rate(rounds, "wall_us"),
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            _times(blocks, engine, "wall_us"),
            _rate(rounds, "cpu_us"),
            _times(blocks, engine, "cpu_us"),
            f"{median(rounds, 'first_s'):.2f}",
            f"{median(rounds, 'peak_mb'):,.0f} (+{median(rounds, 'growth_mb'):,.0f})",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _memory(blocks: Blocks) -> list[str]:
    lines = ["| pipeline | adds MB | rows read | rows/s | rows per CPU s |", "|---|--:|--:|--:|--:|"]
    for engine, rounds in blocks.items():
        cells = [TITLES[engine], f"{median(rounds, 'growth_mb'):,.0f}", f"{median(rounds, 'rows'):,.0f}"]
        cells += [_rate(rounds, "wall_us"), _rate(rounds, "cpu_us")]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _fit(blocks: Blocks) -> list[str]:
    lines = ["| `fit` from | seconds an epoch | speed, of that from arrays |", "|---|--:|--:|"]
    rounds = blocks[OURS]
    for what in ("arrays", "dataset"):
        share = median(rounds, "arrays_s") / median(rounds, f"{what}_s")
        lines.append(f"| {what} | {median(rounds, f'{what}_s'):.3f} | {share:.2f} |")
    return lines


def goals(measured: dict[str, Blocks]) -> list[str]:
    """Return a line for each goal whose engines were measured."""
    lines = []
    for name, blocks in measured.items():
        case = CASES[name]
        for goal in case.goals:
            rivals = [engine for engine in goal.rivals if engine in blocks]
            if rivals and goal.engine in blocks:
                found = [_least(blocks, goal.engine, rivals, key) for key in ("wall_us", "cpu_us")]
                said = "reached" if min(found) >= goal.times else "MISSED"
                best = TITLES[min(rivals, key=lambda rival: median(blocks[rival], "cpu_us"))]
                lines.append(
                    f"{said}: {case.title}: {TITLES[goal.engine]} {found[0]:.2f} × in rows/s and {found[1]:.2f} × in "
                    f"rows per CPU s, goal {goal.times:g} × the best of {len(rivals)} ({best})"
                )
        if case.kind == "memory" and blocks.get(OURS):
            growth = median(blocks[OURS], "growth_mb")
            lines.append(f"{'reached' if growth < 50 else 'MISSED'}: {case.title}: {growth:.0f} MB, goal under 50 MB")
        if case.kind == "fit" and blocks.get(OURS):
            share = median(blocks[OURS], "arrays_s") / median(blocks[OURS], "dataset_s")
            lines.append(f"{'reached' if share >= 0.95 else 'MISSED'}: {case.title}: {share:.2f}, goal 0.95")
    if blocks := measured.get("images"):
        lines += _first(blocks)
    return lines


def _least(blocks: Blocks, engine: str, rivals: list[str], key: str) -> float:
    """Return the ratio to the best of the rivals."""
    return min(median(blocks[rival], key) for rival in rivals) / median(blocks[engine], key)


def _first(blocks: Blocks) -> list[str]:
    """Return whether the first pictures come no later than those of the rival with the most pictures a CPU second."""
    rivals = [engine for engine in blocks if not engine.startswith(OURS)]
    if OURS not in blocks or not rivals:
        return []
    best = min(rivals, key=lambda rival: median(blocks[rival], "cpu_us"))
    ours, theirs = median(blocks[OURS], "first_s"), median(blocks[best], "first_s")
    said = "reached" if ours <= theirs else "MISSED"
    return [f"{said}: first batch of pictures: {ours:.2f} s, {TITLES[best]}: {theirs:.2f} s"]
