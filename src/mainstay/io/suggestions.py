"""What somebody may have meant: the nearest of the names that exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(name: str, names: Iterable[str], otherwise: str) -> str:
    """Return a question with the nearest names, or `otherwise` where none is near."""
    by_lower = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    if not near:
        return otherwise
    return f"did you mean {' or '.join(repr(by_lower[match]) for match in near)}?"
