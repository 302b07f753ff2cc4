"""The wire between a parent and a worker: requests and replies, both ways, over a private pair of sockets.

A message is its head's size and its payload's size, four bytes each, then the head as JSON, then the payload.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from mainstay import core
from mainstay.core import MainstayError, UnavailableError
from mainstay.serving.status import logger

Serve: TypeAlias = Callable[[str, bytes], Awaitable[bytes]]
"""Answers a request: its operation and its payload; what it raises is raised on the other side."""

_SIZES = struct.Struct(">II")
_MOST_HEAD_BYTES = 1 << 20
_MOST_PAYLOAD_BYTES = 64 << 20
_PARTS = ("summary", "where", "expected", "received", "fix")


class Wire(asyncio.Protocol):
    """One end of the wire.

    All methods are called on the event loop.

    Args:
        serve: Answers the other side's requests.
        on_closed: Called once when the other side is gone, or has sent what is no message.
    """

    def __init__(self, serve: Serve, on_closed: Callable[[], None]) -> None:
        self._serve = serve
        self._on_closed = on_closed
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def open(self) -> bool:
        """Whether the other side is there."""
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; called by the event loop."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """End: nobody answers what is still asked."""
        self._transport = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(UnavailableError("the process is gone that was asked"))
        self._waiting.clear()
        self._on_closed()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    async def request(self, operation: str, payload: bytes = b"", *, seconds: float | None = None) -> bytes:
        """Ask the other side.

        Args:
            operation: What for.
            payload: What it needs.
            seconds: How long to wait; None for as long as the other side is there.

        Returns:
            The payload of the reply.

        Raises:
            UnavailableError: The other side is gone, or did not answer in time.
            MainstayError: What the other side raised.
        """
        if self._transport is None:
            raise UnavailableError("the process is gone that was asked")
        self._number += 1
        number = self._number
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._send({"request": number, "operation": operation}, payload)
        try:
            return await asyncio.wait_for(waiting, seconds)
        except TimeoutError:
            raise UnavailableError(f"no answer to {operation!r} within {seconds:g} seconds") from None
        finally:
            self._waiting.pop(number, None)

    def _send(self, head: dict[str, Any], payload: bytes) -> None:
        if self._transport is not None:
            text = json.dumps(head).encode()
            self._transport.write(_SIZES.pack(len(text), len(payload)) + text + payload)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._buffer += data
        while len(self._buffer) >= _SIZES.size:
            head_size, payload_size = _SIZES.unpack_from(self._buffer)
            if head_size > _MOST_HEAD_BYTES or payload_size > _MOST_PAYLOAD_BYTES:
                return self._fail("a message is too large")
            end = _SIZES.size + head_size + payload_size
            if len(self._buffer) < end:
                return None
            head = bytes(self._buffer[_SIZES.size : _SIZES.size + head_size])
            payload = bytes(self._buffer[_SIZES.size + head_size : end])
            del self._buffer[:end]
            try:
                self._take(json.loads(head), payload)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                return self._fail("a message cannot be read")
        return None

    def _fail(self, reason: str) -> None:
        logger.error("the control plane is hung up: %s", reason)
        self._buffer.clear()
        if self._transport is not None:
            self._transport.abort()

    def _take(self, head: dict[str, Any], payload: bytes) -> None:
        if "reply" in head:
            waiting = self._waiting.get(head["reply"])
            if waiting is None or waiting.done():
                return  # nobody waits any more
            if "error" in head:
                waiting.set_exception(_error_of(head["error"]))
            else:
                waiting.set_result(payload)
            return
        task = asyncio.ensure_future(self._answer(int(head["request"]), str(head["operation"]), payload))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, operation: str, payload: bytes) -> None:
        try:
            reply = await self._serve(operation, payload)
        except MainstayError as error:
            self._send({"reply": number, "error": _parts_of(error)}, b"")
        except Exception as error:
            logger.exception("a request of the control plane failed: %s", operation)
            self._send({"reply": number, "error": {"summary": f"{type(error).__name__}: {error}"}}, b"")
        else:
            self._send({"reply": number}, reply)


def _parts_of(error: MainstayError) -> dict[str, Any]:
    return {"kind": type(error).__name__, **{name: getattr(error, name) for name in _PARTS}}


def _error_of(parts: dict[str, Any]) -> MainstayError:
    kind = getattr(core, str(parts.get("kind", "")), None)
    if not (isinstance(kind, type) and issubclass(kind, MainstayError)):
        kind = MainstayError
    return kind(str(parts["summary"]), **{name: parts.get(name) for name in _PARTS[1:]})
