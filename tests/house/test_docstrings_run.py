"""The examples in docstrings run and give what they show."""

import doctest
import importlib
from pathlib import Path
from types import ModuleType

import pytest


def modules_with_examples(source: Path) -> list[str]:
    files = [file for file in sorted(source.rglob("*.py")) if ">>>" in file.read_text()]
    names = [".".join(["mainstay", *file.relative_to(source).with_suffix("").parts]) for file in files]
    return [name.removesuffix(".__init__") for name in names]


def failures(module: ModuleType) -> str:
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(example, out=report.append)
    return "".join(report)


def test_every_example_gives_what_it_shows(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = modules_with_examples(source)
    assert names
    report = "".join(failures(importlib.import_module(name)) for name in names)
    assert not report, report


def test_a_wrong_example_is_found() -> None:
    module = ModuleType("wrong", ">>> 1 + 1\n3\n")
    assert "Expected:\n    3\nGot:\n    2" in failures(module)
