"""Dependencies are declared once, pinned with hashes, and explained on their page."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pins import normalised, read_pins, select, wanted


@pytest.fixture(scope="session")
def project(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text())


def explained(page: str, heading: str) -> list[str]:
    """The packages in the first column of the table below a heading."""
    section = re.split(r"^## ", page.split(f"## {heading}\n", 1)[1], flags=re.MULTILINE)[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def pin_violations(text: str) -> list[str]:
    found = ["it names an address"] if "://" in text or "--index" in text or "--find-links" in text else []
    for pin in read_pins(text):
        lines = "\n".join(pin.lines)
        if not re.match(r"[\w.-]+==[\w.!+-]+( ; [^\\]+)?( \\)?$", pin.lines[0]):
            found.append(f"{pin.name} is not pinned")
        if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", lines):
            found.append(f"{pin.name} has no hash")
    return found


def test_the_page_explains_each_run_time_dependency_and_no_other(repository: Path, project: Any) -> None:
    page = (repository / "docs" / "dependencies.md").read_text()
    declared = [normalised(item) for item in project["project"]["dependencies"]]
    assert sorted(explained(page, "Run time")) == sorted(declared)


def test_the_page_names_what_each_extra_brings(repository: Path, project: Any) -> None:
    page = (repository / "docs" / "dependencies.md").read_text()
    for extra, items in project["project"]["optional-dependencies"].items():
        [row] = re.findall(rf"^\| `{extra}` \| ([^|]*) \|", page, re.MULTILINE)
        assert sorted(re.findall(r"`([^`]+)`", row)) == sorted(normalised(item) for item in items)


def test_every_dependency_is_pinned_with_hashes_and_without_an_address(repository: Path, project: Any) -> None:
    text = (repository / "constraints.txt").read_text()
    assert pin_violations(text) == []
    every_extra = list(project["project"]["optional-dependencies"])
    assert len(select(read_pins(text), wanted(project, every_extra))) == len(read_pins(text))


def test_every_pin_meets_the_range_that_the_project_declares(repository: Path, project: Any) -> None:
    versions = dict(re.findall(r"^([\w.-]+)==([\d.]+)", (repository / "constraints.txt").read_text(), re.MULTILINE))
    optional = project["project"]["optional-dependencies"].values()
    for item in [*project["project"]["dependencies"], *(item for items in optional for item in items)]:
        least = re.search(r">=([\d.]+)", item)
        assert least is not None, f"{item} states no lowest version"
        pinned = versions[normalised(item)]
        assert [int(n) for n in pinned.split(".")] >= [int(n) for n in least[1].split(".")], item


def test_a_selection_holds_what_its_packages_need_and_nothing_else(repository: Path, project: Any) -> None:
    every = read_pins((repository / "constraints.txt").read_text())
    names = {pin.name for pin in select(every, wanted(project, []))}
    assert {"jax", "jaxlib", "keras", "h5py", "hatchling", "mdurl"} <= names
    assert not {"pytest", "mkdocs", "fastapi", "uv", "ruff"} & names


CONSTRAINTS = """\
a==1 \\
    --hash=sha256:{0}
    # via project
b-c==2 \\
    --hash=sha256:{0}
    # via
    #   a
    #   d
"""


def test_a_selection_follows_what_needs_what() -> None:
    every = read_pins(CONSTRAINTS.format("0" * 64) + "d==3\n")
    assert [pin.name for pin in select(every, {"a"})] == ["a", "b-c"]
    assert [pin.name for pin in select(every, {"b-c"})] == ["b-c"]
    with pytest.raises(SystemExit, match=r"not in constraints.txt: e; run: make lock"):
        select(every, {"e"})


@pytest.mark.parametrize(
    ("text", "violation"),
    [
        ("a>=1 \\\n    --hash=sha256:" + "0" * 64, "a is not pinned"),
        ("a==1", "a has no hash"),
        ("a==1 \\\n    --hash=sha256:" + "0" * 64 + "\n    # from https://example.org", "it names an address"),
    ],
    ids=["not-pinned", "no-hash", "address"],
)
def test_a_wrong_pin_is_found(text: str, violation: str) -> None:
    assert pin_violations(CONSTRAINTS.format("0" * 64)) == []
    assert pin_violations(text) == [violation]


def test_an_unexplained_dependency_is_found() -> None:
    page = "## Run time\n\n| package |\n|---|\n| `jax` | x |\n\n## Other\n\n| `ruff` | x |\n"
    assert explained(page, "Run time") == ["jax"]
