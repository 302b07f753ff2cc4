from pathlib import Path
from typing import TypeVar

from typing_extensions import TypeAliasType

_Kind = TypeVar("_Kind")

In = TypeAliasType("In", Path, type_params=(_Kind,))
InList = TypeAliasType("InList", tuple[Path, ...], type_params=(_Kind,))
Out = TypeAliasType("Out", Path, type_params=(_Kind,))
