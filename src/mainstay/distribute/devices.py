"""Which devices a strategy means: TensorFlow's names, JAX's names and JAX's devices, checked before anything runs."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import jax

from mainstay.core import ArgumentError, SetupError

# `cpu:0`, `/gpu:1`, `/device:GPU:1`, `/job:localhost/replica:0/task:0/device:GPU:1`
_NAME = re.compile(r"(?:/job:\w+/replica:\d+/task:\d+)?/?(?:device:)?(?P<kind>cpu|gpu|tpu)(?::(?P<index>\d+))?", re.I)


def resolve_device(device: str | jax.Device) -> jax.Device:
    """Return the device of this process that a name stands for.

    Args:
        device: A device of JAX, or a name such as ``"gpu:0"``, ``"/gpu:0"`` or ``"/device:GPU:0"``. The number counts
            the devices of that kind which this process can use.

    Raises:
        ArgumentError: The name has another form.
        SetupError: There is no such device here.
    """
    if isinstance(device, jax.Device):
        return device
    match = _NAME.fullmatch(device) if isinstance(device, str) else None
    if match is None:
        raise ArgumentError(
            "a device has another name",
            expected="a name such as cpu:0, /gpu:0 or /device:GPU:0, or a device of jax.devices()",
            received=repr(device),
        )
    kind, index = match["kind"].lower(), int(match["index"] or 0)
    try:
        there = jax.local_devices(backend=kind)
    except RuntimeError:  # JAX has no backend of that kind
        there = []
    if index >= len(there):
        raise SetupError(
            f"there is no device {kind}:{index}",
            expected=", ".join(f"{kind}:{number}" for number in range(len(there))) or f"no device of the kind {kind}",
            received=device,
            fix=_how_to_get_more(kind, len(there)),
        )
    return there[index]


def resolve_devices(devices: Sequence[str | jax.Device] | None) -> tuple[jax.Device, ...]:
    """Return the devices of a strategy, by default all of JAX's default kind in this process.

    Raises:
        ArgumentError: The list is empty, is no list, names a device twice or mixes kinds.
        SetupError: There is no such device here.
    """
    if devices is None:
        return tuple(jax.local_devices())
    if isinstance(devices, str | jax.Device) or not isinstance(devices, Sequence):
        raise ArgumentError("devices are given as a list", expected='a list such as ["cpu:0"]', received=repr(devices))
    found = tuple(resolve_device(device) for device in devices)
    names = [name_of(device) for device in found]
    if not found:
        raise ArgumentError("a strategy needs a device", expected="at least one device, or None", received="[]")
    if len(set(found)) < len(found):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ArgumentError(
            "a device is named twice", expected="each device once", received=", ".join(names), fix=f"drop {twice}"
        )
    if len({device.platform for device in found}) > 1:
        raise ArgumentError(
            "the devices are of different kinds",
            expected="only CPUs, only GPUs or only TPUs",
            received=", ".join(names),
        )
    return found


def name_of(device: jax.Device) -> str:
    """Return the short name of a device, such as ``gpu:1``."""
    return f"{device.platform}:{device.id}"


def _how_to_get_more(kind: str, count: int) -> str | None:
    if kind != "cpu":
        return None
    asked = re.search(r"xla_force_host_platform_device_count=(\d+)", os.environ.get("XLA_FLAGS", ""))
    if asked is not None and int(asked[1]) > count:
        return "set XLA_FLAGS before JAX starts: it was changed after JAX had counted its devices"
    return "set XLA_FLAGS=--xla_force_host_platform_device_count=N before JAX starts to split the CPU into N devices"
