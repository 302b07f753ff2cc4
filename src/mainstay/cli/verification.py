"""`mainstay verify`: a saved model is whole and answers as it did when it was saved."""

from __future__ import annotations

from pathlib import Path

from mainstay import saved_model


def verify(path: Path) -> None:
    """Check a saved model and print what was checked.

    Args:
        path: The artifact's folder, or a folder of numbered versions, of which the newest is checked.

    Raises:
        ArtifactError: The artifact is refused; the message names the file or the answer.
    """
    from rich.console import Console
    from rich.table import Table

    path = _newest(path)
    report = saved_model.verify(path)
    table = Table(title=f"{path}", title_justify="left", show_header=False)
    for name, value in report.facts().items():
        table.add_row(name, value)
    console = Console()
    console.print(table)
    console.print("[green]✓[/] verified: every file has its digest, every golden request its answer")


def _newest(path: Path) -> Path:
    """Return the version with the highest number of a folder of versions, or the folder itself."""
    versions = [folder for folder in path.glob("*") if folder.name.isdecimal()] if path.is_dir() else []
    return max(versions, key=lambda folder: int(folder.name), default=path)
