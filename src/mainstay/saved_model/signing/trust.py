"""Trust: the keys whose signatures are accepted, and the keys and models that are revoked.

A policy is a JSON file, for it is what an operator reviews and rolls out:

::

    {
     "format": "mainstay.trust",
     "format_version": 1,
     "keys": [{"name": "release 2026", "public_key": "-----BEGIN PUBLIC KEY-----\\n...", "until": "2027-06-30"}],
     "revoked_keys": [{"sha256": "9f2c...", "reason": "laptop stolen"}],
     "revoked_models": [{"sha256": "41aa...", "reason": "trained on leaked labels"}]
    }

Rotation is a list of two keys for a while. There is no trusted clock in a signature, so a key's last day is compared
with today's: after it the key is no longer accepted, whenever it signed.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mainstay.core import ArgumentError, SignatureError, storage_errors
from mainstay.saved_model.signing.envelope import Envelope
from mainstay.saved_model.signing.keys import PublicKey
from mainstay.saved_model.signing.statement import Statement, strict_json

_FORMAT, _VERSION = "mainstay.trust", 1
_LARGEST_FILE = 1 << 24


@dataclass(frozen=True)
class Trust:
    """Whose signatures are accepted.

    Args:
        keys: The pinned keys; a signature of any of them is accepted.
        until: The last day of a key, by its `PublicKey.id`; others have none.
        revoked_keys: Why a key is no longer accepted, by its `PublicKey.id`: it wins over `keys`.
        revoked_models: Why a model is no longer accepted, by its digest, which `sign` and `verify` show.

    Raises:
        ArgumentError: There is no key.

    Example:
        >>> trust = Trust.of_keys("release.pub.pem")  # doctest: +SKIP
        >>> load("out/model", trust=trust)  # doctest: +SKIP
    """

    keys: tuple[PublicKey, ...]
    until: Mapping[str, datetime.date] = field(default_factory=dict)
    revoked_keys: Mapping[str, str] = field(default_factory=dict)
    revoked_models: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", tuple(self.keys))
        if not self.keys:
            raise ArgumentError("a policy without a key trusts nobody", expected="one public key or more")

    @classmethod
    def of_keys(cls, *paths: str | os.PathLike[str]) -> Trust:
        """Return the policy that accepts the keys of PEM files.

        Raises:
            ArgumentError: A file holds no public key.
            StorageError: A file cannot be read.
        """
        return cls(tuple(PublicKey.read(path) for path in paths))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Trust:
        """Return the policy of a JSON file.

        Raises:
            ArgumentError: The file holds no policy; the message says which part is wrong.
            StorageError: The file cannot be read.
        """
        with storage_errors(path, "read"):
            size = Path(path).stat().st_size
            content = Path(path).read_bytes() if size <= _LARGEST_FILE else b""
        try:
            return _policy(strict_json(content, "the policy"))
        except (SignatureError, ArgumentError) as error:
            raise ArgumentError(
                "this is no policy of trust",
                where=f"{os.fspath(path)}: {error.where}" if error.where else path,
                expected=error.expected,
                received=error.received or error.summary,
            ) from error

    def check(self, envelope: Envelope, *, today: datetime.date | None = None) -> tuple[Statement, PublicKey]:
        """Return the statement of a signature of a trusted key, and that key.

        Args:
            envelope: The signature.
            today: The day to compare a key's last one with; None for today's.

        Raises:
            SignatureError: No trusted key made it, the key's time is over, or key or model are revoked.
        """
        key = next((key for key in self.keys if key.verifies(envelope.signature, envelope.message)), None)
        if key is None:
            raise SignatureError(
                "no trusted key made the signature",
                expected=" or ".join(f"{key.name} {key.id[:16]}".strip() for key in self.keys),
                received=f"a key that calls itself {envelope.key[:16] or 'nothing'}",
                fix="sign the model with a trusted key, or add its key to the policy if you know whose it is",
            )
        if key.id in self.revoked_keys:
            raise SignatureError(
                "the key of the signature is revoked",
                received=f"{key.name} {key.id[:16]}: {self.revoked_keys[key.id]}",
                fix="sign the model with another key",
            )
        last = self.until.get(key.id)
        if last is not None and (today or datetime.date.today()) > last:
            raise SignatureError(
                "the time of the signature's key is over",
                expected=f"a key that is valid today, unlike {key.name} {key.id[:16]}, whose last day was {last}",
                fix="sign the model with another key",
            )
        statement = Statement.from_bytes(envelope.payload)
        if statement.digest in self.revoked_models:
            raise SignatureError(
                "the model is revoked",
                received=f"sha256 {statement.digest}: {self.revoked_models[statement.digest]}",
                fix="use another version of it",
            )
        return statement, key


def _policy(value: Mapping[str, Any]) -> Trust:
    known = {"format", "format_version", "keys", "revoked_keys", "revoked_models"}
    if value.get("format") != _FORMAT or value.get("format_version") != _VERSION or set(value) - known:
        raise ArgumentError(
            "it is of another format",
            where="$",
            expected=f"format {_FORMAT}, format_version {_VERSION} and some of {', '.join(sorted(known))}",
            received=", ".join(f"{key} {value[key]!r}" for key in ("format", "format_version") if key in value)
            + "".join(f", unknown key {key!r}" for key in sorted(set(value) - known)),
        )
    keys, until = [], {}
    for index, item in enumerate(_objects(value, "keys", {"name", "public_key", "until"})):
        key = PublicKey(item.get("public_key", ""), item.get("name", f"key {index}"))
        keys.append(key)
        if "until" in item:
            try:
                until[key.id] = datetime.date.fromisoformat(item["until"])
            except ValueError as error:
                raise ArgumentError(
                    "a last day is no date", where=f"$.keys[{index}].until", expected="YYYY-MM-DD", received=error
                ) from error
    revoked = [
        {item["sha256"]: item.get("reason", "") for item in _objects(value, name, {"sha256", "reason"}, "sha256")}
        for name in ("revoked_keys", "revoked_models")
    ]
    return Trust(tuple(keys), until, *revoked)


def _objects(
    value: Mapping[str, Any], name: str, keys: set[str], digest: str | None = None
) -> Sequence[dict[str, str]]:
    items = value.get(name, [])
    for index, item in enumerate(items if isinstance(items, list) else [items]):
        fits = isinstance(item, dict) and not set(item) - keys and all(isinstance(v, str) for v in item.values())
        if not fits or not isinstance(items, list) or (digest is not None and len(item.get(digest, "")) != 64):
            raise ArgumentError(
                "an entry is malformed",
                where=f"$.{name}[{index}]",
                expected=f"an object of texts with some of {', '.join(sorted(keys))}; a sha256 has 64 digits",
                received=item,
            )
    return list(items)
