"""`mainstay serve`: models over HTTP until somebody says stop."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mainstay import serving

if TYPE_CHECKING:
    from mainstay.saved_model import Trust

logger = logging.getLogger("mainstay")

GRPC_PORT = 8500


def serve(
    models: Mapping[str, Path],
    *,
    host: str = "127.0.0.1",
    rest_port: int = 8501,
    grpc_port: int = 8500,
    trust: Trust | None = None,
) -> None:
    """Serve models until SIGTERM or Ctrl-C; requests in flight are answered before it returns.

    Args:
        models: An artifact's folder, or a folder of numbered versions, by model name.
        host: The address to listen on.
        rest_port: The port for HTTP; 0 takes a free one.
        grpc_port: Kept for gRPC; nothing listens there yet, and a log line says so where it is not the default.
        trust: Whose signature every model must have; None asks for none.

    Raises:
        ArtifactError: A model is refused.
        SetupError: The port is in use.
    """
    if grpc_port != GRPC_PORT:
        logger.warning("gRPC is not served yet: port %d stays free", grpc_port)
    serving.serve(models, serving.ServerOptions(host=host, rest_port=rest_port, trust=trust))
