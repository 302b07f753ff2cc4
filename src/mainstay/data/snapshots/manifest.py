"""The manifest of a snapshot: what its elements look like, and every file of it with its digest."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainstay.core import (
    ArgumentError,
    FormatError,
    IntegrityError,
    TensorSpec,
    digest_json,
    list_files,
    storage_errors,
    write_json,
)
from mainstay.data.specs import RaggedTensorSpec
from mainstay.data.structures import Structure

NAME, VERSION = "manifest.json", 1
_FORMAT = "mainstay-dataset"
_KEYS = {"format", "version", "element_spec", "compression", "shards", "digest"}
_PATH, _SHA256 = re.compile(r"data/[0-9]+-[0-9]+\.arrow(\.gz)?"), re.compile(r"[0-9a-f]{64}")
COMPRESSIONS = ("none", "lz4", "zstd", "gzip")


@dataclass(frozen=True)
class SnapshotFile:
    """A file of Arrow record batches.

    Args:
        path: Relative to the folder, with ``/``.
        size: Its bytes.
        sha256: Its digest.
        batches: How many elements each of its record batches has.
    """

    path: str
    size: int
    sha256: str
    batches: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many elements it has."""
        return sum(self.batches)


@dataclass(frozen=True)
class Manifest:
    """What a snapshot says about itself.

    Args:
        spec: The specs of the elements in their structure.
        compression: One of `COMPRESSIONS`.
        shards: The files of each shard in the order of their elements.
        has_names: Whether tuples in `spec` were named when it was written.
    """

    spec: Structure
    compression: str
    shards: tuple[tuple[SnapshotFile, ...], ...]
    has_names: bool = False

    @property
    def files(self) -> list[SnapshotFile]:
        """The files of all shards, one shard after the other."""
        return [file for shard in self.shards for file in shard]

    @property
    def rows(self) -> int:
        """How many elements there are."""
        return sum(file.rows for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, sealed with a digest of itself."""
        value = {
            "format": _FORMAT,
            "version": VERSION,
            "element_spec": spec_to_json(self.spec),
            "compression": self.compression,
            "shards": [[vars(file) | {"batches": list(file.batches)} for file in shard] for shard in self.shards],
        }
        return value | {"digest": digest_json(value)}

    def write(self, folder: Path) -> None:
        """Write it into the folder."""
        write_json(folder / NAME, self.to_json())


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a folder whose list of files and their sizes agree with it.

    Raises:
        StorageError: There is none.
        FormatError: It is of an unknown version, or no manifest.
        IntegrityError: It was edited, or a file is missing, was added or has another size.
    """
    path = folder / NAME
    with storage_errors(path, "read"):
        text = path.read_bytes()
    manifest = _parsed(text, path)
    expected = {file.path: file.size for file in manifest.files}
    found = {name: file.stat().st_size for name, file in list_files(folder).items() if name != NAME}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise IntegrityError(
                "a file of the snapshot is missing" if name not in found else "a file is not as it was written",
                where=folder / name,
                expected=f"{expected[name]} bytes" if name in expected else "no such file",
                received=f"{found[name]} bytes" if name in found else "nothing",
                fix="write the snapshot again, or restore the folder from a copy",
            )
    return manifest


def _parsed(text: bytes, path: Path) -> Manifest:
    try:
        value = json.loads(text)
        if value["format"] != _FORMAT:
            raise ValueError("another format")
        version = value["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            "this is no manifest of a snapshot", where=path, received=f"{text[:80]!r}: {error}"
        ) from error
    if version != VERSION:
        raise FormatError(
            "the snapshot is of an unknown version",
            where=path,
            expected=f"{VERSION} or less",
            received=version,
            fix="read it with the version of Mainstay that wrote it, or a later one",
        )
    if value.keys() != _KEYS:
        raise FormatError("the manifest has other keys", where=path, expected=sorted(_KEYS), received=sorted(value))
    sealed = value.pop("digest")
    if digest_json(value) != sealed:
        raise IntegrityError("the manifest was edited", where=path, expected=sealed, received=digest_json(value))
    try:
        shards = tuple(tuple(map(_file, shard)) for shard in value["shards"])
        if value["compression"] not in COMPRESSIONS:
            raise ValueError("unknown compression")
        spec = value["element_spec"]
        return Manifest(spec_from_json(spec), value["compression"], shards, '"names"' in json.dumps(spec))
    except (ValueError, KeyError, TypeError, AttributeError, ArgumentError) as error:
        raise FormatError(
            "the manifest breaks its rules", where=path, received=f"{type(error).__name__}: {error}"
        ) from error


def _file(value: Mapping[str, Any]) -> SnapshotFile:
    file = SnapshotFile(**{**value, "batches": tuple(value["batches"])})
    numbers = (file.size, *file.batches)
    if not _PATH.fullmatch(file.path) or not _SHA256.fullmatch(file.sha256):
        raise ValueError(f"no file of a snapshot: {file.path!r:.80}")
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError(f"no counts of {file.path}")
    return file


def spec_to_json(spec: Structure) -> Any:
    """Return specs in their structure as JSON; a named tuple is a tuple with the names beside.

    Raises:
        ArgumentError: A key of a dict is no text and no whole number.
    """
    if isinstance(spec, tuple):
        names = {"names": list(spec._fields)} if hasattr(spec, "_fields") else {}
        return {"tuple": [spec_to_json(item) for item in spec], **names}
    if isinstance(spec, Mapping):
        wrong = next((key for key in spec if type(key) not in (str, int)), None)
        if wrong is not None:
            raise ArgumentError("keys of saved elements are text or whole numbers", received=repr(wrong))
        return {"dict": [[key, spec_to_json(item)] for key, item in spec.items()]}
    if isinstance(spec, RaggedTensorSpec):
        return {"ragged": {"shape": list(spec.shape), "dtype": spec.dtype, "ragged_rank": spec.ragged_rank}}
    return None if spec is None else {"tensor": spec.to_json()}


def spec_from_json(value: Any) -> Structure:
    """Return the specs that `spec_to_json` wrote; a named tuple has become a tuple."""
    if value is None:
        return None
    kind = "tuple" if "tuple" in value else next(iter(value), None)
    if value.keys() - {kind} - ({"names"} if kind == "tuple" else set()):
        raise ValueError(f"no spec: {value!r:.80}")
    inner = value[kind]
    if kind == "tuple":
        return tuple(map(spec_from_json, inner))
    if kind == "dict":
        return {key: spec_from_json(item) for key, item in inner}
    if kind == "ragged":
        return RaggedTensorSpec(tuple(inner["shape"]), inner["dtype"], inner["ragged_rank"])
    if kind == "tensor":
        return TensorSpec.from_json(inner)
    raise ValueError(f"no spec: {value!r:.80}")
