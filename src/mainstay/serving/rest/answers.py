"""Answers of the REST interface, and the error body `{"error": "..."}` that TF Serving writes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import orjson

from mainstay.serving.status import Code, status_of

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer to a request.

    Args:
        status: The HTTP status.
        body: What is answered.
        headers: Header lines beyond the usual ones, by lower-case name.
        content_type: What the body is.
    """

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = JSON


def refusal(code: Code | int, message: str, *, allow: str = "") -> Answer:
    """Return the answer that refuses a request with TF Serving's error body.

    Args:
        code: A canonical code, or an HTTP status that has none.
        message: What is wrong.
        allow: The methods that the resource knows, for an answer 405.
    """
    status = code.http if isinstance(code, Code) else code
    # A message may quote bytes that are no text; the answer has to be JSON all the same.
    text = message.encode("utf-8", "replace").decode("utf-8", "replace")
    return Answer(status, orjson.dumps({"error": text}), (("allow", allow),) if allow else ())


def refusal_of(error: BaseException) -> Answer:
    """Return the answer to a request that ended in `error`; an unexpected one is logged with its traceback."""
    return refusal_with(*status_of(error), error)


def refusal_with(code: Code, message: str, error: BaseException | None = None) -> Answer:
    """Return the answer to a request that ended with a status.

    Args:
        code: The status.
        message: What is wrong.
        error: What it ended in, which may say when to come back.
    """
    answer = refusal(code, message)
    if answer.status == 401:
        return Answer(answer.status, answer.body, (("www-authenticate", 'Bearer realm="mainstay"'),))
    if answer.status not in (429, 503):
        return answer
    # Whoever is turned away for want of room is told to come back, and not at once.
    wait = getattr(error, "retry_after", None) or 1.0
    return Answer(answer.status, answer.body, (("retry-after", str(math.ceil(wait))),))
