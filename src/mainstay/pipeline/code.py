"""Code digests: which source a result depends on, found by reading import statements, never by running anything.

Followed are the imports of a file, wherever in it they stand, to every module that lies beside it or on the import
path outside of the installed packages. Of Mainstay itself a whole room counts as soon as one of its names is
imported, except that of this room, the pipeline, only the modules that are really imported count: otherwise every
step would depend on every other one. Installed packages count by their versions. What no import statement shows
is not seen: modules named in strings, and data files that user code opens.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from mainstay.core import PipelineError, digest_bytes, digest_json, list_files, storage_errors
from mainstay.pipeline.step import spec_of
from mainstay.pipeline.syntax import PRODUCT, Import, ParsedModule, own_part, parse_module, top_level_names

_BY_MODULE = "pipeline"
_PRODUCT_ROOT = Path(__file__).parents[2]
_MENTION = re.compile(rb"\bmainstay\s*\.\s*(\w+)")
_INDIRECT = re.compile(rb"\bfrom\s+mainstay\s+import\b|\bimport\b[^\n]*\bmainstay\b(?!\s*\.)|\bfrom\s+\.\.")


def user_code_digest(path: str | os.PathLike[str]) -> str:
    """Return the digest of a Python file, of the local modules that it imports and of its packages' versions.

    Args:
        path: The file; where it lies and how it is called does not count.

    Raises:
        PipelineError: A file is not valid Python.
        StorageError: A file cannot be read.
    """
    return CodeReader().file_digest(Path(path))


def split_reference(reference: str, where: str) -> tuple[Path, str]:
    """Return the file and the name of ``FILE.py:function``, checked without running the file.

    Raises:
        PipelineError: The text has another form, or there is no such file or function.
    """
    place, separator, name = reference.rpartition(":")
    if not separator or not place.endswith(".py") or not name.isidentifier():
        raise PipelineError("not a function in a file", where=where, expected="FILE.py:function", received=reference)
    file = Path(place).resolve()
    if not file.is_file():
        raise PipelineError("the file is not there", where=where, expected="a Python file", received=place)
    names = top_level_names(_read(file), file)
    if name not in names and "*" not in names:
        near = difflib.get_close_matches(name, names, n=1)
        raise PipelineError(
            f"the file {place} has no such function",
            where=where,
            expected=", ".join(sorted(names)) or "a function",
            received=name,
            fix=f"did you mean {near[0]!r}?" if near else None,
        )
    return file, name


class CodeReader:
    """Reads code for one run of a pipeline: each file is read and parsed once, however many steps depend on it."""

    def __init__(self) -> None:
        self._modules: dict[tuple[Path, str], ParsedModule] = {}
        self._rooms: dict[str, tuple[str, frozenset[str]]] = {}
        self._places: dict[tuple[str, str], Path | None] = {}

    def step_digest(self, function: Callable[..., None]) -> str:
        """Return the digest of the code that a step runs.

        Of the step's own file, other steps do not count unless the step names them.
        """
        spec = spec_of(function)
        file = Path(spec.function.__code__.co_filename)
        if not file.is_file():
            raise PipelineError("the code of a step is not in a file", where=spec.path, fix="move it to a Python file")
        file = file.resolve()
        root, module = _locate(file, spec.function.__module__)
        source = own_part(_read(file), spec.function.__qualname__, file)
        return _Walk(self, root, module).digest(file, source)

    def file_digest(self, path: Path) -> str:
        """Return what `user_code_digest` does."""
        file = path.resolve()
        return _Walk(self, file.parent, file.stem).digest(file, _read(file))

    def module(self, file: Path, name: str) -> ParsedModule:
        """Return the digest and the imports of a module's file."""
        key = (file, name)
        if key not in self._modules:
            self._modules[key] = parse_module(_read(file), file, name)
        return self._modules[key]

    def place(self, root: Path, name: str) -> Path | None:
        """Return what a module's dotted name stands for under a folder: a file, a folder without ``__init__``, None."""
        key = (str(root), name)
        if key not in self._places:
            folder = root.joinpath(*name.split("."))
            files = (folder / "__init__.py", folder.with_name(f"{folder.name}.py"))
            found = next((file for file in files if file.is_file()), None)
            self._places[key] = found or (folder if folder.is_dir() else None)
        return self._places[key]

    def room(self, name: str) -> tuple[str, frozenset[str]]:
        """Return the digest of all files of a room of Mainstay, and the rooms that it imports."""
        if name not in self._rooms:
            digests: dict[str, str] = {}
            rooms: set[str] = set()
            for label, file in list_files(_PRODUCT_ROOT / PRODUCT / name).items():
                if _is_source(file):
                    source = _read(file)
                    digests[label] = digest_bytes(source)
                    if file.suffix == ".py" and _may_import_beyond(source, rooms | {name}):
                        rooms |= self._imported_rooms(file, label, name)
            self._rooms[name] = (digest_json(digests), frozenset(rooms - {name}))
        return self._rooms[name]

    def _imported_rooms(self, file: Path, label: str, room: str) -> set[str]:
        parts = [PRODUCT, room, *label.removesuffix(".py").split("/")]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        rooms = {_room_of(item) for item in self.module(file, name).imports}
        return {room for room in rooms if room is not None}


