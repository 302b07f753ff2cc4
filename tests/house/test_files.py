"""Files stay short, links lead somewhere, and no file names a machine, a package registry or a ticket."""

import re
from pathlib import Path

import pytest

LONGEST = 800
COUNTED = ("src", "tests", "tools", "benchmarks")
# Taken apart, so that this file does not hold what it looks for.
LEAKS = {
    "the address of a package registry": r"py"
    + r"pi\.org|pythonhost"
    + r"ed\.|npm"
    + r"js\.(org|com)|deb\.debi"
    + r"an\.",
    "a file address": r"fil" + r"e:///",
    "the path of one machine": r"(?<![\w.$}/])/(wo" + r"rk|roo" + r"t|hom" + r"e|Use" + r"rs|op" + r"t)/\w",
    "a ticket": r"(?i)\b(iss" + r"ue|tick" + r"et|closes|fixes)\s+#?\d+\b|\(#\d+\)",
}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def long_files(root: Path, files: list[Path]) -> list[str]:
    counted = [file for file in files if file.suffix == ".py" and file.relative_to(root).parts[0] in COUNTED]
    lengths = {file: len(file.read_text().splitlines()) for file in counted}
    return [f"{file.relative_to(root)}: {length} lines" for file, length in lengths.items() if length > LONGEST]


def leaks(root: Path, files: list[Path]) -> list[str]:
    found = []
    for file in files:
        content = file.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
            found += [
                f"{file.relative_to(root)}:{number}: {what}" for what, form in LEAKS.items() if re.search(form, line)
            ]
    return found


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+\s+(.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(root: Path, pages: list[Path]) -> list[str]:
    found = []
    for page in pages:
        for target in LINK.findall(FENCE.sub("", page.read_text())):
            path, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            there = page.parent / path if path else page
            if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
                found.append(f"{page.relative_to(root)}: {target}")
    return found


def test_no_file_is_long(repository: Path, tracked: list[Path]) -> None:
    assert long_files(repository, tracked) == []


def test_no_file_names_a_registry_a_machine_or_a_ticket(repository: Path, tracked: list[Path]) -> None:
    assert leaks(repository, tracked) == []


def test_every_link_of_the_documentation_leads_somewhere(repository: Path, tracked: list[Path]) -> None:
    pages = [file for file in tracked if file.suffix == ".md"]
    assert {"README.md", "index.md"} <= {page.name for page in pages}
    assert broken_links(repository, pages) == []


def test_a_long_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    file = tmp_path / "src" / "long.py"
    file.write_text("x = 1\n" * (LONGEST + 1))
    assert long_files(tmp_path, [file]) == ["src/long.py: 801 lines"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("see https://py" + "pi.org/simple", "the address of a package registry"),
        ("fil" + "e:///x", "a file address"),
        ("cd /ho" + "me/me/project", "the path of one machine"),
        ('path = "/wo' + 'rk/main"', "the path of one machine"),
        ("as in iss" + "ue 12", "a ticket"),
        ("done (#" + "12)", "a ticket"),
    ],
)
def test_a_leak_is_found(tmp_path: Path, line: str, what: str) -> None:
    file = tmp_path / "a.md"
    file.write_text(f"fine\n{line}\n")
    assert leaks(tmp_path, [file]) == [f"a.md:2: {what}"]


def test_a_relative_path_and_a_colour_are_no_leak(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("docs/work/x ./root/y ../opt/z color: #123 and $HOME/home/x and /tmp/model\n")
    assert leaks(tmp_path, [file]) == []


def test_a_broken_link_and_a_broken_anchor_are_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# One thing\n")
    page = tmp_path / "a.md"
    page.write_text(
        "[x](b.md) [x](b.md#one-thing) [x](b.md#two) [x](c.md) [x](https://example.org)\n```\n[x](d.md)\n```\n"
    )
    assert broken_links(tmp_path, [page]) == ["a.md: b.md#two", "a.md: c.md"]
