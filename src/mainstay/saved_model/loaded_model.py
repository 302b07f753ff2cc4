"""Loaded models: what `load` returns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mainstay.saved_model.loaded_functions import LoadedFunction, LoadedVariable, called, children
from mainstay.saved_model.loaded_signature import LoadedSignature
from mainstay.saved_model.manifest import Manifest

ELSEWHERE = 1e-2
"""The least tolerance on a platform other than the one that the answers were sealed on."""


class LoadedModel:
    """A verified model in memory.

    It is made by `load`. The functions of a saved module are attributes again, where the module had them, and so are
    its variables.

    Attributes:
        path: The artifact.
        signatures: Its functions by name.
        functions: The functions of the saved module by their dotted path.
        variables: The variables of the saved object, in order.
        manifest: What the artifact says about itself.
        assets: The paths of the files in ``assets/``, by name.
        sidecars: The content of its further files by name, such as ``schema.pbtxt``.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        *,
        signatures: Mapping[str, LoadedSignature],
        functions: Mapping[str, LoadedFunction],
        variables: tuple[LoadedVariable, ...],
        sidecars: Mapping[str, bytes],
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.signatures = signatures
        self.functions = functions
        self.variables = variables
        self.assets: Mapping[str, Path] = {name: path / "assets" / name for name in manifest.assets}
        self.sidecars = sidecars
        leaves: dict[tuple[str, ...], Any] = {tuple(item.name.split("/")): item for item in variables}
        leaves |= {tuple(name.split(".")): function for name, function in functions.items()}
        self._parts = children("", leaves)

    def __getattr__(self, name: str) -> Any:
        found = self.__dict__.get("_parts", {}).get(name)
        if found is None:
            raise AttributeError(f"the saved model has neither a function nor a variable {name}")
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the ``__call__`` of the saved module.

        Raises:
            TypeError: It had none with an input signature.
        """
        return called("the saved module", self._parts)(*args, **kwargs)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parts]

    def tolerance(self, signature: str) -> float:
        """Return how far an answer may be from its sealed one, relative to ``max(1, |answer|)``.

        It is what the manifest states on the platform where the answers were sealed. Accelerators round matrix
        products to fewer bits, so elsewhere it is at least 1e-2.
        """
        entry = self.manifest.signatures[signature]
        if not entry.programs:
            return entry.tolerance
        from mainstay.saved_model.executables import platform

        return entry.tolerance if platform() == self.manifest.sealed_on else max(entry.tolerance, ELSEWHERE)

    def __repr__(self) -> str:
        return f"LoadedModel({str(self.path)!r}, signatures={sorted(self.signatures)})"
