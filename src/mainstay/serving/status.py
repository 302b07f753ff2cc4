"""Canonical status codes: their numbers in gRPC, their HTTP statuses as TF Serving has them, and of which errors."""

from __future__ import annotations

import enum
import logging

from mainstay.core import (
    DeadlineError,
    InputError,
    MainstayError,
    NotFoundError,
    OverloadError,
    PermissionDeniedError,
    PreconditionError,
    RequestError,
    ServerError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
)

logger = logging.getLogger("mainstay.serving")


class Code(enum.Enum):
    """A canonical status code; its value is gRPC's number."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @property
    def http(self) -> int:
        """The HTTP status that TF Serving gives it."""
        return _HTTP[self.value]


_HTTP = (200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401)

# Looked through in order: a class before those that it derives from.
_CODES: tuple[tuple[type[BaseException], Code], ...] = (
    (NotFoundError, Code.NOT_FOUND),
    (PreconditionError, Code.FAILED_PRECONDITION),
    (UnauthenticatedError, Code.UNAUTHENTICATED),
    (PermissionDeniedError, Code.PERMISSION_DENIED),
    (UnsupportedError, Code.UNIMPLEMENTED),
    (InputError, Code.INVALID_ARGUMENT),
    (OverloadError, Code.RESOURCE_EXHAUSTED),
    (DeadlineError, Code.DEADLINE_EXCEEDED),
    (ServerError, Code.INTERNAL),
    (UnavailableError, Code.UNAVAILABLE),
)

_ERRORS: dict[Code, type[MainstayError]] = {
    Code.INVALID_ARGUMENT: RequestError,
    Code.OUT_OF_RANGE: RequestError,
    Code.NOT_FOUND: NotFoundError,
    Code.FAILED_PRECONDITION: PreconditionError,
    Code.UNAUTHENTICATED: UnauthenticatedError,
    Code.PERMISSION_DENIED: PermissionDeniedError,
    Code.UNIMPLEMENTED: UnsupportedError,
    Code.RESOURCE_EXHAUSTED: OverloadError,
    Code.DEADLINE_EXCEEDED: DeadlineError,
    Code.UNAVAILABLE: UnavailableError,
}


def code_of(error: BaseException) -> Code:
    """Return the status of a request that ended in `error`; anything unexpected is INTERNAL."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Code.INTERNAL)


def status_of(error: BaseException) -> tuple[Code, str]:
    """Return the status and the message for a request that ended in `error`; an unexpected one is logged."""
    code = code_of(error)
    if code is Code.INTERNAL:
        logger.error("a request failed inside the model", exc_info=error)
    if isinstance(error, MainstayError):
        return code, message_of(error)
    return code, f"{type(error).__name__}: {error}"


def message_of(error: MainstayError) -> str:
    """Return an error as one line: summary, then place with expectation and what was received, then the fix."""
    found = ", ".join(
        f"{word} {value}" for word, value in (("expected", error.expected), ("received", error.received)) if value
    )
    place = ": ".join(part for part in (error.where, found) if part)
    return " ".join("; ".join(part for part in (error.summary, place, error.fix) if part).splitlines())


def error_of(code: Code, message: str, where: str | None = None) -> MainstayError:
    """Return the error that a client raises for a status that a server gave."""
    return _ERRORS.get(code, ServerError)(message, where=where)
