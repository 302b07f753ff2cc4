"""Reloading: what one process does when it is told another configuration, or to read its files again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mainstay.core import MainstayError, RequestError, message_class
from mainstay.serving.models.config import FleetConfig, config_of_message, read_config_file
from mainstay.serving.models.fleet import Fleet, Reconfiguration
from mainstay.serving.status import logger

MESSAGE = "tensorflow.serving.ModelServerConfig"


class Reloading:
    """Reloads in one process.

    Args:
        fleet: The models.
        config_file: Where their configuration is; None where it is in no file.
        parts: What else has files to read again; each raises what is wrong with its own.
    """

    def __init__(
        self,
        fleet: Fleet,
        config_file: Path | None,
        parts: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._fleet = fleet
        self._config_file = config_file
        self._parts = tuple(parts)

    async def __call__(self, config: bytes) -> bytes:
        """Take a configuration.

        Args:
            config: A ``ModelServerConfig``; empty reads all files again.

        Returns:
            The models that it added and removed, as JSON.

        Raises:
            MainstayError: It is refused. Of several files, those that are right are in force all the same.
        """
        if config:
            return _described(await self._take(_config_of(config)))
        errors: list[MainstayError] = []
        for part in self._parts:
            try:
                part()
            except MainstayError as error:
                errors.append(error)
        changed = Reconfiguration()
        try:
            if self._config_file is not None:
                changed = await self._take(await asyncio.to_thread(read_config_file, self._config_file))
        except MainstayError as error:
            errors.append(error)
        if errors:
            raise errors[0]
        return _described(changed)

    async def _take(self, config: FleetConfig) -> Reconfiguration:
        changed = await self._fleet.reconfigure(config)
        told = [f"new models {', '.join(changed.added)}"] if changed.added else []
        told += [f"without {', '.join(changed.removed)}"] if changed.removed else []
        logger.info("the configuration is read and in force: %s", "; ".join(told) or "with the same models")
        return changed


def _config_of(data: bytes) -> FleetConfig:
    try:
        message: Any = message_class(MESSAGE).FromString(data)
    except Exception as error:  # protobuf's own, whose class depends on how it is built
        raise RequestError("this is no configuration of models", expected=MESSAGE) from error
    return config_of_message(message)


def _described(changed: Reconfiguration) -> bytes:
    return json.dumps({"added": changed.added, "removed": changed.removed}).encode()
