"""Code digests: what changes them and what does not, for users' files, for steps and for Mainstay's own rooms."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

import mainstay
from mainstay.core import PipelineError, StorageError
from mainstay.pipeline import code, user_code_digest
from mainstay.pipeline.code import CodeReader

PREAMBLE = """
from __future__ import annotations
from mainstay.pipeline import ArtifactType, Out, step

class Text(ArtifactType):
    "A text."
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


USER = {
    "features.py": "import beside\nfrom package import part\nimport numpy as np\ndef f(): \n    from late import g\n",
    "beside.py": "import deeper\n",
    "deeper.py": "import beside\nX = 1\n",
    "late.py": "def g(): ...\n",
    "package/__init__.py": "from .inner import thing\n",
    "package/inner.py": "thing = 1\n",
    "package/part.py": "from . import other\nfrom .. import nothing\n",
    "package/other.py": "",
    "unrelated.py": "import features\n",
}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "user", USER)
    return tmp_path / "user"


@pytest.mark.parametrize("name", sorted(USER.keys() - {"unrelated.py"}))
def test_an_edit_of_anything_imported_changes_the_digest(folder, name):
    before = user_code_digest(folder / "features.py")
    with (folder / name).open("a") as file:
        file.write("# edited\n")
    assert user_code_digest(folder / "features.py") != before


def test_an_edit_elsewhere_and_another_place_do_not(folder, tmp_path):
    before = user_code_digest(folder / "features.py")
    (folder / "unrelated.py").write_text("broken (")
    (folder / "data.csv").write_text("1,2")
    (folder / "package" / "spare.py").write_text("")
    assert user_code_digest(folder / "features.py") == before
    folder.rename(tmp_path / "moved")
    assert user_code_digest(tmp_path / "moved" / "features.py") == before
    (tmp_path / "moved" / "features.py").rename(tmp_path / "moved" / "renamed.py")
    assert user_code_digest(tmp_path / "moved" / "renamed.py") == before


def test_a_new_local_module_that_takes_over_an_import_changes_the_digest(folder):
    before = user_code_digest(folder / "features.py")
    (folder / "numpy.py").write_text("")
    assert user_code_digest(folder / "features.py") != before


def test_a_local_package_elsewhere_on_the_import_path_counts(folder, tmp_path, monkeypatch):
    write(tmp_path / "library", {"mine/__init__.py": "", "mine/tools.py": "A = 1\n"})
    monkeypatch.syspath_prepend(tmp_path / "library")
    (folder / "features.py").write_text("from mine.tools import A\n")
    before = user_code_digest(folder / "features.py")
    (tmp_path / "library" / "mine" / "tools.py").write_text("A = 2\n")
    assert user_code_digest(folder / "features.py") != before


def test_the_version_of_an_imported_package_counts_and_the_standard_library_does_not(folder, monkeypatch):
    asked = []

    def version(package: str) -> str:
        asked.append(package)
        return f"1.{len(asked)}"

    monkeypatch.setattr(code, "_version", version)
    (folder / "features.py").write_text("import numpy.linalg\nimport json, os.path\nfrom yaml import load\n")
    assert user_code_digest(folder / "features.py") != user_code_digest(folder / "features.py")
    assert asked == ["numpy", "yaml"] * 2


def test_versions_are_those_installed():
    assert code._version("numpy") == importlib.metadata.version("numpy")
    assert "hypothesis" in code._version("_hypothesis_pytestplugin") or code._version("hypothesis")
    assert code._version("no_such_package_at_all") == ""


def test_a_user_s_import_of_mainstay_counts_by_room(folder, product):
    for statement in (
        "from mainstay.io import read",
        "import mainstay.io",
        "from mainstay import io",
        "import mainstay as tf\ndef f():\n    return tf.io.read()",
    ):
        (folder / "features.py").write_text(statement)
        before = user_code_digest(folder / "features.py")
        write(product, {"serving/server.py": "edited = 1", "__init__.py": '__version__ = "9"'})
        assert user_code_digest(folder / "features.py") == before, statement
        with (product / "io" / "side_effect.py").open("a") as file:
            file.write("# edited\n")
        assert user_code_digest(folder / "features.py") != before, statement


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"def (:\n", 1), (b"x = 1\n\x00", 1), (b"\xff\xfe\x00", 1), (b"(" * 300 + b")" * 300, 1), (b"x = 1\ny = (\n", 2)],
)
def test_a_file_that_is_not_python_is_refused_with_its_line(tmp_path, content, line):
    path = tmp_path / "bad.py"
    path.write_bytes(content)
    with pytest.raises(PipelineError, match="not valid Python") as caught:
        user_code_digest(path)
    assert caught.value.where == f"{path}:{line}"


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(StorageError):
        user_code_digest(tmp_path / "nowhere.py")


