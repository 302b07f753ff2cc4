"""Structures are walked in one canonical order."""

from collections import namedtuple

import pytest

from mainstay.core import ArgumentError
from mainstay.data.structures import describe, flatten, leaf_names, map_structure, pack, skeleton_of

Point = namedtuple("Point", ["x", "y"])


def test_leaves_come_by_sorted_keys_whatever_the_order_of_a_dict() -> None:
    assert flatten({"b": 1, "a": (2, [3])}) == flatten({"a": (2, [3]), "b": 1}) == [2, [3], 1]


def test_a_structure_is_put_together_again_with_its_own_order_of_keys() -> None:
    structure = {"b": Point(1, None), "a": (2,), "c": {}}
    again = pack(skeleton_of(structure), flatten(structure))
    assert again == structure
    assert list(again) == ["b", "a", "c"]
    assert isinstance(again["b"], Point)


def test_skeletons_tell_structures_apart() -> None:
    assert skeleton_of((1,)) != skeleton_of(1)
    assert skeleton_of({"a": 1}) == skeleton_of({"a": "x"})
    assert skeleton_of((1, 2)) != skeleton_of({"a": 1, "b": 2})


def test_mapping_over_two_structures_wants_them_alike() -> None:
    assert map_structure(lambda a, b: a + b, {"a": 1, "b": 2}, {"b": 20, "a": 10}) == {"a": 11, "b": 22}
    with pytest.raises(ArgumentError, match="differ"):
        map_structure(max, (1, 2), (1,))


def test_leaves_are_named_by_their_path() -> None:
    assert leaf_names(({"age": 1}, 2)) == ["[0]['age']", "[1]"]
    assert leaf_names(5) == ["element"]
    assert describe(({"a": 1}, None, (b"x",))) == "({'a': int}, None, (bytes,))"
