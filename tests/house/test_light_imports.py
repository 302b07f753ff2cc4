"""What is imported stays light: a server never pays for Keras, and the bare package pays for nothing."""

import subprocess
import sys
from pathlib import Path

KERAS_FREE = ("saved_model", "registry", "monitoring", "serving")


def loaded(statement: str, watched: tuple[str, ...]) -> list[str]:
    """Which of the watched packages a fresh interpreter holds after the statement."""
    code = f"import sys\n{statement}\nprint(*[name for name in {watched!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_serving_and_its_neighbours_import_no_keras(source: Path) -> None:
    rooms = [room for room in KERAS_FREE if (source / room / "__init__.py").exists()]
    assert "serving" in rooms
    statement = "\n".join(f"import mainstay.{room}" for room in rooms)
    assert loaded(statement, ("keras", "tensorflow", "torch")) == []


def test_the_bare_package_imports_nothing_heavy() -> None:
    assert loaded("import mainstay", ("jax", "keras", "numpy", "pyarrow", "sqlalchemy", "rich")) == []


def test_a_name_that_is_not_there_costs_no_engine() -> None:
    assert loaded("import mainstay\nhasattr(mainstay, 'reduce_mean')", ("jax", "keras", "numpy")) == []


def test_the_command_line_starts_without_an_engine(source: Path) -> None:
    assert loaded("import mainstay.cli", ("jax", "keras", "sqlalchemy")) == []


def test_a_heavy_import_is_found() -> None:
    assert loaded("import numpy", ("jax", "numpy")) == ["numpy"]