class _Walk:
    """Everything that one file depends on."""

    def __init__(self, reader: CodeReader, root: Path, module: str) -> None:
        self._reader = reader
        self._module = module
        self._roots = [root] if root == _PRODUCT_ROOT else [root, *_local_roots()]
        parents = module.split(".")[:-1]
        self._doors = {".".join(parents[: depth + 1]) for depth in range(len(parents))}
        self._files: dict[str, str] = {}
        self._rooms: dict[str, str] = {}
        self._outside: set[str] = set()
        self._seen: set[Import] = set()

    def digest(self, file: Path, source: bytes) -> str:
        start = parse_module(source, file, self._module)
        self._files["."] = start.digest
        self._all(start)
        versions = {} if self._roots == [_PRODUCT_ROOT] else {name: _version(name) for name in sorted(self._outside)}
        return digest_json({"files": self._files, "rooms": self._rooms, "packages": versions})

    def _all(self, module: ParsedModule) -> None:
        for item in module.imports:
            self._one(item)

    def _one(self, item: Import) -> None:
        if item in self._seen:
            return
        self._seen.add(item)
        room = _room_of(item)
        if room is not None and room != _BY_MODULE:
            self._room(room)
        elif not self._local(item) and room is None:
            top = item.module.split(".")[0]
            if top != PRODUCT and top not in sys.stdlib_module_names:
                self._outside.add(top)

    def _room(self, name: str) -> None:
        if name in self._rooms:
            return
        self._rooms[name], imported = self._reader.room(name)
        for other in sorted(imported):
            self._one(Import(PRODUCT, other))

    def _local(self, item: Import) -> bool:
        """Follow an import as far as it leads to local files; return whether it leads to any."""
        parts = item.module.split(".")
        names = [".".join(parts[: depth + 1]) for depth in range(len(parts))]
        found = [self._follow(name) for name in names[:-1] if not self._is_door(name)]
        if item.name is None or not self._is_door(item.module):
            found.append(self._follow(item.module))
        if item.name is not None and not self._follow(f"{item.module}.{item.name}") and self._is_door(item.module):
            found.append(self._through(item.module, item.name))
        return any(found) or any(self._resolve(name) for name in names)

    def _is_door(self, name: str) -> bool:
        """Whether a package only surrounds the code: what it gathers does not count, a name that is taken from it does.

        Taken as a whole, it counts as any other module.
        """
        return name in self._doors or name == PRODUCT or self._is_pipeline_package(name)

    def _is_pipeline_package(self, name: str) -> bool:
        if name.split(".")[:2] != [PRODUCT, _BY_MODULE]:
            return False
        place = self._resolve(name)
        return place is not None and (place.is_dir() or place.name == "__init__.py")

    def _through(self, package: str, name: str) -> bool:
        """Follow a name that a package's ``__init__`` passes on; return whether there is such a file."""
        file = self._resolve(package)
        if file is None or not file.is_file():
            return False
        target = self._reader.module(file, package).bindings.get(name)
        if target is None:
            return self._follow_file(package, file)
        self._one(target)
        return True

    def _follow(self, name: str) -> bool:
        file = self._resolve(name)
        return file is not None and file.is_file() and self._follow_file(name, file)

    def _follow_file(self, name: str, file: Path) -> bool:
        if name in (self._module, PRODUCT) or name in self._files:
            return True
        module = self._reader.module(file, name)
        self._files[name] = module.digest
        if name.startswith(f"{PRODUCT}."):
            beside = (path for path in file.parent.iterdir() if path.suffix != ".py" and _is_source(path))
            self._files |= {f"{name}/{path.name}": digest_bytes(_read(path)) for path in sorted(beside)}
        self._all(module)
        return True

    def _resolve(self, name: str) -> Path | None:
        """Return the file of a local module, a folder for a package without ``__init__``, None for any other name."""
        roots = [_PRODUCT_ROOT] if name.split(".")[0] == PRODUCT else self._roots
        return next((place for root in roots if (place := self._reader.place(root, name)) is not None), None)


def _may_import_beyond(source: bytes, rooms: set[str]) -> bool:
    """Whether a file names any other room than these; if not, it need not be parsed to know which rooms it imports."""
    return bool(_INDIRECT.search(source) or {found.decode() for found in _MENTION.findall(source)} - rooms)


def _room_of(item: Import) -> str | None:
    """Return the room of Mainstay that an import leads into, if any."""
    parts = [*item.module.split("."), *filter(None, [item.name])]
    if parts[0] != PRODUCT or len(parts) == 1 or not (_PRODUCT_ROOT / PRODUCT / parts[1]).is_dir():
        return None
    return parts[1]


def _is_source(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts and file.suffix not in (".pyc", ".pyi")


def _read(file: Path) -> bytes:
    with storage_errors(file, "read"):
        return file.read_bytes()


def _locate(file: Path, module: str) -> tuple[Path, str]:
    """Return the folder that a module is imported from, and its name there."""
    if file.is_relative_to(_PRODUCT_ROOT / PRODUCT):
        return _PRODUCT_ROOT, ".".join(file.relative_to(_PRODUCT_ROOT).with_suffix("").parts)
    parts = module.split(".")
    if list(file.with_suffix("").parts[-len(parts) :]) == parts:
        return file.parents[len(parts) - 1], module
    return file.parent, file.stem


def _local_roots() -> list[Path]:
    """Return the folders of the import path that hold neither the standard library nor installed packages."""
    installed = {os.path.realpath(path) for path in sysconfig.get_paths().values()}
    found = []
    for entry in sys.path:
        path = Path(os.path.realpath(entry or os.curdir))
        if path.is_dir() and str(path) not in installed and path.name not in ("site-packages", "dist-packages"):
            found.append(path)
    return [path for path in found if path.name != "lib-dynload"]


@functools.lru_cache(maxsize=256)
def _version(package: str) -> str:
    """Return the version of the installed package, or packages, that a top-level name belongs to."""
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        owners = importlib.metadata.packages_distributions().get(package, [])
        return ", ".join(f"{owner} {importlib.metadata.version(owner)}" for owner in sorted(set(owners)))