def test_an_empty_file_and_a_declared_encoding_are_fine(tmp_path):
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nname = '\xe4'\n")
    assert user_code_digest(tmp_path / "empty.py") != user_code_digest(tmp_path / "latin.py")


@pytest.fixture
def product(tmp_path, monkeypatch):
    """A small Mainstay of its own: rooms with doors, side effects and late imports, and steps in the pipeline room."""
    root = tmp_path / "product"
    package = root / "mainstay"
    write(
        package,
        {
            "__init__.py": "",
            "core/__init__.py": "from mainstay.core.errors import Error\n",
            "core/errors.py": "class Error(Exception): ...\n",
            "io/__init__.py": "from mainstay.io.reader import read\n",
            "io/reader.py": "from mainstay.core import Error\n",
            "io/side_effect.py": "",
            "io/formats.proto": "message A {}",
            "keras/__init__.py": "",
            "serving/__init__.py": "",
            "serving/server.py": "",
            "pipeline/__init__.py": "from mainstay.pipeline.step import step\n"
            "from mainstay.pipeline.runner import run\nfrom mainstay.pipeline.components.steps import ingest\n",
            "pipeline/step.py": "",
            "pipeline/runner.py": "import mainstay.serving\n",
            "pipeline/components/steps.py": "",
            "pipeline/components/ingest.py": "from mainstay.io import read\n"
            "from mainstay.pipeline.components import page\n",
            "pipeline/components/train.py": "from mainstay import keras\n",
            "pipeline/components/page/__init__.py": "from mainstay.pipeline.components.page.draw import draw\n",
            "pipeline/components/page/draw.py": "",
            "pipeline/components/page/page.html.jinja": "<p>",
            "pipeline/components/page/spare.py": "",
        },
    )  # fmt: skip
    monkeypatch.setattr(code, "_PRODUCT_ROOT", root)
    return package


STEPS = """
from mainstay.pipeline import step
def helper(): ...

@step
def ingest(*, out):
    from mainstay.pipeline.components.ingest import ingest_table
    ingest_table()

@step(version=2)
def train(*, out):
    "Trains."
    from mainstay.pipeline.components.train import fit

@step
def both(*, out):
    ingest(out=out)
"""


class Declared:
    """Stands for the declaration of a step in the small Mainstay."""

    def __init__(self, file: Path, name: str) -> None:
        source = file.read_text().replace("@step(version=2)", "").replace("@step", "")
        space: dict[str, object] = {"__name__": "mainstay.pipeline.components.steps"}
        exec(compile(source.replace("from mainstay.pipeline import step", ""), file, "exec"), space)
        self.function = space[name]
        self.path = f"steps:{name}"


@pytest.fixture
def step_digest(product, monkeypatch):
    steps = product / "pipeline" / "components" / "steps.py"
    steps.write_text(STEPS)

    def digest(name: str) -> str:
        monkeypatch.setattr(code, "spec_of", lambda name: Declared(steps, name))
        return CodeReader().step_digest(name)

    return digest


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("core/errors.py", {"ingest", "both"}),
        ("io/reader.py", {"ingest", "both"}),
        ("io/side_effect.py", {"ingest", "both"}),
        ("io/formats.proto", {"ingest", "both"}),
        ("keras/__init__.py", {"train"}),
        ("serving/server.py", set()),
        ("__init__.py", set()),
        ("pipeline/__init__.py", set()),
        ("pipeline/runner.py", set()),
        ("pipeline/step.py", {"ingest", "train", "both"}),
        ("pipeline/components/ingest.py", {"ingest", "both"}),
        ("pipeline/components/train.py", {"train"}),
        ("pipeline/components/page/__init__.py", {"ingest", "both"}),
        ("pipeline/components/page/draw.py", {"ingest", "both"}),
        ("pipeline/components/page/page.html.jinja", {"ingest", "both"}),
        ("pipeline/components/page/spare.py", set()),
    ],
)
def test_an_edit_of_mainstay_reaches_exactly_the_steps_that_import_it(product, step_digest, file, changed):
    before = {name: step_digest(name) for name in ("ingest", "train", "both")}
    with (product / file).open("a") as opened:
        opened.write("\n# edited\n")
    assert {name for name in before if step_digest(name) != before[name]} == changed


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("Trains.", "Fits.", {"train"}),
        ("    ingest_table()\n", "    ingest_table(1)\n", {"ingest", "both"}),
        ("def helper()", "LIMIT = 3\ndef helper()", {"ingest", "train", "both"}),
        ("ingest(out=out)", "ingest(out=out.parent)", {"both"}),
    ],
)
def test_other_steps_of_a_file_count_only_where_they_are_named(product, step_digest, old, new, changed):
    before = {name: step_digest(name) for name in ("ingest", "train", "both")}
    steps = product / "pipeline" / "components" / "steps.py"
    steps.write_text(steps.read_text().replace(old, new))
    assert {name for name in before if step_digest(name) != before[name]} == changed


