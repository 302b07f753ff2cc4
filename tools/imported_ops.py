"""Write the page that lists the ops of TensorFlow's graphs that Mainstay reads.

python tools/imported_ops.py     # writes docs/reference/imported-ops.md
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from mainstay.saved_model.graph_reading.graph_ops.registry import implemented_ops

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference" / "imported-ops.md"
_HEAD = """\
# Ops of TensorFlow that are read

A SavedModel that TensorFlow wrote is computed with the {count} ops below; `mainstay inspect` names the nodes of a model
whose ops are not among them. What is marked with * runs on the host, outside of the compiled program: strings, tables,
parsing, and whatever has a shape that depends on the data. Control flow and function calls are read as such and are not
listed. The test that compares this page with the code writes nothing: `python tools/imported_ops.py` does.
"""


def page() -> str:
    """Return the page."""
    themes: dict[str, list[str]] = {}
    for name, op in implemented_ops().items():
        themes.setdefault(op.run.__module__, []).append(f"`{name}`" + ("*" if op.kind == "host" else ""))
    sections = []
    for module, names in themes.items():
        title = module.rpartition(".")[2].replace("_", " ").capitalize()
        summary = (importlib.import_module(module).__doc__ or "").split("\n\n")[0]
        sections.append((title, f"## {title}\n\n{summary}\n\n{', '.join(names)}\n"))
    head = _HEAD.format(count=len(implemented_ops()))
    return "\n".join([head, *(text for _, text in sorted(sections))])


if __name__ == "__main__":
    TARGET.write_text(page())
    sys.stdout.write(f"{len(implemented_ops())} ops\n")
