"""Runs the programs of this folder in one world, and writes down what each gave.

    python run.py tensorflow|mainstay FOLDER          # writes the record files of this world to FOLDER/WORLD
    python run.py tensorflow|mainstay FOLDER OUT      # runs the programs, which read the files of both worlds

OUT is JSON: for each program `{"value": ...}`, or `{"error": ...}` with what it raised. A program is a public function
of one of the modules below, and takes TensorFlow, or Mainstay under its name, and FOLDER.
"""

import importlib
import inspect
import json
import sys
import traceback
from pathlib import Path

MODULES = (
    "batching",
    "combining",
    "elements",
    "grouping",
    "images",
    "parsing",
    "sources",
    "record_files",
    "text_files",
)


def programs(module):
    """The public functions that a module itself defines."""
    return {
        name: function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


def outcome(program, tf, folder):
    try:
        return {"value": program(tf, folder)}
    except Exception as error:
        lines = traceback.format_exc().splitlines()
        return {"error": f"{type(error).__name__}: {error}", "trace": "\n".join(lines[-12:])}


def main(world, folder, out=None):
    folder = Path(folder)
    if world == "mainstay":
        import mainstay as tf
    else:
        import tensorflow as tf
    if out is None:
        import record_files

        (folder / world).mkdir()
        record_files._write(tf, folder / world)
        return
    found = {}
    for name in MODULES:
        for title, program in programs(importlib.import_module(name)).items():
            found[f"{name}.{title}"] = outcome(program, tf, folder)
    Path(out).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
