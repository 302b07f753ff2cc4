"""The page on plain ops says what the code does.

python -m pytest tests/saved_model/plain_ops/test_coverage.py     # fails where the page is out of date
WRITE_PAGES=1 python -m pytest ...                                 # and writes it anew
"""

import os
from pathlib import Path

from mainstay.saved_model.graphs.definitions import definition
from mainstay.saved_model.plain_ops.coverage import shape_ops, table, themes
from mainstay.saved_model.plain_ops.programs import supported_primitives

HEAD = "Every group may also use "


def test_the_page_has_the_table_that_the_code_gives(repository: Path) -> None:
    page = repository / "docs/formats/plain-ops.md"
    text = page.read_text()
    start = text.index(HEAD) + len(HEAD)
    made = text[:start] + ", ".join(f"`{op}`" for op in shape_ops()) + ".\n\n" + table()
    if os.environ.get("WRITE_PAGES"):
        page.write_text(made)
    assert text == made


def test_every_primitive_belongs_to_one_theme() -> None:
    listed = [name for theme in themes() for name in theme.primitives]
    assert sorted(listed) == list(supported_primitives())


def test_every_op_of_the_table_is_one_of_tensorflow() -> None:
    assert [op for theme in themes() for op in theme.ops if definition(op) is None] == []
    assert "Reshape" in shape_ops()