def test_a_folder_of_compiled_files_does_not_count(product, step_digest):
    before = step_digest("ingest")
    write(product, {"io/__pycache__/reader.cpython-311.pyc": "x", "pipeline/components/page/x.pyc": "y"})
    assert step_digest("ingest") == before


def load(path: Path, name: str):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


def test_a_step_in_a_user_s_file_depends_on_the_files_beside_it(tmp_path):
    body = "@step\ndef make(*, text: Out[Text]) -> None:\n    import beside\n"
    write(tmp_path, {"mysteps.py": PREAMBLE + body, "beside.py": "A = 1\n"})
    make = load(tmp_path / "mysteps.py", "mysteps").make
    before = CodeReader().step_digest(make)
    (tmp_path / "beside.py").write_text("A = 2\n")
    assert CodeReader().step_digest(make) != before


def test_a_step_in_a_user_s_package_does_not_depend_on_what_the_package_merely_gathers(tmp_path):
    body = "from pack import shared\nfrom .near import x\n@step\ndef make(*, text: Out[Text]) -> None: ...\n"
    files = {
        "pack/__init__.py": "from pack.common import shared\nfrom pack.rest import other\n",
        "pack/common.py": "shared = 1\n",
        "pack/rest.py": "other = 1\n",
        "pack/near.py": "x = 1\n",
        "pack/mysteps.py": PREAMBLE + body,
    }
    write(tmp_path, files)
    sys.path.insert(0, str(tmp_path))
    try:
        make = importlib.import_module("pack.mysteps").make
        digests = {}
        for name in ("", *sorted(files.keys() - {"pack/mysteps.py"})):
            if name:
                (tmp_path / name).write_text(files[name] + "# edited\n")
            digests[name] = CodeReader().step_digest(make)
            if name:
                (tmp_path / name).write_text(files[name])
    finally:
        sys.path.remove(str(tmp_path))
        for module in [name for name in sys.modules if name.split(".")[0] == "pack"]:
            del sys.modules[module]
    changed = {name for name in digests if digests[name] != digests[""]}
    assert changed == {"pack/common.py", "pack/near.py"}


def test_a_step_without_a_file_is_refused():
    space: dict[str, object] = {"__name__": "nowhere"}
    exec(PREAMBLE.replace("from __future__ import annotations", "") +
         "@step\ndef make(*, text: Out[Text]) -> None: ...\n", space)  # fmt: skip
    with pytest.raises(PipelineError, match="not in a file"):
        CodeReader().step_digest(space["make"])


def test_rooms_are_found_without_parsing_every_file(monkeypatch):
    rooms = [path.name for path in (code._PRODUCT_ROOT / "mainstay").iterdir() if (path / "__init__.py").is_file()]
    assert {"core", "io", "metadata", "pipeline"} <= set(rooms)
    quick, reader = CodeReader(), CodeReader()
    found = {room: quick.room(room) for room in rooms}
    monkeypatch.setattr(code, "_may_import_beyond", lambda source, rooms: True)
    assert found == {room: reader.room(room) for room in rooms}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from mainstay.io import read", True),
        ("import mainstay . io", True),
        ("from mainstay import io", True),
        ("import os, mainstay as tf", True),
        ("import mainstay as tf", True),
        ("from ..io import read", True),
        ("from mainstay.core import Error", False),
        ("mainstay.core is the ground", False),
    ],
)
def test_what_may_import_another_room_is_parsed(text, expected):
    assert code._may_import_beyond(text.encode(), {"core"}) == expected


def test_the_real_rooms_are_found(tmp_path):
    assert Path(mainstay.__file__).parent == code._PRODUCT_ROOT / "mainstay"
    (tmp_path / "a.py").write_text("import mainstay.core\n")
    (tmp_path / "b.py").write_text("import mainstay\n")
    assert user_code_digest(tmp_path / "a.py") != user_code_digest(tmp_path / "b.py")
    shutil.rmtree(tmp_path)
