"""The messages of TensorFlow's data files, under their names of ``tf.train``: `Example` and `SequenceExample`.

They are protobuf classes of a pool of their own: they stand beside TensorFlow's, and are exchanged with it as bytes.

>>> from mainstay.io import train
>>> age = train.Feature(int64_list=train.Int64List(value=[31]))
>>> train.Example(features=train.Features(feature={"age": age})).SerializeToString().hex()
'0a0e0a0c0a0361676512051a030a011f'
"""

from __future__ import annotations

from typing import Any

from mainstay import _absence
from mainstay.core import message_class

__all__ = [
    "BytesList",
    "Example",
    "Feature",
    "FeatureList",
    "FeatureLists",
    "Features",
    "FloatList",
    "Int64List",
    "SequenceExample",
]

# Made when they are first asked for: `import mainstay.io` loads no protobuf.
BytesList: Any
Example: Any
Feature: Any
FeatureList: Any
FeatureLists: Any
Features: Any
FloatList: Any
Int64List: Any
SequenceExample: Any


def __getattr__(name: str) -> Any:
    if name in __all__:
        return message_class(f"tensorflow.{name}")
    raise AttributeError(_absence(name, "train."), name=name)


def __dir__() -> list[str]:
    return __all__
