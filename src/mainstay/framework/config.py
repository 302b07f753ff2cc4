"""Settings of the whole process: whether functions run as plain Python, and which devices there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import jax

from mainstay import _absence
from mainstay.core import ArgumentError
from mainstay.framework.functions.function import switch

DEVICE_TYPES = ("CPU", "GPU", "TPU")


@dataclass(frozen=True)
class PhysicalDevice:
    """A device of this machine.

    Args:
        name: Its name, such as ``/physical_device:GPU:0``.
        device_type: ``CPU``, ``GPU`` or ``TPU``.
    """

    name: str
    device_type: str


@dataclass(frozen=True)
class LogicalDevice:
    """A device as programs see it.

    Args:
        name: Its name, such as ``/device:GPU:0``.
        device_type: ``CPU``, ``GPU`` or ``TPU``.
    """

    name: str
    device_type: str


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Make every `function` of the process run as plain Python, for print and a debugger, or compiled again.

    Args:
        run_eagerly: Whether to run as plain Python.

    Example:
        >>> run_functions_eagerly(True)
        >>> functions_run_eagerly()
        True
        >>> run_functions_eagerly(False)
    """
    switch.is_eager = bool(run_eagerly)


def functions_run_eagerly() -> bool:
    """Return whether every `function` of the process runs as plain Python."""
    return switch.is_eager


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """Return the devices of this process.

    Args:
        device_type: ``CPU``, ``GPU`` or ``TPU``; None for all of them.

    Raises:
        ArgumentError: The device type is another one.
    """
    return [PhysicalDevice(f"/physical_device:{kind}:{index}", kind) for kind, index in _devices(device_type)]


def list_logical_devices(device_type: str | None = None) -> list[LogicalDevice]:
    """Return the devices that programs run on; each device is one of them.

    Args:
        device_type: ``CPU``, ``GPU`` or ``TPU``; None for all of them.

    Raises:
        ArgumentError: The device type is another one.
    """
    return [LogicalDevice(f"/device:{kind}:{index}", kind) for kind, index in _devices(device_type)]


if not TYPE_CHECKING:  # to a type checker it would mean that every name is there

    def __getattr__(name: str) -> NoReturn:
        raise AttributeError(_absence(name, "config."), name=name)


def _devices(device_type: str | None) -> list[tuple[str, int]]:
    if device_type not in (None, *DEVICE_TYPES):
        raise ArgumentError(
            "there is no such type of device", expected=f"one of {', '.join(DEVICE_TYPES)}", received=device_type
        )
    found = []
    for kind in DEVICE_TYPES:
        try:
            devices = jax.local_devices(backend=kind.lower())
        except RuntimeError:
            continue
        found += [(kind, index) for index in range(len(devices)) if device_type in (None, kind)]
    return found
