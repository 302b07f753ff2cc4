"""`mainstay inspect` and `mainstay import`: what a saved model is, and making an artifact of one of TensorFlow."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainstay import saved_model
from mainstay.cli.verification import newest_version

if TYPE_CHECKING:
    from mainstay.saved_model import Inspection


def inspect(path: Path, *, as_json: bool = False) -> None:
    """Print what a saved model is: its signatures, where they load, its size and origin.

    Args:
        path: The folder of a saved model of Mainstay or of TensorFlow, or a folder of numbered versions.
        as_json: Whether to print JSON.

    Raises:
        ArtifactError: There is no saved model, or it is malformed.
    """
    found = saved_model.inspect(newest_version(path))
    if as_json:
        sys.stdout.write(json.dumps(found.to_json(), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        return
    _show(found)


def import_model(path: Path, output: Path) -> None:
    """Make an artifact of a SavedModel that TensorFlow wrote.

    Args:
        path: The SavedModel, or a folder of numbered versions.
        output: Where the artifact goes; nothing may be there yet.

    Raises:
        ArtifactError: There is no SavedModel, or it is malformed.
        ModelError: It needs ops that are not read here, or cannot be converted; `mainstay inspect` names them.
        StorageError: The file system refused; nothing is left behind.
    """
    from rich.console import Console

    saved_model.import_model(newest_version(path), output)
    Console(highlight=False).print(f"[green]✓[/] {output}: verified, to be loaded by mainstay.saved_model.load")


def _show(found: Inspection) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    facts = Table(title=escape(found.path), title_justify="left", show_header=False)
    for name, value in _facts(found).items():
        facts.add_row(name, escape(value))
    console.print(facts)
    for item in found.signatures:
        method = "" if item.method == "predict" else f" ({item.method})"
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        batch = [] if item.rows is not False else ["one request at a time: there is no axis of rows"]
        for title, lines in (
            ("takes", _specs(item.inputs) + batch),
            ("gives", _specs(item.outputs)),
            ("Mainstay", [item.mainstay]),
            ("TensorFlow", [item.tensorflow]),
        ):
            table.add_row(f"  {title}", escape("\n".join(lines)))
        console.print(f"\n{item.kind} [bold]{escape(item.name)}[/]{method}")
        console.print(table)
    if found.unsupported:
        table = Table(title="ops that are not read here", title_justify="left")
        for title in ("op", "nodes", "the first"):
            table.add_column(title)
        for op in found.unsupported:
            table.add_row(escape(op.op), f"{op.count:,}", escape(op.node))
        console.print(table)


def _facts(found: Inspection) -> dict[str, str]:
    kind = "an artifact of Mainstay" if found.kind == "mainstay" else "a SavedModel of TensorFlow"
    version = f", format version {found.format_version}" if found.format_version is not None else ""
    facts: dict[str, Any] = {
        "what": kind + version,
        "files": f"{found.files:,} ({found.bytes:,} bytes), {found.variables:,} variables",
        "written by": ", ".join(f"{name} {version}" for name, version in sorted(found.producers.items())),
        "runs on": ", ".join(found.platforms),
        "assets": ", ".join(found.assets),
        "provenance": json.dumps(found.provenance, sort_keys=True, ensure_ascii=False) if found.provenance else "",
        "signature": "there is one; `mainstay verify` checks it" if found.signed else "",
    }
    return {name: value for name, value in facts.items() if value}


def _specs(specs: Any) -> list[str]:
    shapes = [", ".join("?" if axis is None else str(axis) for axis in spec.shape) for spec in specs]
    return [f"{spec.name}: {spec.dtype}[{shape}]" for spec, shape in zip(specs, shapes, strict=True)] or ["nothing"]
