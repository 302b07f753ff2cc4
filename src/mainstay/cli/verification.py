"""`mainstay verify`: a saved model is whole and answers as it did when it was saved."""

from __future__ import annotations

from pathlib import Path

from mainstay import saved_model


def verify(path: Path, *, trust: saved_model.Trust | None = None) -> None:
    """Check a saved model and print what was checked.

    Args:
        path: The artifact's folder, or a folder of numbered versions, of which the newest is checked.
        trust: Whose signature it must have; None asks for none.

    Raises:
        ArtifactError: The artifact is refused; the message names the file or the answer.
    """
    from rich.console import Console
    from rich.table import Table

    path = newest_version(path)
    report = saved_model.verify(path, trust=trust)
    table = Table(title=f"{path}", title_justify="left", show_header=False)
    for name, value in report.facts().items():
        table.add_row(name, value)
    console = Console()
    console.print(table)
    if trust is not None:
        vouched = saved_model.verify_signature(path, trust)
        console.print(f"[green]✓[/] signed by {vouched.key or 'key'} {vouched.key_id[:16]}", highlight=False)
    console.print("[green]✓[/] verified: every file has its digest, every golden request its answer")


def newest_version(path: Path) -> Path:
    """Return the version with the highest number of a folder of versions, or the folder itself."""
    versions = [folder for folder in path.glob("*") if folder.name.isdecimal()] if path.is_dir() else []
    return max(versions, key=lambda folder: int(folder.name), default=path)
