"""The REST interface: from a request to the batcher and from the outputs to an answer. It knows no sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from mainstay.core import RequestError
from mainstay.serving.rest.answers import Answer, Code, refusal, refusal_of
from mainstay.serving.batching.batcher import Ticket
from mainstay.serving.rest.description import metadata_answer, status_answer
from mainstay.serving.rest.encode import Outputs, columns, predictions
from mainstay.serving.rest.json_text import parse, show
from mainstay.serving.rest.routes import Route, parse_path
from mainstay.serving.models.snapshot import Servable, Snapshot

_MOST_KNOWN_PATHS = 1024
_READ_METHODS = ("GET", "HEAD")
_METHODS = "GET, HEAD, POST"


class Exchange(Protocol):
    """A request that waits for its answer."""

    method: str
    target: str
    body: bytes
    ticket: Ticket | None

    def reply(self, status: int, body: bytes, allow: str = "") -> None:
        """Answer it; called once, on the event loop."""


class RestInterface:
    """Answers requests from the models of a snapshot.

    Attributes:
        snapshot: What is served; assigning another one is how a reload is published.
        draining: Whether the server is on its way out and no longer ready.
    """

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.draining = False
        self._routes: dict[str, Route] = {}

    def handle(self, exchange: Exchange) -> None:
        """Answer a request, now or when its batch has run. Raises nothing."""
        try:
            route = self._routes.get(exchange.target) or self._find_route(exchange.target)
            if route is not None and route.action == "predict" and exchange.method == "POST":
                self._predict(exchange, route)
            else:
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
            versions = self.snapshot.versions(route)
            return versions if isinstance(versions, Answer) else status_answer(versions)
        found = self.snapshot.find(route)
        if isinstance(found, Answer):
            return found
        if route.action == "metadata":
            return metadata_answer(found)
        return refusal(501, f"The method {route.action} is not served; call the signature with predict")

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
        if self.draining:
            return refusal(Code.UNAVAILABLE, "The server is stopping")
        if not self.snapshot.ready:
            return refusal(Code.UNAVAILABLE, "The server is loading its models")
        return Answer(200, b'{"status":"ready"}')

    def _predict(self, exchange: Exchange, route: Route) -> None:
        found = self.snapshot.find(route)
        if isinstance(found, Answer):
            _reply(exchange, found)
            return
        document = parse(exchange.body)
        if type(document) is not dict:
            raise RequestError(
                f"JSON Value: {show(document)} Is not object", where="$", expected="an object", received=show(document)
            )
        exchange.ticket = _submit(exchange, found, document)


def _submit(exchange: Exchange, servable: Servable, document: dict[str, Any]) -> Ticket:
    signature_name = document.get("signature_name", "")
    if type(signature_name) is not str:
        raise RequestError(
            f"JSON Value: {show(document)} not formatted correctly. 'signature_name' key must be a string value.",
            where="$.signature_name",
            expected="a string",
            received=show(signature_name),
        )
    endpoint = servable.endpoint(signature_name)
    if "instances" in document:
        if "inputs" in document:
            raise RequestError(
                f"JSON Value: {show(document)} Not formatted correctly expecting only one of 'inputs' or 'instances' "
                "keys to exist ",
                where="$",
                expected="either 'instances' or 'inputs'",
                received="both",
            )
        return endpoint.batcher.submit(
            endpoint.decoder.rows(document["instances"]), _answer_with(exchange, predictions)
        )
    if "inputs" in document:
        return endpoint.batcher.submit(endpoint.decoder.columns(document["inputs"]), _answer_with(exchange, columns))
    raise RequestError("Missing 'inputs' or 'instances' key", where="$", fix='send {"instances": [...]}')


def _answer_with(exchange: Exchange, encode: Callable[[Outputs], bytes]) -> Callable[[Outputs | Exception], None]:
    def done(result: Outputs | Exception) -> None:
        if isinstance(result, Exception):
            _reply(exchange, refusal_of(result))
            return
        try:
            body = encode(result)
        except Exception as error:
            _reply(exchange, refusal_of(error))
            return
        exchange.reply(200, body)

    return done


def _reply(exchange: Exchange, answer: Answer) -> None:
    exchange.reply(answer.status, answer.body, answer.allow)
