"""The one error tree: what went wrong, where, what was expected, what was received and how to fix it.

::

    MainstayError
    ├── InputError            MS100  something that was handed in is wrong
    │   ├── ArgumentError     MS110  an argument or a command line option
    │   ├── DataError         MS120  a data file, a column or a row
    │   │   └── RecordDamageError MS121  records that are damaged or cut off, which a reader may leave out and count
    │   ├── SchemaError       MS130  a schema, or data that a schema refuses outright
    │   ├── TransformError    MS140  a preprocessing function or a host graph
    │   ├── ModelError        MS150  a model that cannot be built, trained or exported
    │   └── RequestError      MS160  a request to a served model
    │       ├── NotFoundError MS161  what it asks for does not exist
    │       ├── PreconditionError MS162  what it asks for cannot be done as things stand
    │       ├── UnauthenticatedError MS163  it does not say who asks, or not credibly
    │       ├── PermissionDeniedError MS164  who asks may not
    │       └── UnsupportedError MS165  an operation that is not there
    ├── ArtifactError         MS200  a saved model is refused
    │   ├── IntegrityError    MS210  a file is missing, added, truncated or edited
    │   ├── FormatError       MS220  an unknown version, key or encoding
    │   ├── ParityError       MS230  the sealed golden answers are not reproduced
    │   └── SignatureError    MS240  no trusted key vouches for it
    ├── StorageError          MS300  the file system refused: permission, space, path
    ├── PipelineError         MS400  a step or a pipeline
    ├── MetadataError         MS410  the lineage store
    ├── SetupError            MS500  the environment: wrong backend, missing extra, port in use
    └── UnavailableError      MS600  a server that cannot take the request now
        ├── OverloadError     MS610  a quota or a limit is used up
        ├── DeadlineError     MS620  the time that a request was given is over
        └── ServerError       MS630  a server that failed at a request, or answered what is no answer

Codes are stable: scripts may match on them, and a code is never given a second meaning.
"""

from __future__ import annotations

from typing import Any, ClassVar


def _shorten(value: object, limit: int = 500) -> str:
    """Return ``str(value)``, cut in the middle so that a hostile value cannot flood a terminal."""
    text = str(value)
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … {text[-half:]} ({len(text):,} characters)"


class MainstayError(Exception):
    """The root of every error that Mainstay raises on purpose.

    Args:
        summary: One sentence: what is wrong.
        where: The place: a path with a line, a JSON path such as ``$.instances[3].fare``, a version.
        expected: What would have been right.
        received: What was there instead.
        fix: What to do about it, as an imperative.

    The parts stay readable as attributes, so that a server can put `where` into its answer without
    parsing text.
    """

    code: ClassVar[str] = "MS000"

    def __init__(
        self,
        summary: str,
        *,
        where: object = None,
        expected: object = None,
        received: object = None,
        fix: object = None,
    ) -> None:
        self.summary = summary
        self.where = None if where is None else str(where)
        self.expected = None if expected is None else _shorten(expected)
        self.received = None if received is None else _shorten(received)
        self.fix = None if fix is None else str(fix)
        super().__init__(self._text())

    def _text(self) -> str:
        head = self.summary if self.where is None else f"{self.where}: {self.summary}"
        parts = {"expected": self.expected, "received": self.received, "fix": self.fix}
        return "\n".join([head] + [f"  {name}: {value}" for name, value in parts.items() if value is not None])

    def one_line(self) -> str:
        """Return the whole message on one line, as an HTTP error body or a log record wants it."""
        return "; ".join(line.strip() for line in str(self).splitlines())

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.summary, self.where, self.expected, self.received, self.fix))


def _rebuild(cls: type[MainstayError], summary: str, *parts: str | None) -> MainstayError:
    """Make an error again on the other side of a process boundary."""
    return cls(summary, **dict(zip(("where", "expected", "received", "fix"), parts, strict=True)))


class InputError(MainstayError):
    """Something that a user handed in is wrong."""

    code = "MS100"


class ArgumentError(InputError):
    """An argument of a function or an option of a command is wrong."""

    code = "MS110"


class DataError(InputError):
    """A data file, a column or a row is wrong."""

    code = "MS120"


class RecordDamageError(DataError):
    """Records are damaged or cut off; a reader may leave them out and count them."""

    code = "MS121"


class SchemaError(InputError):
    """A schema is wrong, or data contradicts it in a way that cannot be a mere anomaly."""

    code = "MS130"


class TransformError(InputError):
    """A preprocessing function or a host graph is wrong."""

    code = "MS140"


class ModelError(InputError):
    """A model cannot be built, trained or exported."""

    code = "MS150"


class RequestError(InputError):
    """A request to a served model is wrong; `where` is the path of the fault inside its body."""

    code = "MS160"


class NotFoundError(RequestError):
    """What a request asks for, such as a model or a version, does not exist."""

    code = "MS161"


class PreconditionError(RequestError):
    """What a request asks for cannot be done as things stand."""

    code = "MS162"


class UnauthenticatedError(RequestError):
    """A request does not say who asks, or not credibly."""

    code = "MS163"


class PermissionDeniedError(RequestError):
    """Who asks may not."""

    code = "MS164"


class UnsupportedError(RequestError):
    """A request asks for an operation that is not there."""

    code = "MS165"


class ArtifactError(MainstayError):
    """A saved model is refused."""

    code = "MS200"


class IntegrityError(ArtifactError):
    """A file of a saved model is missing, added, truncated or edited."""

    code = "MS210"


class FormatError(ArtifactError):
    """A file of a saved model has an unknown version, key or encoding."""

    code = "MS220"


class ParityError(ArtifactError):
    """A saved model does not reproduce its sealed golden answers."""

    code = "MS230"


class SignatureError(ArtifactError):
    """No trusted key vouches for a saved model."""

    code = "MS240"


class StorageError(MainstayError):
    """The file system refused: no permission, no space, no such place."""

    code = "MS300"


class PipelineError(MainstayError):
    """A pipeline is wired wrongly or one of its steps failed."""

    code = "MS400"


class MetadataError(MainstayError):
    """The lineage store cannot be read or written as asked."""

    code = "MS410"


class SetupError(MainstayError):
    """The environment is wrong: another Keras backend, a missing extra, a port in use."""

    code = "MS500"


class UnavailableError(MainstayError):
    """A server cannot take the request now; trying again later may work.

    Attributes:
        retry_after: After how many seconds that is, where the server knows; to be set by who raises it.
    """

    code = "MS600"
    retry_after: float | None = None


class OverloadError(UnavailableError):
    """A quota or a limit of a server is used up; trying again later works."""

    code = "MS610"


class DeadlineError(UnavailableError):
    """The time that a request was given is over."""

    code = "MS620"


class ServerError(UnavailableError):
    """A server failed at a request, or what it answered is no answer."""

    code = "MS630"
