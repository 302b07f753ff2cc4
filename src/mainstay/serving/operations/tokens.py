"""The access file: who may call, known by the hash of a token or the name in a certificate, and what they may do.

`docs/how-to/operate-the-server.md` has the format. Tokens themselves are never stored.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from mainstay.core import FormatError
from mainstay.serving.operations.text_protos import read_text

VERSION = 1
TOKEN_PREFIX = "mst_"
RIGHTS = ("predict", "metadata", "status", "reload", "metrics")
"""What an identity may be allowed to do."""

_DEFAULT_RIGHTS = frozenset({"predict", "metadata", "status"})
_KEYS = frozenset({"name", "token_sha256", "certificate", "expires", "models", "rights"})
_MOST_BYTES = 16 << 20
_START = 8


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who may call.

    Args:
        name: Who it is, for logs and rate limits.
        rights: What they may do, of `RIGHTS`.
        models: The models they may do it to; patterns such as ``team-a-*``.
        expires: When that ends, in seconds since 1970; None for never.
    """

    name: str
    rights: frozenset[str] = _DEFAULT_RIGHTS
    models: tuple[str, ...] = ("*",)
    expires: float | None = None

    def may(self, right: str, model: str) -> bool:
        """Whether they may do this to a model; an empty name stands for what concerns no model."""
        if right not in self.rights:
            return False
        models = self.models
        if not model or "*" in models or model in models:
            return True
        return any(fnmatchcase(model, pattern) for pattern in models)


class Identities:
    """Everybody who may call.

    Args:
        by_digest: By the SHA-256 of their token.
        by_certificate: By a name in their certificate.
    """

    def __init__(self, by_digest: Mapping[bytes, Identity], by_certificate: Mapping[str, Identity]) -> None:
        self.by_certificate = by_certificate
        self._by_start: dict[bytes, list[tuple[bytes, Identity]]] = {}
        for digest, identity in by_digest.items():
            self._by_start.setdefault(digest[:_START], []).append((digest, identity))

    def by_token(self, token: bytes) -> Identity | None:
        """Return whose token this is, or None; the time that it takes says nothing about any token."""
        digest = hashlib.sha256(token).digest()
        for known, identity in self._by_start.get(digest[:_START], ()):
            if hmac.compare_digest(known, digest):
                return identity
        return None


def new_token() -> tuple[str, str]:
    """Return a new token for a client and its hash for the access file.

    >>> token, digest = new_token()
    >>> token.startswith("mst_"), len(digest)
    (True, 64)
    """
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return token, hash_token(token)


def hash_token(token: str) -> str:
    """Return what stands for a token in an access file: its SHA-256 in hexadecimal.

    Tokens are long and random, so that a slow hash, as passwords need, would protect nothing more.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def read_identities(path: str | os.PathLike[str]) -> Identities:
    """Read an access file.

    Raises:
        StorageError: It cannot be read.
        FormatError: It is no such file; the place is named.
    """
    text = read_text(path, "the access file", most_bytes=_MOST_BYTES)
    try:
        document = json.loads(text, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        raise FormatError("the access file is no JSON", where=path, received=error) from error
    place = os.fspath(path)
    if not isinstance(document, dict) or set(document) != {"version", "identities"}:
        raise FormatError(
            "this is no access file", where=path, expected='{"version": 1, "identities": […]}', received=_kind(document)
        )
    if document["version"] != VERSION or type(document["version"]) is not int:
        raise FormatError(
            "an access file of another version", where=path, expected=VERSION, received=document["version"]
        )
    if not isinstance(document["identities"], list):
        raise FormatError("identities is no list", where=path, received=_kind(document["identities"]))
    digests: dict[bytes, Identity] = {}
    certificates: dict[str, Identity] = {}
    for number, item in enumerate(document["identities"]):
        where = f"{place}: $.identities[{number}]"
        _read_identity(item, where, digests, certificates)
    return Identities(digests, certificates)


def _read_identity(item: Any, where: str, digests: dict[bytes, Identity], certificates: dict[str, Identity]) -> None:
    if not isinstance(item, dict):
        raise FormatError("an identity is an object", where=where, received=_kind(item))
    unknown = sorted(set(item) - _KEYS)
    if unknown:
        raise FormatError("unknown key", where=where, expected=", ".join(sorted(_KEYS)), received=unknown[0])
    name = item.get("name")
    if not isinstance(name, str) or not name or not name.isprintable():
        raise FormatError("an identity has a name", where=f"{where}.name", expected="text", received=_kind(name))
    rights = _texts(item, "rights", where, sorted(_DEFAULT_RIGHTS))
    for right in rights:
        if right not in RIGHTS:
            raise FormatError("unknown right", where=f"{where}.rights", expected=", ".join(RIGHTS), received=right)
    identity = Identity(name, frozenset(rights), _texts(item, "models", where, ["*"]), _expiry(item, where))
    if "token_sha256" in item:
        digest = _digest(item["token_sha256"], f"{where}.token_sha256")
        if digest in digests:
            raise FormatError("two identities share a token", where=f"{where}.token_sha256")
        digests[digest] = identity
    if "certificate" in item:
        subject = item["certificate"]
        if not isinstance(subject, str) or not subject:
            raise FormatError("a certificate is known by a name in it", where=f"{where}.certificate")
        if subject in certificates:
            raise FormatError("two identities share a certificate", where=f"{where}.certificate", received=subject)
        certificates[subject] = identity
    if not {"token_sha256", "certificate"} & set(item):
        raise FormatError("nobody can be this identity", where=where, fix="give token_sha256 or certificate")


def _texts(item: dict[str, Any], key: str, where: str, default: list[str]) -> tuple[str, ...]:
    values = item.get(key, default)
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        raise FormatError(f"{key} is a list of texts", where=f"{where}.{key}", received=_kind(values))
    return tuple(values)


def _expiry(item: dict[str, Any], where: str) -> float | None:
    text = item.get("expires")
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (TypeError, ValueError, OverflowError):
        raise FormatError(
            "this is no moment", where=f"{where}.expires", expected="2030-01-31 or 2030-01-31T12:00:00Z", received=text
        ) from None


def _digest(text: Any, where: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except (TypeError, ValueError):
        digest = b""
    if len(digest) != 32:
        raise FormatError(
            "this is no SHA-256",
            where=where,
            expected="64 hexadecimal digits",
            fix="make one with mainstay.serving.new_token()",
        )
    return digest


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
