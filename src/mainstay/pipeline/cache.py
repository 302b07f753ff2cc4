"""Cache keys: everything that a step's result depends on, as one digest, and why a step must run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from mainstay.core import digest_json
from mainstay.pipeline.code import CodeReader, split_reference
from mainstay.pipeline.environment import keyed_part
from mainstay.pipeline.graph import Node

if TYPE_CHECKING:
    from mainstay.metadata import Execution

KEY_VERSION = 1
_PACKED = {".gz", ".zst", ".bz2", ".xz", ".zip", ".lz4", ".br", ".snappy"}


@dataclass(frozen=True)
class CacheKey:
    """What a step's result depends on.

    Args:
        step: The step's name in the pipeline.
        function: Its module and qualified name.
        version: The version that the decorator was given.
        code: The digest of its code.
        parameters: Its parameters as JSON values; a user's function by its code and name instead of its place.
        inputs: The digest of each input's content with the ending of its name, in order, by input name.
        environment: The versions of what computes.
    """

    step: str
    function: str
    version: int
    code: str
    parameters: Mapping[str, Any]
    inputs: Mapping[str, list[list[str]]]
    environment: Mapping[str, str]

    def digest(self) -> str:
        """Return the key as 64 hexadecimal digits; the order of mappings does not matter."""
        return digest_json({"key": KEY_VERSION, **{name: getattr(self, name) for name in self.__dataclass_fields__}})


def make_key(
    node: Node, code: CodeReader, inputs: Mapping[str, list[list[str]]], environment: Mapping[str, str]
) -> CacheKey:
    """Return the cache key of a step.

    Args:
        node: The step.
        code: Reads its code.
        inputs: See `CacheKey.inputs`.
        environment: See `environment.describe_environment`.
    """
    spec = node.spec
    parameters: dict[str, Any] = {}
    for name, value in node.parameters.items():
        if spec.parameters[name].code and value is not None:
            file, function = split_reference(value, f"{node.name}({name})")
            parameters[name] = {"code": code.file_digest(file), "function": function}
        else:
            parameters[name] = value
    return CacheKey(
        node.name,
        spec.path,
        spec.version,
        code.step_digest(spec.function),
        parameters,
        inputs,
        keyed_part(environment),
    )


def ending(path: PurePath) -> str:
    """Return what the name of a file says about its format, such as ``.csv`` or ``.csv.gz``, in lower case."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if not suffixes:
        return ""
    return "".join(suffixes[-2:]) if suffixes[-1] in _PACKED else suffixes[-1]


def explain(key: CacheKey, last: Execution | None) -> str:
    """Return why a step with this key must run, by what differs from its last complete execution.

    Args:
        key: The key of the step as it is now.
        last: The last complete execution of the step in its pipeline, if any.
    """
    if last is None:
        return "never run before"
    before = last.properties.get("key", {})
    reasons = [
        *_changed("parameters changed", before.get("parameters", {}), _plain(key.parameters)),
        *_changed("inputs changed", before.get("inputs", {}), _plain(key.inputs)),
        *(["code changed"] if (last.code_digest, last.type) != (key.code, key.function) else []),
        *(["version changed"] if before.get("version") != key.version else []),
        *_changed("environment changed", before.get("environment", {}), key.environment),
    ]
    return "; ".join(reasons) or "its result is not recorded"


def _changed(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = [name for name in sorted({*before, *now}) if before.get(name, ...) != now.get(name, ...)]
    return [f"{what}: {', '.join(names)}"] if names else []


def _plain(value: Any) -> Any:
    """Return a JSON value as it looks after being stored: sequences are lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
