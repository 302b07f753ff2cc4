"""The statement that is signed: the digest of every file of a model, as an in-toto statement.

Its form is version 1.0 of the predicate of OpenSSF model signing. What a reader takes from it are names and digests
to compare with; no name is ever opened as a path.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mainstay.core import SignatureError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Statement:
    """What a signature vouches for.

    Args:
        model: The name of the model when it was signed; it is not part of what is checked.
        files: The SHA-256 of each file, as 64 hexadecimal digits, by its path with ``/``.
        ignored: The paths that were left out, such as that of the signature itself.
    """

    model: str
    files: Mapping[str, str]
    ignored: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The SHA-256 over the digests of all files, sorted by path: what the model as a whole is named by."""
        return _root_digest(dict(sorted(self.files.items())))

    def to_bytes(self) -> bytes:
        """Return the statement as JSON."""
        value = {
            "_type": _STATEMENT_TYPE,
            "subject": [{"name": self.model, "digest": {"sha256": self.digest}}],
            "predicateType": _PREDICATE_TYPE,
            "predicate": {
                "serialization": {
                    "method": "files",
                    "hash_type": "sha256",
                    "allow_symlinks": False,
                    "ignore_paths": list(self.ignored),
                },
                "resources": [
                    {"name": name, "algorithm": "sha256", "digest": digest}
                    for name, digest in sorted(self.files.items())
                ],
            },
        }
        return json.dumps(value, indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Statement:
        """Return the statement of a payload whose signature has been verified.

        Raises:
            SignatureError: It is no statement about the files of one model, or contradicts itself.
        """
        value = strict_json(data, "the signed statement")
        try:
            kinds = value["_type"], value["predicateType"], value["predicate"]["serialization"]["method"]
            (subject,) = value["subject"]
            digest = subject["digest"]["sha256"]
            serialization, resources = value["predicate"]["serialization"], value["predicate"]["resources"]
            files = {str(item["name"]): str(item["digest"]) for item in resources}
            algorithms = {item["algorithm"] for item in resources} | {serialization.get("hash_type", "sha256")}
            ignored = tuple(str(path) for path in serialization.get("ignore_paths", ()))
            name = str(subject["name"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SignatureError(
                "the signed statement is malformed", received=f"{type(error).__name__}: {error}"
            ) from error
        if kinds != (_STATEMENT_TYPE, _PREDICATE_TYPE, "files") or algorithms - {"sha256"}:
            raise SignatureError(
                "the signed statement is of another kind",
                expected=f"{_PREDICATE_TYPE} with the SHA-256 of each file",
                received=f"{kinds}, {sorted(map(str, algorithms))}",
                fix="sign the model with `mainstay sign`",
            )
        if len(files) != len(resources) or not all(_DIGEST.fullmatch(item) for item in files.values()):
            raise SignatureError("the signed statement lists a file twice, or a malformed digest")
        if digest != _root_digest(files):
            raise SignatureError(
                "the signed statement contradicts itself", expected=digest, received=_root_digest(files)
            )
        return cls(name, files, ignored)


def _root_digest(files: Mapping[str, str]) -> str:
    """Return the SHA-256 over the digests of files, in their order."""
    return hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in files.values())).hexdigest()


def strict_json(data: bytes, what: str) -> Any:
    """Return the JSON object of a text in UTF-8 that has no key twice and no number that is none.

    Raises:
        SignatureError: It is none.
    """
    try:
        value = json.loads(data, object_pairs_hook=_distinct, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise SignatureError(f"{what} is no JSON", received=error) from error
    if not isinstance(value, dict):
        raise SignatureError(f"{what} is no JSON object", received=type(value).__name__)
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return value


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")
