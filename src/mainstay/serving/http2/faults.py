"""What a client does so wrong that its connection cannot go on."""

from __future__ import annotations

from mainstay.serving.http2.frames import ErrorCode


class ConnectionFaultError(Exception):
    """The connection cannot go on: the client is told why with GOAWAY, and it is closed. Nobody else ever sees it.

    Args:
        code: What the client is told.
        reason: The same in words.
    """

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.error_code = code
        self.reason = reason
