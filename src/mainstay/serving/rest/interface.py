"""The REST interface: from a request to the engine and from the outputs to an answer. It knows no sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from mainstay.core import RequestError, UnsupportedError
from mainstay.serving.batching.outputs import Outputs
from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.rest.answers import JSON, Answer, refusal, refusal_of, refusal_with
from mainstay.serving.rest.description import metadata_answer, status_answer
from mainstay.serving.rest.encode import columns, predictions
from mainstay.serving.rest.json_text import parse, show
from mainstay.serving.rest.routes import Route, parse_path
from mainstay.serving.status import Code, status_of

_MOST_KNOWN_PATHS = 1024
_READ_METHODS = ("GET", "HEAD")
_METHODS = "GET, HEAD, POST"
_METHOD_NAMES = {"predict": "Predict", "classify": "Classify", "regress": "Regress", "metadata": "GetModelMetadata"}


class Exchange(Protocol):
    """A request that waits for its answer."""

    method: str
    target: str
    headers: Mapping[bytes, bytes]
    body: bytes
    received: float
    peer: str
    on_gone: Callable[[], None] | None

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

    Attributes:
        also: What is asked, in order, for paths that are not TF Serving's; the first that answers has answered.
    """

    def __init__(self, engine: Engine) -> None:
        self.also: tuple[PathInterface, ...] = ()
        self._engine = engine
        self._routes: dict[str, Route] = {}

    def handle(self, exchange: Exchange) -> None:
        """Answer a request, now or when its batch has run. Raises nothing."""
        try:
            route = self._routes.get(exchange.target) or self._find_route(exchange.target)
            if route is not None and exchange.method == "POST" and route.method == "POST":
                self._call(exchange, route)
            elif route is not None or not any(other.handle(exchange) for other in self.also):
                _reply(exchange, self._answer(exchange, route))
        except Exception as error:
            _reply(exchange, refusal_of(error))

    def _find_route(self, target: str) -> Route | None:
        path = target.partition("?")[0]
        if not path.startswith("/"):  # the absolute form that proxies send: http://host/path
            path = "/" + path.partition("://")[2].partition("/")[2]
        route = parse_path(path)
        if route is not None and len(self._routes) < _MOST_KNOWN_PATHS:
            self._routes[target] = route
        return route

    def _answer(self, exchange: Exchange, route: Route | None) -> Answer:
        """Return the answer to anything but a prediction."""
        method, path = exchange.method, exchange.target.partition("?")[0]
        if route is None:
            return self._answer_elsewhere(method, path)
        if method not in (*_READ_METHODS, "POST"):
            allowed = "POST" if route.method == "POST" else ", ".join(_READ_METHODS)
            return refusal(405, f"Method not allowed: {method} {path}", allow=allowed)
        if route.method != ("GET" if method in _READ_METHODS else "POST"):
            return refusal(Code.INVALID_ARGUMENT, f"Malformed request: {method} {path}")
        if not route.model:
            return refusal(Code.INVALID_ARGUMENT, "Missing model name in request.")
        if route.action == "status":
            return status_answer(self._engine.snapshot.versions(route.model, route.version))
        return metadata_answer(self._engine.snapshot.find(route.model, route.version, route.label))

    def _answer_elsewhere(self, method: str, path: str) -> Answer:
        if path in ("/healthz", "/readyz"):
            if method not in _READ_METHODS:
                return refusal(405, f"Method not allowed: {method} {path}", allow=", ".join(_READ_METHODS))
            return Answer(200, b'{"status":"alive"}') if path == "/healthz" else self._readiness()
        if not path.lower().startswith("/v1/"):
            return refusal(Code.NOT_FOUND, f"Not found: {path}")
        if method not in (*_READ_METHODS, "POST"):
            return refusal(405, f"Method not allowed: {method} {path}", allow=_METHODS)
        return refusal(Code.INVALID_ARGUMENT, f"Malformed request: {method} {path}")

    def _readiness(self) -> Answer:
        if self._engine.draining:
            return refusal(Code.UNAVAILABLE, "The server is stopping")
        if not self._engine.snapshot.ready:
            return refusal(Code.UNAVAILABLE, "The server is loading its models")
        return Answer(200, b'{"status":"ready"}')

    def _call(self, exchange: Exchange, route: Route) -> None:
        """Begin a call; whatever happens then, it is finished once and answered once."""
        engine = self._engine
        name = _METHOD_NAMES[route.action]
        call = Call("REST", name, route.model, route.version, route.label, received=exchange.received)
        call.headers = exchange.headers
        call.peer = exchange.peer
        call.request_bytes = len(exchange.body)
        try:
            engine.begin(call)
            if route.action != "predict":
                raise UnsupportedError(f"The method {route.action} is not served; call the signature with predict")
            exchange.on_gone = lambda: engine.cancel(call)
            self._predict(exchange, call)
        except Exception as error:
            self._refuse(exchange, call, error)

    def _predict(self, exchange: Exchange, call: Call) -> None:
        servable = self._engine.route(call)
        document = parse(exchange.body)
        if type(document) is not dict:
            raise RequestError(
                f"JSON Value: {show(document)} Is not object", where="$", expected="an object", received=show(document)
            )
        endpoint = servable.endpoint(_signature_name(document))
        if "instances" in document:
            if "inputs" in document:
                raise RequestError(
                    f"JSON Value: {show(document)} Not formatted correctly expecting only one of 'inputs' or "
                    "'instances' keys to exist ",
                    where="$",
                    expected="either 'instances' or 'inputs'",
                    received="both",
                )
            chunk, encode = endpoint.decoder.rows(document["instances"]), predictions
        elif "inputs" in document:
            chunk, encode = endpoint.decoder.columns(document["inputs"]), columns
        else:
            raise RequestError("Missing 'inputs' or 'instances' key", where="$", fix='send {"instances": [...]}')

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
            exchange.reply(200, body)
            self._engine.finish(call, Code.OK, "", result)

        self._engine.submit(call, endpoint, chunk, done)

    def _refuse(self, exchange: Exchange, call: Call, error: Exception) -> None:
        code, message = status_of(error)
        answer = refusal_with(code, message)
        call.response_bytes = len(answer.body)
        _reply(exchange, answer)
        self._engine.finish(call, code, message)


def _signature_name(document: dict[str, Any]) -> str:
    name = document.get("signature_name", "")
    if type(name) is not str:
        raise RequestError(
            f"JSON Value: {show(document)} not formatted correctly. 'signature_name' key must be a string value.",
            where="$.signature_name",
            expected="a string",
            received=show(name),
        )
    return name


def _reply(exchange: Exchange, answer: Answer) -> None:
    exchange.reply(answer.status, answer.body, answer.headers, answer.content_type)
