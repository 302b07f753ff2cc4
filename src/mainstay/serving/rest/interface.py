"""The REST interface: from a request to the engine and from the outputs to an answer. It knows no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from mainstay.core import RequestError, UnavailableError
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.bodies.formats import Reading
from mainstay.serving.calls import Call, priority_of
from mainstay.serving.engine import Engine
from mainstay.serving.rest.answers import JSON, Answer, refusal, refusal_of, refusal_with
from mainstay.serving.rest.description import metadata_answer, status_answer
from mainstay.serving.rest.methods import check_method
from mainstay.serving.rest.openapi import openapi_answer
from mainstay.serving.rest.options import RestOptions
from mainstay.serving.rest.reading import is_slow, read_call
from mainstay.serving.rest.routes import Route, parse_path
from mainstay.serving.status import Code, status_of

_MOST_KNOWN_PATHS = 1024
_MOST_KNOWN_LENGTH = 1024
_READ_METHODS = ("GET", "HEAD")
_METHOD_NAMES = {
    "predict": "Predict",
    "classify": "Classify",
    "regress": "Regress",
    "metadata": "GetModelMetadata",
    "status": "GetModelStatus",
    "openapi": "GetModelMetadata",
}
_TIMEOUT_HEADER = b"x-mainstay-timeout-ms"
_MOST_TIMEOUT_DIGITS = 12
_CORS = (
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "POST, GET"),
    ("access-control-allow-headers", "Content-Type"),
)


class Exchange(Protocol):
    """A request that waits for its answer."""

    method: str
    target: str
    headers: Mapping[bytes, bytes]
    body: bytes
    received: float
    peer: str
    identity: str
    on_gone: Callable[[], None] | None
    extra_headers: tuple[tuple[str, str], ...]

    def reply(
        self, status: int, body: bytes, headers: tuple[tuple[str, str], ...] = (), content_type: str = JSON
    ) -> None:
        """Answer it; called once, on the event loop."""


class PathInterface(Protocol):
    """Something that answers paths which are not TF Serving's, such as metrics or another protocol."""

    def handle(self, exchange: Exchange) -> bool:
        """Answer a request, now or later, and return True; or return False at once where the path is not its own."""


