"""What the server says when it starts and when it is ready: what runs, where, on what, and what is switched on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from mainstay.serving.models.snapshot import Snapshot
from mainstay.serving.operations.release import python_release, release


def start_lines(addresses: Mapping[str, str], switched_on: Iterable[str]) -> list[str]:
    """Return the lines that are logged when the server listens.

    Args:
        addresses: By protocol, where it listens.
        switched_on: What is on beside the models, such as ``TLS``.

    >>> start_lines({"REST": "http://127.0.0.1:8501"}, ["metrics"])[-2:]
    ['listening on http://127.0.0.1:8501 for REST', 'with metrics']
    """
    parts = [f"mainstay {release() or 'from a checkout'}", f"Python {python_release()}"]
    parts += [
        f"{name} {found}" for name, package in (("JAX", "jax"), ("NumPy", "numpy")) if (found := release(package))
    ]
    lines = [f"{', '.join(parts)}, process {os.getpid()} on {os.cpu_count()} CPUs"]
    lines += [f"listening on {address} for {protocol}" for protocol, address in addresses.items()]
    names = list(switched_on)
    lines.append(f"with {', '.join(names)}" if names else "with nothing switched on beside the models")
    return lines


def ready_lines(snapshot: Snapshot) -> list[str]:
    """Return the lines that are logged once the models answer."""
    lines = []
    devices = _devices()
    if devices:
        lines.append(f"devices: {devices}")
    for model, versions in sorted(snapshot.servables.items()):
        for number, servable in sorted(versions.items()):
            names = ", ".join(sorted(servable.endpoints)) or "no signature"
            labels = sorted(label for label, of in snapshot.labels.get(model, {}).items() if of == number)
            known = f" ({', '.join(labels)})" if labels else ""
            lines.append(f"model {model} version {number}{known}: {names}")
    return lines


def _devices() -> str:
    """Return what models run on, where that is known already: nothing is imported or started for a log line."""
    jax: Any = sys.modules.get("jax")
    if jax is None:
        return ""
    try:
        devices = jax.local_devices()
    except RuntimeError:  # no backend could be started; whoever needs one says so
        return ""
    kinds: dict[str, int] = {}
    for device in devices:
        kind = f"{device.platform} ({device.device_kind})"
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(kind if count == 1 else f"{count} × {kind}" for kind, count in kinds.items())
