"""Each room has one door: a sorted list of its public names, each of them there and documented, and no logic."""

import ast
import importlib
from pathlib import Path
from types import ModuleType

import pytest


def doors(source: Path) -> dict[str, Path]:
    return {file.parent.name: file for file in sorted(source.glob("*/__init__.py"))}


def rank(name: str) -> tuple[int, str]:
    """The order of a door: constants, then classes, then functions, each by name."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def door_violations(door: Path) -> list[str]:
    """What is wrong with a door as it is written: logic, or names that differ from `__all__`."""
    found, names, listed = [], set(), None
    for index, node in enumerate(ast.parse(door.read_text()).body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            listed = ast.literal_eval(node.value)
        elif index or not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            found.append(f"line {node.lineno}: logic: {ast.unparse(node).splitlines()[0]}")
    if listed is None:
        return [*found, "no __all__"]
    if sorted(listed, key=rank) != listed or len(set(listed)) != len(listed):
        found.append("__all__ is not sorted, or names something twice")
    public = {name for name in names if not name.startswith("_") and name != "annotations"}
    found += [f"{name} is imported but not in __all__" for name in sorted(public - set(listed))]
    return found + [f"{name} is in __all__ but not imported" for name in sorted(set(listed) - public)]


def export_violations(module: ModuleType) -> list[str]:
    """What the imported room really exports beside, or instead of, its `__all__`; submodules aside."""
    real = {n for n, v in vars(module).items() if not n.startswith("_") and not isinstance(v, ModuleType)}
    missing = [f"{name} is in __all__ but not there" for name in module.__all__ if not hasattr(module, name)]
    return missing + [f"{name} is exported but not in __all__" for name in sorted(real - set(module.__all__))]


def has_docstring(node: ast.AST) -> bool:
    return bool((ast.get_docstring(node) or "").strip())


def docstring_violations(source: Path, door: Path) -> list[str]:
    """Which public names that a door takes from its own room, or which of their public methods, lack a docstring."""
    found = []
    for node in ast.parse(door.read_text()).body:
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("mainstay."):
            continue
        base = source.joinpath(*node.module.split(".")[1:])
        file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        for alias in node.names:
            if not alias.name.startswith("_") and not (base / f"{alias.name}.py").exists():
                found += [f"{alias.name}{end} has no docstring" for end in undocumented(file, alias.name)]
    return found


def undocumented(file: Path, name: str) -> list[str]:
    body = ast.parse(file.read_text()).body
    for index, node in enumerate(body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
            if "overload" in {ast.unparse(d).split(".")[-1] for d in node.decorator_list}:
                continue
            bare = [] if has_docstring(node) else [""]
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
            skipped = {"overload", "setter", "override"}
            return bare + [
                f".{method.name}"
                for method in methods
                if not method.name.startswith("_")
                and not has_docstring(method)
                and not skipped & {ast.unparse(d).split(".")[-1] for d in method.decorator_list}
            ]
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and name in {ast.unparse(t) for t in targets}:
            after = body[index + 1] if index + 1 < len(body) else None
            documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            return [] if documented else [""]
    return []  # the module took it from another one, where it is documented


def test_every_door_lists_its_names_and_has_no_logic(source: Path) -> None:
    wrong = {room: found for room, door in doors(source).items() if (found := door_violations(door))}
    assert wrong == {}


def test_every_room_exports_exactly_its_public_names(source: Path) -> None:
    rooms = {room: importlib.import_module(f"mainstay.{room}") for room in doors(source)}
    assert {room: found for room, module in rooms.items() if (found := export_violations(module))} == {}


def test_every_public_name_has_a_docstring(source: Path) -> None:
    wrong = {room: found for room, door in doors(source).items() if (found := docstring_violations(source, door))}
    assert wrong == {}


def test_the_package_offers_every_room_that_exists(source: Path) -> None:
    package = importlib.import_module("mainstay")
    assert sorted(set(doors(source)) - {"cli"} - set(package.__all__)) == []
    offered = [*package._ROOMS, *package._NAMES, *package._DTYPES]
    assert sorted(name for name in package.__all__ if not name.startswith("_")) == sorted(offered)
    assert [room for room in package._ROOMS if room not in doors(source)] == []


def test_a_type_checker_sees_the_same_names_as_python(source: Path) -> None:
    package = importlib.import_module("mainstay")
    stub = ast.parse((source / "__init__.pyi").read_text())
    [listed] = [node.value for node in stub.body if isinstance(node, ast.Assign)]
    assert sorted(ast.literal_eval(listed)) == sorted(package.__all__)


@pytest.mark.parametrize(
    ("text", "violation"),
    [
        ('from a import b\n__all__ = ["b"]\nif b:\n    b()', "line 3: logic: if b:"),
        ('__all__ = []\nVERSION = "1"', "line 2: logic: VERSION = '1'"),
        ('from a import b, c\n__all__ = ["c", "b"]', "__all__ is not sorted, or names something twice"),
        ('from a import b, c\n__all__ = ["b"]', "c is imported but not in __all__"),
        ('from a import b\n__all__ = ["b", "c"]', "c is in __all__ but not imported"),
        ("from a import b", "no __all__"),
    ],
)
def test_a_wrong_door_is_found(tmp_path: Path, text: str, violation: str) -> None:
    (tmp_path / "__init__.py").write_text(text)
    assert door_violations(tmp_path / "__init__.py") == [violation]


def test_a_wrong_export_is_found() -> None:
    module = ModuleType("room")
    module.__all__ = ["absent"]
    module.surplus = 1
    assert export_violations(module) == ["absent is in __all__ but not there", "surplus is exported but not in __all__"]


def test_a_missing_docstring_is_found(tmp_path: Path) -> None:
    (tmp_path / "io").mkdir()
    door = tmp_path / "io" / "__init__.py"
    door.write_text("from mainstay.io.csv import LIMIT, Reader, read")
    text = 'LIMIT = 3\nclass Reader:\n    "Reads."\n    def close(self): ...\n    def _hide(self): ...\n'
    text += "@overload\ndef read(): ...\ndef read(x): ..."
    (tmp_path / "io" / "csv.py").write_text(text)
    expected = ["LIMIT has no docstring", "Reader.close has no docstring", "read has no docstring"]
    assert docstring_violations(tmp_path, door) == expected
