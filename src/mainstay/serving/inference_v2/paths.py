"""The protocol's REST paths: ``/v2``, its health, its models and their inferences."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson

from mainstay.core import RequestError, UnavailableError
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.calls import Call, priority_of
from mainstay.serving.engine import Engine
from mainstay.serving.inference_v2.infer import (
    InferRequest,
    apply_parameters,
    check_outputs,
    chunk_of,
    find,
    version_of,
)
from mainstay.serving.inference_v2.json_answers import inference, model_metadata, server_metadata
from mainstay.serving.inference_v2.json_request import read_raw, read_request
from mainstay.serving.models.snapshot import Servable
from mainstay.serving.operations.pages import begin_page, finish_page
from mainstay.serving.rest.answers import Answer, refusal, refusal_with
from mainstay.serving.rest.interface import Exchange
from mainstay.serving.status import Code, status_of

_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(/ready|/infer)?/?")
_SIZE_HEADER = b"inference-header-content-length"
_READ_METHODS = ("GET", "HEAD")
_BINARY = "application/octet-stream"
_MOST_TEXT = 256 << 10
_TIMED_OUT = "Deadline Exceeded"
_PLAIN_NAMES = {"/v2": "ServerMetadata", "/v2/health/live": "ServerLive", "/v2/health/ready": "ServerReady"}


class _Route(NamedTuple):
    """What a path asks of a model."""

    model: str
    version: str
    action: str


class InferencePaths:
    """Answers the REST paths of the Open Inference Protocol; see `rest.interface.PathInterface`.

    Args:
        engine: What runs the models.
        timeout_seconds: How long an inference may wait for its answer; 0 for ever.
    """

    def __init__(self, engine: Engine, *, timeout_seconds: float = 0.0) -> None:
        self._engine = engine
        self._timeout_seconds = timeout_seconds
        self._plain: dict[str, Callable[[], Answer]] = {
            "/v2": lambda: _answer(server_metadata()),
            "/v2/health/live": lambda: _answer({"live": True}),
            "/v2/health/ready": self._readiness,
        }

    def handle(self, exchange: Exchange) -> bool:
        """Answer a request, now or when its batch has run; False where the path is none of the protocol."""
        path = exchange.target.partition("?")[0]
        if path != "/v2" and not path.startswith("/v2/"):
            return False
        method, plain = exchange.method, self._plain.get(path.rstrip("/"))
        found = _PATH.fullmatch(path)
        if plain is None and found is None:
            _reply(exchange, refusal(Code.NOT_FOUND, f"Not found: {path}"))
            return True
        wanted = ("POST",) if found is not None and found[3] == "/infer" else _READ_METHODS
        if method not in wanted:
            _reply(exchange, refusal(405, f"Method not allowed: {method} {path}", allow=", ".join(wanted)))
        elif plain is not None:
            self._tell(exchange, _PLAIN_NAMES[path.rstrip("/")], plain)
        elif found is not None:
            self._ask(exchange, _Route(unquote(found[1]), unquote(found[2] or ""), found[3] or ""))
        return True

    def _tell(self, exchange: Exchange, name: str, answer: Callable[[], Answer]) -> None:
        """Answer what concerns no model, if the engine's gates let it pass."""
        call = begin_page(self._engine, exchange, name)
        if call is not None:
            finish_page(self._engine, exchange, call, answer())

    def _readiness(self) -> Answer:
        if self._engine.ready:
            return _answer({"ready": True})
        return refusal(Code.INVALID_ARGUMENT, "The server is not ready")  # the protocol asks for a status 4xx

    def _ask(self, exchange: Exchange, route: _Route) -> None:
        call = Call("V2", "Predict" if route.action == "/infer" else "GetModelMetadata", route.model, received=0.0)
        call.received = exchange.received
        call.headers = exchange.headers
        call.peer = exchange.peer
        call.identity = exchange.identity
        call.request_bytes = len(exchange.body)
        pending = _Pending(self._engine, exchange, call)
        try:
            self._engine.begin(call)
            call.version = version_of(route.version)
            if route.action == "/infer":
                self._infer(exchange, call, pending)
            else:
                pending.answer(self._description(find(self._engine, call), route.action))
        except Exception as error:
            pending.refuse(error)

    def _description(self, servable: Servable, action: str) -> Answer:
        if action == "/ready":
            return _answer({"name": servable.name, "ready": True})
        versions = self._engine.snapshot.servables.get(servable.name, {servable.version: servable})
        endpoint = servable.endpoint("")
        return _answer(model_metadata(servable, endpoint, list(versions)))

    def _infer(self, exchange: Exchange, call: Call, pending: _Pending) -> None:
        engine = self._engine
        call.priority = priority_of(exchange.headers)
        if self._timeout_seconds:
            call.deadline = call.received + self._timeout_seconds
        servable = find(engine, call)
        body, size = exchange.body, _json_size(exchange)
        read = partial(_read, body, size, servable)
        pending.wait()
        if (len(body) if size is None else size) < _MOST_TEXT:
            self._submit(call, pending, servable, read())
        else:  # on another thread, so that others are answered meanwhile
            reading = engine.loop.run_in_executor(None, read)
            reading.add_done_callback(partial(self._have_read, call, pending, servable))

    def _have_read(
        self, call: Call, pending: _Pending, servable: Servable, reading: asyncio.Future[InferRequest]
    ) -> None:
        """Go on with a request that was read on another thread, unless it was given up meanwhile."""
        if reading.cancelled():
            pending.refuse(UnavailableError("the server is stopping"))
        elif call.code is not None:
            reading.exception()  # looked at, or the loop would complain that nobody did
        else:
            try:
                self._submit(call, pending, servable, reading.result())
            except Exception as error:
                pending.refuse(error)

    def _submit(self, call: Call, pending: _Pending, servable: Servable, request: InferRequest) -> None:
        """Queue the rows of a request that has been read."""
        apply_parameters(call, request.parameters)
        endpoint = servable.endpoint(request.signature)
        check_outputs(request.outputs, endpoint, call.model)
        chunk = chunk_of(request.inputs, endpoint, call.model)
        pending.wait()
        self._engine.submit(call, endpoint, chunk, partial(pending.done, request, servable))


