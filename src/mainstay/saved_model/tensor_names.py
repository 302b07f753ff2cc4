"""Names of tensors and the keys under which `variables/` stores them: TensorFlow's checkpoint keys.

A name is a path such as ``encoder/dense/kernel``. TensorFlow finds a variable by the path of attributes that leads to
it, with a suffix that says that this is its value: the same path, so that the tensor is stored once for both worlds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from mainstay.core import FormatError

_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"

Entry = TypeVar("Entry")


def checkpoint_key(name: str) -> str:
    """Return the key of a tensor.

    Example:
        >>> checkpoint_key("encoder/conv1.0/kernel")
        'encoder/conv1..0/kernel/.ATTRIBUTES/VARIABLE_VALUE'
    """
    return name.replace(".", "..") + _SUFFIX


def tensor_name(key: str) -> str:
    """Return the name of the tensor of a key; one without the suffix, as format version 1 has them, is the name itself.

    Example:
        >>> tensor_name("encoder/conv1..0/kernel/.ATTRIBUTES/VARIABLE_VALUE")
        'encoder/conv1.0/kernel'
    """
    return key.removesuffix(_SUFFIX).replace("..", ".") if key.endswith(_SUFFIX) else key


def by_name(index: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the entries of a bundle by the names of their tensors.

    Raises:
        FormatError: Two keys have one name.
    """
    named = {tensor_name(key): entry for key, entry in index.items()}
    if len(named) != len(index):
        raise FormatError(
            "two tensors of the weights have one name", expected=f"{len(index)} names", received=len(named)
        )
    return named
