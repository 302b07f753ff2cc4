"""The build hook: compiles the C library when Mainstay is installed, and goes on without it where it cannot."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeLibraryHook(BuildHookInterface):
    """Adds the compiled library to a wheel and gives the wheel its platform's tag."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before files are collected; a failure is one line of warning, and the wheel is a pure one."""
        if self.target_name != "wheel":
            return
        sys.path.insert(0, str(Path(self.root) / "tools"))
        from build_native import FOLDER, BuildError, build

        try:
            library = build()
        except (BuildError, OSError) as error:
            # A library of older sources must not be taken for this version's.
            (FOLDER / "_mainstay.so").unlink(missing_ok=True)
            reason = " ".join(str(error).split())
            self.app.display_warning(f"The C library was not built; NumPy serves in its place: {reason}")
            return
        finally:
            sys.path.pop(0)
        if version != "editable":
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["artifacts"].append(f"/{library.relative_to(self.root).as_posix()}")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform}"
