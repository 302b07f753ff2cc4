"""Where an export failed: the innermost line of the user's code, and the layer that was being called."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

import jax

_PACKAGES = ("mainstay", "keras", "numpy")


def culprit(error: BaseException) -> str | None:
    """Return where a function went wrong while it was traced: ``layer dense_1, model.py:12, in call: `if x > 0:` ``.

    Args:
        error: What the trace raised.

    Returns:
        The layer and the line, one of them, or None where neither is known.
    """
    frames = [frame for link in _links(error) for frame in _frames(link.__traceback__)]
    hidden = _hidden()
    lines = [item for item in frames if not item[0].f_code.co_filename.startswith(hidden)]
    layers = [name for frame, _ in frames if (name := _layer(frame)) is not None]
    parts = [f"layer {layers[-1]}"] if layers else []
    if lines:
        frame, line = lines[-1]
        source = linecache.getline(frame.f_code.co_filename, line, frame.f_globals).strip()
        place = f"{frame.f_code.co_filename}:{line}, in {frame.f_code.co_name}"
        parts.append(place + (f": `{source}`" if source else ""))
    return ", ".join(parts) or None


def _links(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that led to one, the first cause last."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _frames(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _hidden() -> tuple[str, ...]:
    """Return the beginnings of the paths of code that is not the user's."""
    found = [getattr(sys.modules.get(name), "__file__", None) for name in _PACKAGES]
    folders = [str(Path(file).parent) for file in (*found, jax.__file__, linecache.__file__) if file]
    return (
        *(f"{folder}/" for folder in folders if "site-packages" in folder or "mainstay" in folder),
        "<",
        folders[-1],
    )


def _layer(frame: FrameType) -> str | None:
    """Return the name of the layer whose method a frame runs, if it is one of Keras' or like them."""
    owner = frame.f_locals.get("self")
    if hasattr(type(owner), "stateless_call") and hasattr(type(owner), "call") and not hasattr(type(owner), "fit"):
        return str(getattr(owner, "path", None) or getattr(owner, "name", type(owner).__name__))
    return None
