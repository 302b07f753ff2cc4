"""The error tree is what its drawing says: each class with its own code, under the parent that is drawn."""

import re

from mainstay.core import MainstayError
from mainstay.core import errors as module


def drawn(docstring: str) -> dict[str, tuple[str | None, str | None]]:
    """Each class of the drawing with its parent and its code."""
    tree: dict[str, tuple[str | None, str | None]] = {}
    stack: list[tuple[int, str]] = []
    for line in docstring.splitlines():
        match = re.match(r"^([\s│├└─]*)([A-Z]\w*Error)\b\s*(MS\d{3})?", line)
        if match is None:
            continue
        depth, name, code = len(match[1]), match[2], match[3]
        while stack and stack[-1][0] >= depth:
            stack.pop()
        tree[name] = (stack[-1][1] if stack else None, code)
        stack.append((depth, name))
    return tree


def actual(root: type) -> dict[str, tuple[str | None, str | None]]:
    """Each class under `root` with its parent and its code."""
    tree: dict[str, tuple[str | None, str | None]] = {root.__name__: (None, None)}
    pending = [root]
    while pending:
        parent = pending.pop()
        for child in parent.__subclasses__():
            tree[child.__name__] = (parent.__name__, child.__dict__.get("code"))
            pending.append(child)
    return tree


def repeated_codes(tree: dict[str, tuple[str | None, str | None]]) -> list[str]:
    codes = [code for parent, code in tree.values() if parent is not None]
    return sorted({str(code) for code in codes if codes.count(code) > 1 or code is None})


def test_the_drawing_shows_every_class_with_its_parent_and_code() -> None:
    assert drawn(module.__doc__ or "") == {
        name: entry for name, entry in actual(MainstayError).items() if hasattr(module, name)
    }


def test_every_error_of_the_product_is_in_the_tree_module() -> None:
    outside = [name for name in actual(MainstayError) if not hasattr(module, name)]
    assert outside == []


def test_no_two_errors_share_a_code() -> None:
    assert repeated_codes(actual(MainstayError)) == []


def test_a_repeated_a_missing_and_an_undrawn_error_are_found() -> None:
    class RootError(Exception):
        pass

    class FirstError(RootError):
        code = "MS1"

    class SecondError(RootError):
        code = "MS1"

    class ThirdError(FirstError):
        pass

    assert actual(RootError) == {
        "RootError": (None, None),
        "FirstError": ("RootError", "MS1"),
        "SecondError": ("RootError", "MS1"),
        "ThirdError": ("FirstError", None),
    }
    assert repeated_codes(actual(RootError)) == ["MS1", "None"]
    assert drawn("RootError\n├── AError  MS100  x\n│   └── BError  MS110\n└── CError  MS200") == {
        "RootError": (None, None),
        "AError": ("RootError", "MS100"),
        "BError": ("AError", "MS110"),
        "CError": ("RootError", "MS200"),
    }