class _Pending:
    """A request that owes an answer, which is given exactly once."""

    __slots__ = ("_call", "_engine", "_exchange", "_timer")

    def __init__(self, engine: Engine, exchange: Exchange, call: Call) -> None:
        self._engine = engine
        self._exchange = exchange
        self._call = call
        self._timer: Any = None

    def wait(self) -> None:
        """Give the request up when its time is over or its client gone."""
        call = self._call
        self._exchange.on_gone = self._give_up
        if self._timer is not None:
            self._timer.cancel()
        if call.deadline is not None:
            self._timer = self._engine.loop.call_at(call.deadline, self._time_out)

    def done(self, request: InferRequest, servable: Servable, result: Outputs | Exception) -> None:
        """Answer with outputs, or with what went wrong."""
        if isinstance(result, Exception):
            self.refuse(result)
            return
        try:
            body, size = inference(result, request, servable)
        except Exception as error:
            self.refuse(error)
            return
        if size is None:
            self.answer(Answer(200, body), result)
        else:
            self.answer(Answer(200, body, ((_SIZE_HEADER.decode(), str(size)),), _BINARY), result)

    def answer(self, answer: Answer, outputs: Outputs | None = None) -> None:
        """Answer the request."""
        self._settle(answer, Code.OK, "", outputs)

    def refuse(self, error: Exception) -> None:
        """Answer with an error."""
        code, message = status_of(error)
        self._settle(refusal_with(code, message, error), code, message)

    def _settle(self, answer: Answer, code: Code, message: str, outputs: Outputs | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._call.code is not None:
            return
        self._call.response_bytes = len(answer.body)
        try:
            _reply(self._exchange, answer)
        finally:
            self._engine.finish(self._call, code, message, outputs)

    def _time_out(self) -> None:
        for ticket in self._call.tickets:
            ticket.cancel()
        self._settle(refusal(Code.DEADLINE_EXCEEDED, _TIMED_OUT), Code.DEADLINE_EXCEEDED, _TIMED_OUT)

    def _give_up(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._engine.cancel(self._call)


def _read(body: bytes, size: int | None, servable: Servable) -> InferRequest:
    """Read a request, of which so many bytes are JSON. It may run on any thread."""
    return read_raw(body, servable.endpoint("")) if size == 0 else read_request(body, size)


def _json_size(exchange: Exchange) -> int | None:
    """Return how many bytes of the body are JSON, or None for all of it."""
    value = exchange.headers.get(_SIZE_HEADER)
    if value is None:
        return None
    if not value.isdigit() or len(value) > 18:
        raise RequestError(
            "the header Inference-Header-Content-Length is no size",
            expected="a number of bytes",
            received=value[:64].decode("latin-1"),
        )
    return int(value)


def _answer(document: dict[str, Any]) -> Answer:
    return Answer(200, orjson.dumps(document))


def _reply(exchange: Exchange, answer: Answer) -> None:
    exchange.reply(answer.status, answer.body, answer.headers, answer.content_type)
