"""Which models a server has: TF Serving's configuration file, or names and paths, as one checked value."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mainstay.core import ArgumentError, FormatError, PreconditionError, StorageError, message_class
from mainstay.serving.contract import ServedModel

PLATFORMS = ("tensorflow", "mainstay")
"""What a model may be said to be; the files of a version say themselves what they are, and both load."""

POLICIES = ("latest", "all", "specific")

_TENSORFLOW_TYPE = 1
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """Which of the versions in a model's folder are served.

    Args:
        kind: ``latest``, ``all`` or ``specific``.
        count: How many of the latest.
        versions: The numbers of the specific ones.

    Raises:
        ArgumentError: There is no such policy.
    """

    kind: str = "latest"
    count: int = 1
    versions: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in POLICIES:
            raise ArgumentError("unknown version policy", expected=", ".join(POLICIES), received=self.kind)

    def choose(self, numbers: Iterable[int]) -> list[int]:
        """Return the numbers to serve of those that are there, ascending.

        Example:
            >>> VersionPolicy(count=2).choose([1, 10, 9])
            [9, 10]
        """
        there = sorted(set(numbers))
        if self.kind == "all":
            return there
        if self.kind == "specific":
            return [number for number in there if number in self.versions]
        return there[-max(self.count, 1) :]


@dataclass(frozen=True, slots=True)
class LoggingRule:
    """Which requests of a model are logged, and where.

    Args:
        type: The kind of log.
        filename_prefix: Where its files go.
        sampling_rate: How many of the requests, 0 to 1.
    """

    type: str = ""
    filename_prefix: str = ""
    sampling_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model of a server.

    Args:
        name: Its name.
        base_path: The folder with its versions in numbered folders, or a single saved model.
        model: The model itself, where it is in memory already.
        policy: Which versions are served.
        labels: Version numbers by label.
        platform: What it is said to be.
        logging: Which of its requests are logged; None for none.
    """

    name: str
    base_path: Path = Path()
    model: ServedModel | None = None
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = field(default_factory=dict)
    platform: str = "tensorflow"
    logging: LoggingRule | None = None


@dataclass(frozen=True, slots=True)
class FleetConfig:
    """All models of a server.

    Args:
        models: The models, each name once.

    Raises:
        ArgumentError: A name is there twice, cannot stand in a path, or a model has no absolute path.
    """

    models: tuple[ModelConfig, ...] = ()

    def __post_init__(self) -> None:
        seen = set()
        for model in self.models:
            if not model.name:
                raise ArgumentError("a model has no name", where=f"base_path {str(model.base_path)!r}")
            if set(model.name) & set(":/"):
                raise ArgumentError(
                    "a model's name cannot stand in a path", expected="no ':' and no '/'", received=model.name
                )
            if model.name in seen:
                raise ArgumentError(f"Illegal to list model {model.name} multiple times in config list")
            seen.add(model.name)
            if model.model is None and not model.base_path.is_absolute():
                raise ArgumentError(
                    f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
                )

    def by_name(self) -> dict[str, ModelConfig]:
        """Return the models by their names."""
        return {model.name: model for model in self.models}


def config_of_models(models: Mapping[str, str | os.PathLike[str] | ServedModel]) -> FleetConfig:
    """Return the configuration of models by name: paths, which may be relative, or models in memory.

    Raises:
        ArgumentError: A name cannot stand in a path.
    """
    return FleetConfig(
        tuple(
            ModelConfig(name, Path(given).absolute())
            if isinstance(given, str | os.PathLike)
            else ModelConfig(name, model=given)
            for name, given in models.items()
        )
    )


