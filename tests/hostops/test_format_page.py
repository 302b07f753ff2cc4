"""The format's page names every operation, attribute and version that there is."""

import json
import re
from pathlib import Path

from mainstay.hostops import GRAPH_VERSION, HostGraph, op_names, op_version
from mainstay.hostops.registry import lookup


def rows(page: str) -> dict[str, str]:
    """The rows of the table of operations by the operations that they name."""
    table = page[page.index("| operation |") :].split("\n\n")[0]
    named = {}
    for line in table.splitlines()[2:]:
        for name in re.findall(r"`(\w+)`", line.split("|")[1]):
            named[name] = line
    return named


def test_the_page_lists_every_operation_with_its_attributes(repository: Path):
    page = (repository / "docs/formats/host-graph.md").read_text()
    listed = rows(page)
    assert sorted(listed) == sorted(op_names())
    for name, line in listed.items():
        assert [attr for attr in lookup(name).attrs if f"`{attr}`" not in line] == []
    assert {op_version(name) for name in op_names()} == {1}
    assert f"version of this format: {GRAPH_VERSION}" in page


def test_the_example_of_the_page_loads(repository: Path):
    page = (repository / "docs/formats/host-graph.md").read_text()
    example = json.loads(page.split("```json")[1].split("```")[0])
    graph = HostGraph.from_json(example, {"vocabulary_company.txt": b"a\nb\n"})
    assert graph({"fare": [12.5], "company": ["b"]}) == {"fare": [1.0], "company": [1]}
    assert graph.to_json() == example