class RestInterface:
    """Answers requests from the models of an engine.

    Args:
        engine: What runs the models.
        options: What the interface allows.

    Attributes:
        also: What is asked, in order, for paths that are not TF Serving's; the first that answers has answered.
        max_body_bytes: How large a body may be that is an archive, once unpacked.
    """

    def __init__(self, engine: Engine, options: RestOptions | None = None) -> None:
        self.also: tuple[PathInterface, ...] = ()
        self.max_body_bytes = 16 << 20
        self._options = options or RestOptions()
        self._engine = engine
        self._routes: dict[str, Route] = {}

    def handle(self, exchange: Exchange) -> None:
        """Answer a request, now or when its batch has run. Raises nothing."""
        try:
            if self._options.enable_cors and self._allow_origins(exchange):
                return
            route = self._routes.get(exchange.target) or self._find_route(exchange.target)
            if route is not None and exchange.method == "POST" and route.method == "POST":
                self._call(exchange, route)
            elif route is not None or not any(other.handle(exchange) for other in self.also):
                self._reply(exchange, self._answer(exchange, route))
        except Exception as error:
            self._reply(exchange, refusal_of(error))

    def _allow_origins(self, exchange: Exchange) -> bool:
        """Let pages of other origins read the answer, and answer their question whether they may ask."""
        exchange.extra_headers = _CORS
        path = exchange.target.partition("?")[0].lower()
        if exchange.method != "OPTIONS" or not (path == "/v1" or path.startswith("/v1/")):
            return False
        self._reply(exchange, Answer(200, b""))
        return True

    def _find_route(self, target: str) -> Route | None:
        path = target.partition("?")[0]
        if not path.startswith("/"):  # the absolute form that proxies send: http://host/path
            path = "/" + path.partition("://")[2].partition("/")[2]
        route = parse_path(path)
        if route is not None and len(target) <= _MOST_KNOWN_LENGTH:
            if len(self._routes) >= _MOST_KNOWN_PATHS:
                self._routes.clear()  # or names of a client's making would keep out those that are used
            self._routes[target] = route
        return route

    def _answer(self, exchange: Exchange, route: Route | None) -> Answer:
        """Return the answer to anything but a prediction."""
        method, path = exchange.method, exchange.target.partition("?")[0]
        if route is None:
            return self._answer_elsewhere(method, path)
        if route.method == "POST" or method not in _READ_METHODS:
            allowed = "POST" if route.method == "POST" else ", ".join(_READ_METHODS)
            return refusal(Code.INVALID_ARGUMENT, f"Malformed request: {method} {path}", allow=allowed)
        if not route.model:
            return refusal(Code.INVALID_ARGUMENT, "Missing model name in request.")
        return self._describe(exchange, route)

    def _answer_elsewhere(self, method: str, path: str) -> Answer:
        if not path.lower().startswith("/v1/"):
            return refusal(Code.NOT_FOUND, f"Not found: {path}")
        return refusal(Code.INVALID_ARGUMENT, f"Malformed request: {method} {path}")

    def _begin(self, exchange: Exchange, route: Route) -> Call:
        call = Call(
            "REST",
            _METHOD_NAMES[route.action],
            route.model,
            route.version,
            route.label,
            received=exchange.received,
        )
        call.headers = exchange.headers
        call.peer = exchange.peer
        call.identity = exchange.identity
        call.request_bytes = len(exchange.body)
        return call

    def _describe(self, exchange: Exchange, route: Route) -> Answer:
        """Return what is known of a model."""
        engine = self._engine
        call = self._begin(exchange, route)
        code, message = Code.OK, ""
        try:
            engine.begin(call)
            if route.action == "status":
                answer = status_answer(engine.snapshot.versions(route.model, route.version))
            elif route.action == "metadata":
                answer = metadata_answer(engine.route(call))
            else:
                answer = openapi_answer(engine.route(call))
        except Exception as error:
            code, message = status_of(error)
            answer = refusal_with(code, message, error)
        call.response_bytes = len(answer.body)
        engine.finish(call, code, message)
        return answer

    def _call(self, exchange: Exchange, route: Route) -> None:
        """Begin a call; whatever happens then, it is finished once and answered once."""
        engine = self._engine
        call = self._begin(exchange, route)
        try:
            engine.begin(call)
            self._set_time(call, exchange)
            call.priority = priority_of(exchange.headers)
            exchange.on_gone = partial(engine.cancel, call)
            servable = engine.route(call)
            body, target, action, most = exchange.body, exchange.target, route.action, self.max_body_bytes
            query = target.partition("?")[2] if "?" in target else ""
            if is_slow(body, call):
                # C reads without the interpreter's lock, so that other requests are answered meanwhile.
                read = partial(read_call, body, call, servable, action, query=query, most_bytes=most)
                reading = engine.loop.run_in_executor(None, read)
                reading.add_done_callback(partial(self._have_read, exchange, call, route))
            else:
                found = read_call(body, call, servable, action, query=query, most_bytes=most)
                self._submit(exchange, call, route, found)
        except Exception as error:
            self._refuse(exchange, call, error)

    def _have_read(self, exchange: Exchange, call: Call, route: Route, reading: asyncio.Future[Reading]) -> None:
        """Go on with a request that was read on another thread, unless it was given up meanwhile."""
        if reading.cancelled():
            self._refuse(exchange, call, UnavailableError("the server is stopping"))
            return
        if call.code is not None:
            reading.exception()  # looked at, or the loop would complain that nobody did
            return
        try:
            self._submit(exchange, call, route, reading.result())
        except Exception as error:
            self._refuse(exchange, call, error)

    def _submit(self, exchange: Exchange, call: Call, route: Route, reading: Reading) -> None:
        """Queue the rows of a request that has been read."""
        engine = self._engine
        endpoint, chunk, encode, content_type = reading
        if self._options.check_method_names:
            check_method(endpoint, route.action)

        def done(result: Outputs | Exception) -> None:
            if isinstance(result, Exception):
                self._refuse(exchange, call, result)
                return
            try:
                body = encode(result)
            except Exception as error:
                self._refuse(exchange, call, error)
                return
            call.response_bytes = len(body)
            try:
                exchange.reply(200, body, (), content_type)
            finally:
                engine.finish(call, Code.OK, "", result)

        engine.submit(call, endpoint, chunk, done)

    def _set_time(self, call: Call, exchange: Exchange) -> None:
        """Say until when an answer is waited for."""
        limit = self._options.request_timeout_seconds
        if limit:
            call.deadline = call.received + limit
        asked = exchange.headers.get(_TIMEOUT_HEADER)
        if asked is None:
            return
        if not asked.isdigit() or len(asked) > _MOST_TIMEOUT_DIGITS or not int(asked):
            raise RequestError(
                f"the header {_TIMEOUT_HEADER.decode()} is no time",
                expected="a whole number of milliseconds from 1",
                received=asked.decode("latin-1"),
            )
        wanted = call.received + int(asked) / 1000
        call.deadline = wanted if call.deadline is None else min(call.deadline, wanted)

    def _refuse(self, exchange: Exchange, call: Call, error: Exception) -> None:
        code, message = status_of(error)
        answer = refusal_with(code, message, error)
        call.response_bytes = len(answer.body)
        try:
            self._reply(exchange, answer)
        finally:
            self._engine.finish(call, code, message)

    def _reply(self, exchange: Exchange, answer: Answer) -> None:
        exchange.reply(answer.status, answer.body, answer.headers, answer.content_type)
