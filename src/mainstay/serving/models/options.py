"""How versions of models are found, loaded, kept and let go: one frozen value, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from mainstay.core import ArgumentError

TRANSITIONS = ("availability", "resources")
SEPARATE_COMPILATION = ("auto", "always", "never")


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionOptions:
    """How a server follows the folders and the configuration file that its models come from.

    Args:
        poll_seconds: How often the models' folders are looked at for new versions; 0 or less looks only at the start
            and when the configuration changes.
        config_file: The configuration file, a ``ModelServerConfig`` in the text format of protobuf, where there is one.
        config_poll_seconds: How often the configuration file is read again; 0 reads it once.
        max_load_retries: How often loading a version is tried again after an error that may go away, such as one of
            the file system. Files that are wrong are tried again only when they change.
        load_retry_seconds: How long to wait before trying again.
        load_threads: How many versions are loaded at a time.
        unload_threads: How many versions are unloaded at a time.
        transition: ``availability`` loads the new version before the old one goes, ``resources`` the other way round.
        memory_limit_bytes: How much memory all versions may need together, each estimated as 1.2 times the size of
            its files; None for no limit.
        labels_for_unavailable: Whether a new label may point to a version that is not loaded.
        require_all: Whether the server refuses to start unless each model has a version that can be loaded.
        warm_up: Whether the requests in ``assets.extra/tf_serving_warmup_requests`` are run before a version answers.
        warm_up_iterations: How often each of them is run.
        warm_up_every_size: Whether each of them is run in every compiled batch size as well.
        compile_apart: Whether a version is verified and compiled in a process of its own at low priority first, so
            that other models stay fast: ``auto`` does so while something is being served from a CPU.
        saved_model_tags: Which graph of a SavedModel of TensorFlow is served; empty for the only one, or the one for
            serving.

    Raises:
        ArgumentError: An option is out of its range.

    Example:
        >>> VersionOptions(poll_seconds=5.0).load_threads
        1
    """

    poll_seconds: float = 1.0
    config_file: Path | None = None
    config_poll_seconds: float = 0.0
    max_load_retries: int = 5
    load_retry_seconds: float = 60.0
    load_threads: int = 1
    unload_threads: int = 1
    transition: str = "availability"
    memory_limit_bytes: int | None = None
    labels_for_unavailable: bool = False
    require_all: bool = True
    warm_up: bool = True
    warm_up_iterations: int = 1
    warm_up_every_size: bool = False
    compile_apart: str = "auto"
    saved_model_tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        least = {"max_load_retries": 0, "load_threads": 1, "unload_threads": 1, "warm_up_iterations": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ArgumentError(f"{name} is out of range", expected=f"a whole number from {low}", received=value)
        for name in ("poll_seconds", "config_poll_seconds", "load_retry_seconds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ArgumentError(f"{name} is no time", expected="seconds", received=repr(value))
        if self.memory_limit_bytes is not None and self.memory_limit_bytes < 1:
            raise ArgumentError("memory_limit_bytes is out of range", received=self.memory_limit_bytes)
        for name, choices in (("transition", TRANSITIONS), ("compile_apart", SEPARATE_COMPILATION)):
            if getattr(self, name) not in choices:
                raise ArgumentError(
                    f"unknown {name}", expected=f"one of {', '.join(choices)}", received=getattr(self, name)
                )
