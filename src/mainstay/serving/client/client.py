"""The client of a model server: NumPy arrays in and out, over REST or gRPC, with deadlines and retries."""

from __future__ import annotations

import contextlib
import os
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from mainstay.core import (
    ArgumentError,
    DeadlineError,
    MainstayError,
    NotFoundError,
    RequestError,
    Signature,
    UnavailableError,
)
from mainstay.serving.client.address import parse_address
from mainstay.serving.client.arrays import Array, find_signature, input_arrays
from mainstay.serving.client.grpc_transport import GrpcTransport
from mainstay.serving.client.protocols import GrpcProtocol, RestProtocol, ServingProtocol, Target
from mainstay.serving.client.rest_transport import RestTransport
from mainstay.serving.client.retries import Attempts, Retries

Result = TypeVar("Result")

_KEPT_SECONDS = 60.0
_POLL_SECONDS = 0.1


class Client:
    """A client of a model server that speaks TF Serving's protocols: Mainstay's, or TF Serving itself.

    Threads may share one. As a context manager it closes its connections in the end.

    Args:
        address: ``http://host:port`` for REST or ``grpc://host:port`` for gRPC; ``https`` and ``grpcs`` for TLS,
            ``http+unix:///path`` and ``grpc+unix:///path`` for sockets of this machine.
        timeout_seconds: How long a call may take, retries included. The server is told, and drops what is late.
        retries: How often a request is sent again that the server could not take.
        token: A bearer token to show.
        tls: How to speak TLS; by default the system's authorities are trusted. A path is that of a file of the
            authorities to trust instead.
        headers: Further headers of every request, or metadata in gRPC, such as one that keeps a client with a version.

    Raises:
        ArgumentError: The address is none, or there is TLS for an address without it.

    Example:
        ::

            with Client("grpc://127.0.0.1:8500") as client:
                answer = client.predict("digits", {"x": np.zeros((1, 784), np.float32)})
                print(answer["probs"])
    """

    def __init__(
        self,
        address: str,
        *,
        timeout_seconds: float = 30.0,
        retries: Retries | None = None,
        token: str | None = None,
        tls: ssl.SSLContext | str | os.PathLike[str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        place = parse_address(address)
        if tls is not None and not place.secure:
            raise ArgumentError(
                "there is TLS for an address without it", received=address, fix="say https:// or grpcs://"
            )
        if not timeout_seconds > 0:
            raise ArgumentError("the timeout is out of range", expected="more than 0", received=timeout_seconds)
        context = tls_context(tls) if place.secure else None
        self.address = address
        self.timeout_seconds = timeout_seconds
        self._attempts = Attempts(retries or Retries())
        given = {name.lower(): value for name, value in (headers or {}).items()}
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        self._headers = tuple(given.items())
        self._protocol: ServingProtocol
        if place.protocol == "grpc":
            self._protocol = GrpcProtocol(GrpcTransport(place, context))
        else:
            self._protocol = RestProtocol(RestTransport(place, context))
        self._known: dict[tuple[str, int | None, str | None], tuple[float, dict[str, Signature]]] = {}

    def predict(
        self,
        model: str,
        inputs: Any,
        *,
        signature: str = "",
        version: int | None = None,
        label: str | None = None,
        timeout_seconds: float | None = None,
    ) -> dict[str, Array]:
        """Run a signature of a model.

        Args:
            model: The model's name.
            inputs: A value for each input by name, or the only one; anything that NumPy makes an array of. Numbers are
                cast to the input's dtype where nothing but digits is lost.
            signature: The signature's name; by default ``serving_default``, or the only one.
            version: The version to ask; by default the server chooses.
            label: The label of the version to ask.
            timeout_seconds: How long it may take; None for the client's own.

        Returns:
            The outputs by name. Text is str in arrays of object, and bytes where an output's name ends in ``_bytes``.

        Raises:
            RequestError: The request is wrong; its classes say how: `NotFoundError`, `PermissionDeniedError`, …
            DeadlineError: There was no answer in time.
            UnavailableError: The server cannot be reached, or is too busy, and retries did not help.
            ServerError: The model failed.
        """
        target = Target(model, version, label, signature, self._headers)
        end = time.monotonic() + (timeout_seconds or self.timeout_seconds)
        chosen = self._signature(target, end)
        arrays = input_arrays(inputs, chosen)
        return self._run(lambda left: self._protocol.predict(target, arrays, chosen, left), end)

    def classify(
        self,
        model: str,
        examples: Sequence[Mapping[str, Any]],
        *,
        signature: str = "",
        version: int | None = None,
        label: str | None = None,
        timeout_seconds: float | None = None,
    ) -> list[list[tuple[str, float]]]:
        """Return labels with scores of each example, as a classification signature gives them.

        Args:
            model: The model's name.
            examples: The features of each example by name, as a ``tf.Example`` holds them.
            signature: The signature's name.
            version: The version to ask.
            label: The label of the version to ask.
            timeout_seconds: How long it may take; None for the client's own.

        Raises:
            MainstayError: See `predict`.
        """
        target = Target(model, version, label, signature, self._headers)
        end = time.monotonic() + (timeout_seconds or self.timeout_seconds)
        return self._run(lambda left: self._protocol.classify(target, examples, left), end)

    def regress(
        self,
        model: str,
        examples: Sequence[Mapping[str, Any]],
        *,
        signature: str = "",
        version: int | None = None,
        label: str | None = None,
        timeout_seconds: float | None = None,
    ) -> Array:
        """Return a value for each example, as a regression signature gives them: ``[examples]`` float32.

        Args:
            model: The model's name.
            examples: The features of each example by name, as a ``tf.Example`` holds them.
            signature: The signature's name.
            version: The version to ask.
            label: The label of the version to ask.
            timeout_seconds: How long it may take; None for the client's own.

        Raises:
            MainstayError: See `predict`.
        """
        target = Target(model, version, label, signature, self._headers)
        end = time.monotonic() + (timeout_seconds or self.timeout_seconds)
        values = self._run(lambda left: self._protocol.regress(target, examples, left), end)
        return np.array(values, np.float32)

    def signatures(self, model: str, *, version: int | None = None, label: str | None = None) -> dict[str, Signature]:
        """Return what a model's signatures take and give.

        Args:
            model: The model's name.
            version: The version to ask.
            label: The label of the version to ask.

        Raises:
            MainstayError: See `predict`.
        """
        target = Target(model, version, label, "", self._headers)
        end = time.monotonic() + self.timeout_seconds
        found = self._run(lambda left: self._protocol.signatures(target, left), end)
        self._known[model, version, label] = time.monotonic(), found
        return found

    def states(self, model: str) -> dict[int, str]:
        """Return where each version of a model stands: ``LOADING``, ``AVAILABLE``, ``UNLOADING``, ``END``.

        Args:
            model: The model's name.

        Raises:
            MainstayError: See `predict`.
        """
        target = Target(model, headers=self._headers)
        return self._run(lambda left: self._protocol.states(target, left), time.monotonic() + self.timeout_seconds)

    def wait_until_available(self, model: str, *, timeout_seconds: float = 120.0) -> int:
        """Wait until a version of a model answers, and return the highest one.

        Args:
            model: The model's name.
            timeout_seconds: How long to wait.

        Raises:
            DeadlineError: None answered in time; the cause is what was last in the way.
        """
        end = time.monotonic() + timeout_seconds
        reason: MainstayError | None = None
        while time.monotonic() < end:
            try:
                ready = [version for version, state in self.states(model).items() if state == "AVAILABLE"]
                if ready:
                    return max(ready)
            except (UnavailableError, NotFoundError) as error:
                reason = error
            time.sleep(_POLL_SECONDS)
        raise DeadlineError(f"model {model} did not answer within {timeout_seconds:g} seconds") from reason

    def _signature(self, target: Target, end: float) -> Signature:
        """Return the signature that a request is for; what the server says of it is kept for a minute."""
        key = target.model, target.version, target.label
        since, known = self._known.get(key, (-_KEPT_SECONDS, {}))
        if time.monotonic() - since < _KEPT_SECONDS:
            with contextlib.suppress(RequestError):  # a version that is new may have it
                return find_signature(known, target.signature, target.model)
        known = self._run(lambda left: self._protocol.signatures(target, left), end)
        self._known[key] = time.monotonic(), known
        return find_signature(known, target.signature, target.model)

    def _run(self, work: Callable[[float], Result], end: float) -> Result:
        return self._attempts.run(work, max(end - time.monotonic(), 1e-3))

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._protocol.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def tls_context(tls: ssl.SSLContext | str | os.PathLike[str] | None) -> ssl.SSLContext:
    """Return how to speak TLS: as given, with a file's authorities, or with those of the system.

    Raises:
        ArgumentError: There is no such file of certificates.
    """
    if isinstance(tls, ssl.SSLContext):
        return tls
    if tls is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=Path(tls))
    except (OSError, ssl.SSLError) as error:
        raise ArgumentError("this is no file of certificates", where=tls, received=str(error)) from error
