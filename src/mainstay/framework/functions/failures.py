"""What a user sees when a function fails: their own line last, their own error, and no line of ours, Keras or JAX."""

from __future__ import annotations

import contextlib
import linecache
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import jax
import keras

import mainstay
from mainstay.core import MainstayError, ModelError

_HIDDEN = (
    *(str(Path(str(module.__file__)).parent) + "/" for module in (mainstay, jax, keras)),
    str(contextlib.__file__),
)
# XLA begins with the name of a status, whatever the class of the error.
_STATUS = re.compile(r"[A-Z]+(_[A-Z]+)*: ")
_NOISE = ("--------------------\nFor simplicity, JAX",)

_ASKS = {
    jax.errors.TracerBoolConversionError: (
        "a Python bool",
        "let autograph turn the statement into XLA's control flow (`autograph=True`, in a function whose source it can"
        " read), or write `mainstay.ops.where` or `mainstay.ops.cond`",
    ),
    jax.errors.TracerIntegerConversionError: (
        "a Python int",
        "pass it as a Python number if it is known before, or use array operations on it",
    ),
    jax.errors.TracerArrayConversionError: (
        "a NumPy array",
        "use `mainstay.ops` instead of NumPy on it, or return it and convert it outside",
    ),
    jax.errors.ConcretizationTypeError: (
        "a Python value (`float()`, `int()`, `.item()` or a shape)",
        "keep it as an array, or return it and convert it outside",
    ),
}


def explained(error: Exception, name: str, arguments: str) -> Exception:
    """Return the error to raise for one that came out of a function.

    A user's own error is returned as it is, with the traceback cut to the user's lines and a note of the arguments;
    what JAX says of traced values and XLA of a failed run becomes one readable error.

    Args:
        error: What was raised.
        name: The name of the function.
        arguments: The arguments of the call in short.
    """
    shown: Exception = error
    if isinstance(error, jax.errors.UnexpectedTracerError):
        shown = _escaped(error, name)
    elif isinstance(error, tuple(_ASKS)):
        shown = _needs_a_value(error, name)
    elif isinstance(error, (RuntimeError, ValueError)) and "Array has been deleted" in str(error):
        shown = _given_away(error, name)
    elif isinstance(error, RecursionError):
        shown = _endless(error, name)
    elif isinstance(error, (jax.errors.JaxRuntimeError, ValueError, RuntimeError)) and _STATUS.match(str(error)):
        shown = _failed_run(error, name)
    notes = [note for note in getattr(error, "__notes__", []) if not note.startswith(_NOISE)]
    if shown is not error:
        shown.__suppress_context__ = True
    else:
        note = f"in the function {name}({arguments})"
        error.__notes__ = notes if note in notes or isinstance(error, MainstayError) else [*notes, note]
    traceback = error.__traceback__
    if keras.config.is_traceback_filtering_enabled():
        users = _only_users(traceback)
        traceback = users if users is not None or isinstance(shown, MainstayError) else traceback
    shown.__traceback__ = traceback
    return shown


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def is_hidden(filename: str) -> bool:
    """Return whether a file is one of Mainstay, Keras or JAX, whose lines a user need not see."""
    return filename.startswith((*_HIDDEN, "<frozen"))


def _only_users(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback with the user's lines alone; None where there are none."""
    result = None
    for item in reversed([item for item in _frames(traceback) if not is_hidden(item.tb_frame.f_code.co_filename)]):
        result = TracebackType(result, item.tb_frame, item.tb_lasti, item.tb_lineno)
    return result


def user_line(error: BaseException) -> str | None:
    """Return the innermost line of the user that an error went through: ``step.py:12, in step: `if x > 0:` ``."""
    kept = [item for item in _frames(error.__traceback__) if not is_hidden(item.tb_frame.f_code.co_filename)]
    if not kept:
        return None
    code, line = kept[-1].tb_frame.f_code, kept[-1].tb_lineno
    source = linecache.getline(code.co_filename, line, kept[-1].tb_frame.f_globals).strip()
    return f"{code.co_filename}:{line}, in {code.co_name}" + (f": `{source}`" if source else "")


def _needs_a_value(error: Exception, name: str) -> ModelError:
    asked, fix = next(entry for kind, entry in _ASKS.items() if isinstance(error, kind))
    return ModelError(
        f"{asked} is asked of a traced value: inside a function it has a shape and a dtype, and no number yet",
        where=user_line(error) or name,
        received=_first(r"traced array with shape ([^\n]+?)\.?(?:\n|$)", str(error)),
        fix=fix,
    )


def _escaped(error: Exception, name: str) -> ModelError:
    text = str(error)
    created = _first(r"The leaked intermediate value was created on line ([^\n]+)", text)
    return ModelError(
        "a traced value is used after the function that made it is over; it was kept in a list, an attribute or a"
        " global",
        where=user_line(error) or name,
        received=(_first(r"intermediate value with type (\S+)", text) or "a traced value")
        + (f", made at {created.rstrip('. ')}" if created else ""),
        fix="return the value from the function, or assign it to a Variable",
    )


def _endless(error: RecursionError, name: str) -> Exception:
    inline = [
        str(item.tb_frame.f_locals["self"].__name__)
        for item in _frames(error.__traceback__)
        if item.tb_frame.f_code.co_name == "_run_python" and is_hidden(item.tb_frame.f_code.co_filename)
    ]
    if len(inline) < 3:
        return error
    cycle = list(dict.fromkeys(inline[-50:]))
    return ModelError(
        "functions call each other without end while they are traced",
        where=name,
        received=" → ".join([*cycle, cycle[0]]),
        fix="end the recursion on a Python value; a condition on a traced value cannot end it. Use a loop instead",
    )


def _given_away(error: Exception, name: str) -> ModelError:
    return ModelError(
        "an array or a variable has no value any more: it was deleted, or given to a step that failed half-way",
        where=name,
        received=str(error).splitlines()[0],
        fix="load the last checkpoint, or assign the variables anew",
    )


def _failed_run(error: Exception, name: str) -> ModelError:
    text = str(error)
    raised = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Warning)\b.*$", text, re.MULTILINE)
    cause = raised[-1] if "Traceback (most recent call last)" in text and raised else text.strip().splitlines()[0]
    return ModelError(
        f"the compiled function {name} failed while it ran",
        received=cause,
        fix="use a smaller batch or model, or more devices" if "RESOURCE_EXHAUSTED" in text else None,
    )


def _first(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return None if found is None else found[1]
