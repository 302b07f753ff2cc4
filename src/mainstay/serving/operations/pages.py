"""Pages beside the models': metrics and health. Each is a call of the engine, so that its gates hold for it too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import orjson

from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.models.snapshot import State
from mainstay.serving.operations.exposition import OPENMETRICS, PROMETHEUS, render, wants_openmetrics
from mainstay.serving.operations.families import Metrics
from mainstay.serving.rest.answers import Answer, refusal, refusal_of
from mainstay.serving.rest.interface import Exchange, PathInterface
from mainstay.serving.status import Code, code_of, status_of

Gather: TypeAlias = "Callable[[Callable[[Metrics], None]], None]"
"""Hands the metrics of all processes to the function that it is given, on the event loop, now or later."""

API = "HTTP"
_READ = ("GET", "HEAD")


def begin_page(engine: Engine, exchange: Exchange, method: str) -> Call | None:
    """Begin a call for a page; None where it was refused, and that answered.

    Args:
        engine: What admits it.
        exchange: The request.
        method: The name of what is asked, for rights and metrics.
    """
    call = Call(API, method, "", received=exchange.received)
    call.headers = exchange.headers
    call.peer = exchange.peer
    call.identity = exchange.identity
    call.request_bytes = len(exchange.body)
    if exchange.method not in _READ:
        path = exchange.target.partition("?")[0]
        answer = refusal(405, f"Method not allowed: {exchange.method} {path}", allow=", ".join(_READ))
        _reply(exchange, answer)
        return None
    try:
        engine.begin(call)
    except Exception as error:
        answer = refusal_of(error)
        finish_page(engine, exchange, call, answer, code=code_of(error))
        return None
    return call


def finish_page(engine: Engine, exchange: Exchange, call: Call, answer: Answer, *, code: Code = Code.OK) -> None:
    """Answer a page and end its call."""
    call.response_bytes = len(answer.body)
    _reply(exchange, answer)
    engine.finish(call, code)


def _reply(exchange: Exchange, answer: Answer) -> None:
    exchange.reply(answer.status, answer.body, answer.headers, answer.content_type)


class MetricsPage:
    """Serves metrics.

    Args:
        engine: What admits the request.
        path: Where.
        gather: Collects the metrics.
        classic: Whether only the older text format is spoken, as TF Serving does.
    """

    def __init__(self, engine: Engine, path: str, gather: Gather, *, classic: bool = False) -> None:
        self._engine = engine
        self._path = path
        self._gather = gather
        self._classic = classic

    def handle(self, exchange: Exchange) -> bool:
        """Answer a request for the page; False where it is for another one."""
        if exchange.target.partition("?")[0] != self._path:
            return False
        call = begin_page(self._engine, exchange, "GetMetrics")
        if call is None:
            return True
        accept = exchange.headers.get(b"accept", b"").decode("latin-1")
        openmetrics = not self._classic and wants_openmetrics(accept)

        def answer(metrics: Metrics) -> None:
            kind = OPENMETRICS if openmetrics else PROMETHEUS
            try:
                shown = Answer(200, render(metrics, openmetrics=openmetrics), (), kind)
            except Exception as error:
                finish_page(self._engine, exchange, call, refusal_of(error), code=code_of(error))
            else:
                finish_page(self._engine, exchange, call, shown)

        try:
            self._gather(answer)
        except Exception as error:
            code, _ = status_of(error)
            finish_page(self._engine, exchange, call, refusal_of(error), code=code)
        return True


class HealthPages:
    """Serves the probes of orchestrators.

    ``/healthz`` answers 200 while the event loop turns; ``/startupz`` once all models have been loaded for the first
    time; ``/readyz`` while requests should be sent here, and with ``?verbose`` says where every version stands.

    Args:
        engine: What they are about.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._started = False

    def handle(self, exchange: Exchange) -> bool:
        """Answer a request for one of the pages; False where it is for another one."""
        path, _, query = exchange.target.partition("?")
        if path not in ("/healthz", "/readyz", "/startupz"):
            return False
        verbose = path == "/readyz" and "verbose" in query.replace("=", "&").split("&")
        call = begin_page(self._engine, exchange, "GetReadiness" if verbose else "GetHealth")
        if call is None:
            return True
        if path == "/healthz":
            answer = Answer(200, b'{"status":"alive"}')
        elif path == "/startupz":
            answer = self._startup()
        else:
            answer = self._verbose() if verbose else self._readiness()
        code = Code.OK if answer.status == 200 else Code.UNAVAILABLE
        finish_page(self._engine, exchange, call, answer, code=code)
        return True

    def _startup(self) -> Answer:
        self._started = self._started or self._engine.snapshot.ready
        return (
            Answer(200, b'{"status":"started"}') if self._started else self._unready("The server is loading its models")
        )

    def _readiness(self) -> Answer:
        reason = self._reason()
        return Answer(200, b'{"status":"ready"}') if not reason else self._unready(reason)

    def _reason(self) -> str:
        if self._engine.draining:
            return "The server is stopping"
        return "" if self._engine.snapshot.ready else "The server is loading its models"

    @staticmethod
    def _unready(reason: str) -> Answer:
        answer = refusal(Code.UNAVAILABLE, reason)
        return Answer(answer.status, answer.body, (("retry-after", "1"),))

    def _verbose(self) -> Answer:
        reason, snapshot = self._reason(), self._engine.snapshot
        models = {}
        for model in sorted({**snapshot.servables, **snapshot.statuses}):
            versions = {}
            for number, status in sorted(snapshot.versions(model).items()):
                versions[str(number)] = {"state": status.state.name} | (
                    {"code": status.code.name, "message": status.message} if status.code is not Code.OK else {}
                )
            available = any(status.state is State.AVAILABLE for status in snapshot.versions(model).values())
            models[model] = {"available": available, "versions": versions}
        document = {"status": "not ready" if reason else "ready"} | ({"reason": reason} if reason else {})
        body = orjson.dumps({**document, "models": models})
        return Answer(503 if reason else 200, body, (("retry-after", "1"),) if reason else ())


class GuardedPage:
    """Lets an engine's gates hold for a page that knows nothing of them.

    Args:
        engine: What admits the requests.
        page: The page.
        paths: The paths that are its own.
        method: The name of what is asked, for rights and metrics.
    """

    def __init__(self, engine: Engine, page: PathInterface, paths: tuple[str, ...], method: str) -> None:
        self._engine = engine
        self._page = page
        self._paths = paths
        self._method = method

    def handle(self, exchange: Exchange) -> bool:
        """Answer a request for the page; False where it is for another one."""
        if exchange.target.partition("?")[0] not in self._paths:
            return False
        call = begin_page(self._engine, exchange, self._method)
        if call is None:
            return True
        try:
            return self._page.handle(exchange)
        finally:
            self._engine.finish(call, Code.OK)
