"""Answers: canonical status codes, their HTTP numbers, and the error body `{"error": "..."}` that TF Serving writes."""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass

import orjson

from mainstay.core import InputError, MainstayError, UnavailableError

logger = logging.getLogger("mainstay.serving")


class Code(enum.Enum):
    """A canonical status code with the HTTP status that TF Serving gives it."""

    OK = 200
    INVALID_ARGUMENT = 400
    NOT_FOUND = 404
    INTERNAL = 500
    UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer to a request.

    Args:
        status: The HTTP status.
        body: JSON text.
        allow: The methods that the resource knows, for an answer 405.
    """

    status: int
    body: bytes
    allow: str = ""


def refusal(code: Code | int, message: str, *, allow: str = "") -> Answer:
    """Return the answer that refuses a request with TF Serving's error body."""
    status = code.value if isinstance(code, Code) else code
    # A message may quote bytes that are no text; the answer has to be JSON all the same.
    text = message.encode("utf-8", "replace").decode("utf-8", "replace")
    return Answer(status, orjson.dumps({"error": text}), allow)


def refusal_of(error: BaseException) -> Answer:
    """Return the answer to a request that ended in `error`; an unexpected one is logged with its traceback."""
    if isinstance(error, InputError):
        return refusal(Code.INVALID_ARGUMENT, message_of(error))
    if isinstance(error, UnavailableError):
        return refusal(Code.UNAVAILABLE, message_of(error))
    logger.error("a request failed inside the model", exc_info=error)
    detail = message_of(error) if isinstance(error, MainstayError) else f"{type(error).__name__}: {error}"
    return refusal(Code.INTERNAL, detail)


def message_of(error: MainstayError) -> str:
    """Return an error as one line: summary, then place with expectation and what was received, then the fix."""
    found = ", ".join(
        f"{word} {value}" for word, value in (("expected", error.expected), ("received", error.received)) if value
    )
    place = ": ".join(part for part in (error.where, found) if part)
    return " ".join("; ".join(part for part in (error.summary, place, error.fix) if part).split("\n"))
