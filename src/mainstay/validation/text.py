"""Text from data, made harmless for a terminal and for a message."""

from __future__ import annotations


def plain(text: str, limit: int = 200) -> str:
    """Return text with what cannot be printed escaped, cut at `limit` characters."""
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[:limit])
    return shown + "…" if len(text) > limit else shown
