"""The server's own log as JSON: a line for each record, for programs that collect logs."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import orjson

from mainstay.core import MainstayError

LOG_FORMATS = ("text", "json")
_MOST_TEXT = 16384


class JsonFormatter(logging.Formatter):
    """Formats log records as JSON: ``time``, ``level``, ``logger``, ``message`` and, of an exception, its parts.

    >>> record = logging.LogRecord("mainstay", logging.INFO, "", 0, "served %d", (3,), None)
    >>> orjson.loads(JsonFormatter().format(record))["message"]
    'served 3'
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, without its end."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _text(record.getMessage()),
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields["error"] = type(error).__name__
            if isinstance(error, MainstayError):
                fields["code"] = error.code
            fields["traceback"] = _text(self.formatException(record.exc_info))  # type: ignore[arg-type]
        return orjson.dumps(fields).decode()


def _text(text: str) -> str:
    return text[:_MOST_TEXT].encode("utf-8", "replace").decode()