def read_config_file(path: str | os.PathLike[str]) -> FleetConfig:
    """Return the models of a configuration file, a ``ModelServerConfig`` in the text format of protobuf.

    Raises:
        StorageError: The file cannot be read.
        FormatError: It is malformed, or has an unknown field.
        ArgumentError: A model in it is wrong.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("the configuration file is no text", where=path, received=error) from error
    except OSError as error:
        raise StorageError("the configuration file cannot be read", where=path, received=error.strerror) from error
    return parse_config(text, where=str(path))


def parse_config(text: str, *, where: str = "") -> FleetConfig:
    """Return the models of a ``ModelServerConfig`` in the text format of protobuf.

    Args:
        text: The text.
        where: What it is called in errors.

    Raises:
        FormatError: It is malformed, or has an unknown field; `where` has the line and column.
        ArgumentError: A model in it is wrong.

    Example:
        >>> model = "name: 'm' base_path: '/m' model_platform: 'mainstay'"
        >>> config = parse_config(f"model_config_list {{ config {{ {model} }} }}")
        >>> config.models[0].policy.kind
        'latest'
    """
    from google.protobuf import text_format

    message = message_class("tensorflow.serving.ModelServerConfig")()
    try:
        text_format.Parse(text, message, descriptor_pool=message.DESCRIPTOR.file.pool)
    except text_format.ParseError as error:
        place = ":".join(str(part) for part in (where, error.GetLine(), error.GetColumn()) if part not in (None, ""))
        raise FormatError(
            "the configuration of models cannot be read",
            where=place,
            expected="a ModelServerConfig in the text format of protobuf",
            received=str(error).split(" : ", 1)[-1],
        ) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise FormatError("the configuration of models cannot be read", where=where, received=error) from error
    return config_of_message(message)


def config_of_message(message: Any) -> FleetConfig:
    """Return the models of a ``tensorflow.serving.ModelServerConfig`` message.

    Raises:
        ArgumentError: A model in it is wrong.
        PreconditionError: It is no list of models.
    """
    kind = message.WhichOneof("config")
    if kind == "custom_model_config":
        raise PreconditionError(
            "a custom model configuration is not known here", expected="model_config_list", received=kind
        )
    return FleetConfig(tuple(_model(config) for config in message.model_config_list.config))


def _model(config: Any) -> ModelConfig:
    return ModelConfig(
        config.name,
        Path(_without_scheme(config.base_path)),
        policy=_policy(config.model_version_policy),
        labels=dict(sorted(config.version_labels.items())),
        platform=_platform(config),
        logging=_logging(config),
    )


def _without_scheme(path: str) -> str:
    if path.startswith("file://"):
        return path.removeprefix("file://")
    if _SCHEME.match(path):
        raise ArgumentError(
            "models are read from the file system only",
            where="base_path",
            expected="an absolute path",
            received=path,
            fix="mount the storage, or copy the versions",
        )
    return path


def _platform(config: Any) -> str:
    if config.model_type:
        if config.model_platform:
            raise ArgumentError(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform."
            )
        if config.model_type != _TENSORFLOW_TYPE:
            raise ArgumentError(f"ModelServerConfig::model_type choice {config.model_type} not supported.")
        return PLATFORMS[0]
    if not config.model_platform:
        raise ArgumentError(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform.",
            where=f"model {config.name}",
            fix=f"say who wrote it: model_platform: {' or '.join(map(repr, PLATFORMS))}",
        )
    if config.model_platform not in PLATFORMS:
        raise ArgumentError(
            f"Model {config.name} requests unsupported platform {config.model_platform}",
            expected=" or ".join(PLATFORMS),
        )
    return str(config.model_platform)


def _policy(policy: Any) -> VersionPolicy:
    kind = policy.WhichOneof("policy_choice")
    if kind == "specific":
        return VersionPolicy("specific", versions=tuple(sorted(set(policy.specific.versions))))
    if kind == "all":
        return VersionPolicy("all")
    return VersionPolicy("latest", max(policy.latest.num_versions, 1))


def _logging(config: Any) -> LoggingRule | None:
    if not config.HasField("logging_config"):
        return None
    logging = config.logging_config
    collector = logging.log_collector_config
    rate = logging.sampling_config.sampling_rate
    if not 0 <= rate <= 1:
        raise ArgumentError("a sampling rate is out of range", where=config.name, expected="0 to 1", received=rate)
    return LoggingRule(collector.type, collector.filename_prefix, rate)


def check_change(old: FleetConfig, new: FleetConfig) -> None:
    """Refuse a configuration that cannot follow another one.

    Raises:
        ArgumentError: A model changes its platform.
    """
    before = old.by_name()
    for model in new.models:
        known = before.get(model.name)
        if known is not None and known.platform != model.platform:
            raise ArgumentError(
                f"Illegal to change a model's platform. For model {model.name} platform was {known.platform} and new "
                f"platform requested is {model.platform}"
            )
