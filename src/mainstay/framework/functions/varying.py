"""Python numbers that change from call to call: with `reduce_retracing` they become traced scalars."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from mainstay.framework.functions.arguments import leaf_paths
from mainstay.framework.functions.structures import Structure, opened, tree


class VaryingNumbers:
    """The Python numbers among the arguments of one function, by path.

    A number is a part of what a program is traced for. One that has a second value becomes an operand of the program;
    where Python needs it as it is, for a shape or a range, it is left alone for good.
    """

    def __init__(self) -> None:
        self._seen: dict[str, Any] = {}
        self._varying: set[str] = set()
        self._needed: set[str] = set()

    def look(self, arguments: OrderedDict[str, Any]) -> None:
        """Take note of the numbers of a call that is about to be traced."""
        inside = opened(arguments)
        for path, leaf in zip(leaf_paths(inside), tree.tree_leaves(inside), strict=True):
            if type(leaf) in (int, float) and path not in self._needed:
                before = self._seen.setdefault(path, leaf)
                if type(before) is type(leaf) and before != leaf:
                    self._varying.add(path)

    def among(self, arguments: OrderedDict[str, Any]) -> set[str]:
        """Return the paths of those numbers in a call that vary."""
        return self._varying.intersection(leaf_paths(opened(arguments))) if self._varying else set()

    def leave(self, paths: set[str]) -> None:
        """Leave numbers as they are from now on."""
        self._needed |= paths
        self._varying -= paths

    def promote(
        self, structure: Structure, operands: list[Any], arguments: OrderedDict[str, Any]
    ) -> tuple[Structure, list[Any]]:
        """Return the structure of a call, and its operands, with the numbers that vary among them."""
        if not self._varying:
            return structure, operands
        places = [
            index
            for index, path in enumerate(leaf_paths(opened(arguments)))
            if path in self._varying and type(structure.leaves[index]) in (int, float)
        ]
        return structure.promote(places, operands)
