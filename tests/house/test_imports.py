"""Rooms import only from rooms above them, through their doors, and nobody imports what the house has banned."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pins import normalised

ROOMS = [
    "core",
    "io",
    "statistics",
    "hostops",
    "execution",
    "metadata",
    "data",
    "validation",
    "transform",
    "framework",
    "summary",
    "distribute",
    "saved_model",
    "keras",
    "analysis",
    "lite",
    "web",
    "registry",
    "monitoring",
    "serving",
    "pipeline",
    "console",
    "cli",
]
BANNED = {"tensorflow", "torch", "pickle", "cloudpickle", "dill", "marshal", "shelve"}
# A function of the user travels to a process that we started ourselves, through a pipe that nobody else sees.
EXCEPTIONS = {"data/execution/pickling.py": {"pickle", "cloudpickle"}}


def sources(source: Path) -> list[Path]:
    return sorted(source.rglob("*.py"))


def room_of(source: Path, file: Path) -> str:
    return file.relative_to(source).parts[0].removesuffix(".py")


class WhenRun(ast.NodeTransformer):
    """Leaves out what only a type checker reads."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.AST]:
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test).endswith("TYPE_CHECKING") else node


def imported(source: Path, file: Path, *, when_run: bool = False) -> Iterator[tuple[int, str]]:
    """Every dotted name that a file imports, wherever in the file it does so, with its line."""
    package = ["mainstay", *file.relative_to(source).parent.parts]
    tree = ast.parse(file.read_text())
    for node in ast.walk(WhenRun().visit(tree) if when_run else tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            # `from mainstay import keras` imports a room; `from mainstay.core import track` imports a name of one.
            yield from ((node.lineno, f"{module}.{a.name}" if module == "mainstay" else module) for a in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).split(".")[-1]
            yield from [(node.lineno, str(node.args[0].value))] * (called in {"import_module", "__import__"})


def room_violations(source: Path) -> list[str]:
    found = []
    for file in sources(source):
        room = room_of(source, file)
        if room in ("__init__", "__main__"):
            continue
        if room not in ROOMS:
            found.append(f"{file.name}: {room} is not a room of the architecture")
            continue
        for line, name in imported(source, file):
            parts = name.split(".")
            if parts[0] != "mainstay" or len(parts) == 1 or parts[1] not in ROOMS or parts[1] == room:
                continue
            place = f"{room}/{file.name}:{line}"
            if ROOMS.index(parts[1]) > ROOMS.index(room):
                found.append(f"{place}: {room} imports {parts[1]}, which is below it")
            if len(parts) > 2:
                found.append(f"{place}: {name} reaches past the door of {parts[1]}")
    return found


def banned_violations(source: Path) -> list[str]:
    return [
        f"{file.relative_to(source)}:{line}: {name}"
        for file in sources(source)
        for line, name in imported(source, file)
        if name.split(".")[0] in BANNED - EXCEPTIONS.get(file.relative_to(source).as_posix(), set())
    ]


def undeclared_imports(source: Path, declared: set[str]) -> list[str]:
    """The packages that are imported although pyproject.toml does not declare them."""
    providers = {"PIL": "pillow", "google": "protobuf", "google_crc32c": "google-crc32c", "jaxlib": "jax"}
    names = {name.split(".")[0] for file in sources(source) for _, name in imported(source, file, when_run=True)}
    outside = names - {"mainstay", ""} - set(sys.stdlib_module_names)
    return sorted(name for name in outside if providers.get(name, name.replace("_", "-")) not in declared)


def assert_violations(source: Path) -> list[str]:
    return [
        f"{file.relative_to(source)}:{node.lineno}"
        for file in sources(source)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Assert)
    ]


@pytest.fixture
def bad(tmp_path: Path):
    def write(path: str, text: str) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return tmp_path

    return write


def drawn_rooms(page: str) -> dict[str, bool]:
    """The rooms in the table of the architecture page, in order, and whether each is only planned."""
    return {name: bool(planned) for name, planned in re.findall(r"^\| `(\w+)`( \*planned\*)? \|", page, re.MULTILINE)}


def test_the_architecture_page_shows_the_rooms_in_order_and_which_exist(source: Path, repository: Path) -> None:
    rooms = drawn_rooms((repository / "docs" / "architecture.md").read_text())
    assert list(rooms) == ROOMS
    existing = {room for room in ROOMS if (source / room / "__init__.py").exists()}
    assert {room for room, planned in rooms.items() if not planned} == existing


def test_the_rooms_of_a_page_are_read_with_what_is_planned() -> None:
    assert drawn_rooms("| `core` | x |\n| `web` *planned* | x |\n") == {"core": False, "web": True}


def test_rooms_import_only_from_rooms_above_and_through_their_doors(source: Path) -> None:
    assert room_violations(source) == []


def test_nothing_imports_tensorflow_torch_or_a_pickler(source: Path) -> None:
    assert banned_violations(source) == []


def test_every_import_is_of_a_declared_dependency(source: Path, repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert undeclared_imports(source, {normalised(item) for item in project["dependencies"]}) == []


def test_the_product_has_no_bare_assert(source: Path) -> None:
    assert assert_violations(source) == []


@pytest.mark.parametrize(
    "text",
    [
        "from mainstay.serving import Server",
        "import mainstay.serving",
        "from mainstay import serving",
        "def late():\n    from mainstay.serving import Server",
        "if TYPE_CHECKING:\n    from mainstay.serving import Server",
        "import importlib\nimportlib.import_module('mainstay.serving')",
        "from ..serving import Server",
    ],
)
def test_an_import_from_below_is_found_however_it_is_written(bad, text: str) -> None:
    [violation] = room_violations(bad("io/csv.py", text))
    assert "io imports serving, which is below it" in violation


@pytest.mark.parametrize("text", ["from mainstay.core.errors import DataError", "from ..core.errors import DataError"])
def test_reaching_past_a_door_is_found(bad, text: str) -> None:
    [violation] = room_violations(bad("io/csv.py", text))
    assert "mainstay.core.errors reaches past the door of core" in violation


def test_an_unknown_room_is_found(bad) -> None:
    assert room_violations(bad("helpers/things.py", "")) == ["things.py: helpers is not a room of the architecture"]


def test_a_room_may_use_its_own_modules_and_rooms_above(bad) -> None:
    assert (
        room_violations(bad("io/csv.py", "from mainstay.io.files import a\nfrom mainstay.core import DataError")) == []
    )


def test_a_banned_import_is_found_and_tensorflow_metadata_is_not(bad) -> None:
    root = bad(
        "io/a.py", "import tensorflow_metadata.proto\ndef f():\n    import tensorflow.io\n    from pickle import loads"
    )
    assert banned_violations(root) == ["io/a.py:3: tensorflow.io", "io/a.py:4: pickle"]


def test_an_undeclared_import_is_found(bad) -> None:
    root = bad(
        "io/a.py",
        "import os, numpy, yaml\nif TYPE_CHECKING:\n    import toml\n"
        "from google.protobuf import message\nimport google_crc32c",
    )
    assert undeclared_imports(root, {"numpy", "protobuf", "google-crc32c"}) == ["yaml"]


def test_a_bare_assert_is_found(bad) -> None:
    assert assert_violations(bad("io/a.py", "def f(x):\n    assert x")) == ["io/a.py:2"]
