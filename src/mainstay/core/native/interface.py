"""The version of the C library: a digest of the headers, which declare all that Python may call.

The build reads this file alone, before the package is installed: nothing outside the standard library is imported here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

LIBRARY = "_mainstay.so"
"""The compiled library's file name, on every system."""


def abi_version(folder: Path) -> int:
    """Return the version of the functions that the headers of a folder declare.

    Args:
        folder: The folder of the C files.

    Returns:
        64 bits of a digest: it changes with any header, and not with the body of a function.
    """
    digest = hashlib.sha256()
    for header in sorted(folder.glob("*.h")):
        text = header.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{header.name} {len(text)}\n".encode() + text)
    return int.from_bytes(digest.digest()[:8], "little")
