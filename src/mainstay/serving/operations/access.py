"""Who may call: a gate of the engine that tells callers by token or certificate and asks whether they may do that."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mainstay.core import MainstayError, PermissionDeniedError, UnauthenticatedError
from mainstay.serving.calls import Call
from mainstay.serving.operations.certificates import describe
from mainstay.serving.operations.tokens import Identity, read_identities
from mainstay.serving.operations.watched_files import WatchedFiles
from mainstay.serving.status import logger

RIGHT_OF_METHOD = {
    "Predict": "predict",
    "PredictStreamed": "predict",
    "Classify": "predict",
    "Regress": "predict",
    "MultiInference": "predict",
    "ModelInfer": "predict",
    "ModelStreamInfer": "predict",
    "GetModelMetadata": "metadata",
    "ModelMetadata": "metadata",
    "ServerMetadata": "metadata",
    "OpenApi": "metadata",
    "ServerReflectionInfo": "metadata",
    "GetModelStatus": "status",
    "ModelReady": "status",
    "GetReadiness": "status",
    "HandleReloadConfigRequest": "reload",
    "GetMetrics": "metrics",
    "GetTraffic": "metrics",
}
"""The right that each method needs; a method that is not here is nobody's."""

HEALTH_METHODS = frozenset({"Health", "ServerLive", "ServerReady", "GetHealth"})

_BEARER = b"bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOptions:
    """Who may call.

    Args:
        file: The access file; see `tokens`. It is read again when it changes.
        open_health: Whether health may be asked for by anybody, as load balancers do.
        open_metrics: Whether metrics may be read by anybody.
    """

    file: Path
    open_health: bool = True
    open_metrics: bool = False


class AccessGate:
    """Lets a call pass if whoever makes it may do so; a gate of the engine.

    Args:
        options: Who may call.
        clock: The time of day, in seconds since 1970, for tokens that expire.

    Raises:
        StorageError: The access file cannot be read.
        FormatError: It is none.
    """

    def __init__(self, options: AccessOptions, clock: Callable[[], float] = time.time) -> None:
        self._options = options
        self._clock = clock
        self._watched = WatchedFiles((options.file,))
        self._identities = read_identities(options.file)
        open_methods = set(HEALTH_METHODS) if options.open_health else set()
        self._open = frozenset(open_methods | ({"GetMetrics"} if options.open_metrics else set()))

    def poll(self) -> bool:
        """Read the file again if it has changed; a file that is wrong leaves everything as it is.

        Returns:
            Whether another one is in force.
        """
        return self.reload() if self._watched.changed() else False

    def reload(self) -> bool:
        """Read the file again; see `poll`."""
        try:
            self._identities = read_identities(self._options.file)
        except MainstayError as error:
            logger.error("who may call stays as it is: %s", describe(error))
            return False
        logger.info("the access file was read anew: %s", self._options.file)
        return True

    def check(self, call: Call) -> None:
        """Let a call pass and note who makes it.

        Raises:
            UnauthenticatedError: Nobody knows who makes it.
            PermissionDeniedError: Whoever makes it may not.
        """
        method = call.method
        if method in self._open:
            return
        identity = self._identify(call)
        call.identity = identity.name
        right = "status" if method in HEALTH_METHODS else RIGHT_OF_METHOD.get(method)
        if right is None or not identity.may(right, call.model):
            about = f" on model {call.model}" if call.model else ""
            raise PermissionDeniedError(f"{identity.name} may not call {method}{about}")

    def _identify(self, call: Call) -> Identity:
        header = call.headers.get(b"authorization")
        if header is not None:
            if header[: len(_BEARER)].lower() != _BEARER:
                raise UnauthenticatedError("Only bearer tokens are taken", expected="authorization: Bearer …")
            identity = self._identities.by_token(header[len(_BEARER) :].strip())
        elif call.identity:
            identity = self._identities.by_certificate.get(call.identity)
        else:
            raise UnauthenticatedError("The request carries no token", expected="authorization: Bearer …")
        if identity is None:
            raise UnauthenticatedError("Nobody has this token" if header is not None else "This certificate is unknown")
        if identity.expires is not None and self._clock() >= identity.expires:
            raise UnauthenticatedError(f"What {identity.name} shows has expired")
        return identity
