"""Requests as a user types them into a shell."""

from __future__ import annotations

import json
import shlex
from typing import Any


def curl_line(name: str, request: Any, *, port: int) -> str:
    """Return a command for a shell that asks a served model.

    Args:
        name: The model's name.
        request: The request's body, a JSON value; quotes in it are made safe for the shell.
        port: The server's port.
    """
    body = json.dumps(request, ensure_ascii=False)
    return f"curl -d {shlex.quote(body)} localhost:{port}/v1/models/{name}:predict"
