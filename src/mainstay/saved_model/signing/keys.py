"""Keys: elliptic curves P-256, P-384 and P-521, as OpenSSF model signing has them, in PEM files."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainstay.core import ArgumentError, StorageError, storage_errors

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

CURVES = ("secp256r1", "secp384r1", "secp521r1")
_LARGEST_FILE = 1 << 16


@dataclass(frozen=True)
class PublicKey:
    """A key that signatures are checked with.

    Args:
        pem: The key as a PEM text of the form ``SubjectPublicKeyInfo``, as OpenSSL writes it.
        name: What people call it.

    Raises:
        ArgumentError: The text is no public key of a supported curve.
    """

    pem: str
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "pem", _public_pem(self._key()))

    @property
    def id(self) -> str:
        """The SHA-256 of the PEM text as 64 hexadecimal digits, which signatures name the key by."""
        return hashlib.sha256(self.pem.encode()).hexdigest()

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether the owner of the key signed a message."""
        from cryptography.exceptions import InvalidSignature

        key = self._key()
        try:
            key.verify(signature, message, _scheme(key))
        except InvalidSignature:
            return False
        return True

    def _key(self) -> ec.EllipticCurvePublicKey:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            key: Any = load_pem_public_key(self.pem.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ArgumentError(
                "this is no public key",
                where=self.name or None,
                expected="a PEM text that begins with -----BEGIN PUBLIC KEY-----",
                received=error,
            ) from error
        known: ec.EllipticCurvePublicKey = _of_known_curve(key, self.name)
        return known

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> PublicKey:
        """Return the key of a PEM file, named after it.

        Raises:
            ArgumentError: The file holds no public key.
            StorageError: The file cannot be read.
        """
        try:
            return cls(_content(path).decode("ascii"), Path(path).name)
        except UnicodeDecodeError as error:
            raise ArgumentError("this is no public key", where=path, expected="a PEM file", received=error) from error


class PrivateKey:
    """A key that models are signed with.

    Args:
        content: A PEM file's content, possibly encrypted.
        password: What it is encrypted with.
        where: What it is called in messages.

    Raises:
        ArgumentError: It is no private key of a supported curve, or the password is wrong.
    """

    def __init__(self, content: bytes, password: bytes | None = None, *, where: str = "") -> None:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key: Any = load_pem_private_key(content, password)
        except TypeError as error:
            raise ArgumentError("the password does not go with the key", where=where or None, received=error) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ArgumentError(
                "this is no private key, or the password is wrong",
                where=where or None,
                expected="a PEM text that begins with -----BEGIN PRIVATE KEY-----",
                received=error,
            ) from error
        _of_known_curve(key, where)
        self._key: ec.EllipticCurvePrivateKey = key
        self.public = PublicKey(_public_pem(key.public_key()), Path(where).name)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, in DER."""
        return self._key.sign(message, _scheme(self._key))

    @classmethod
    def read(cls, path: str | os.PathLike[str], password: bytes | None = None) -> PrivateKey:
        """Return the key of a PEM file.

        Raises:
            ArgumentError: The file holds no private key, or the password is wrong.
            StorageError: The file cannot be read.
        """
        return cls(_content(path), password, where=os.fspath(path))


def new_signing_key(path: str | os.PathLike[str], *, password: bytes | None = None) -> PublicKey:
    """Make a key pair of the curve P-256: the private key at `path`, the public one beside it.

    Args:
        path: A new file, such as ``release.pem``; only its owner may read it. The public key is ``release.pub.pem``.
        password: What the private key is encrypted with; None leaves it as it is.

    Returns:
        The public key.

    Raises:
        StorageError: One of the files is there already, or the file system refused.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = Path(path)
    public = private.with_name(f"{private.stem}.pub{private.suffix or '.pem'}")
    for file in (private, public):
        if file.exists():
            raise StorageError("a key would be overwritten", where=file, fix="choose another name")
    key = ec.generate_private_key(ec.SECP256R1())
    encryption: serialization.KeySerializationEncryption = (
        serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    )
    content = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    made = PublicKey(_public_pem(key.public_key()), public.name)
    with storage_errors(private):
        private.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file_of_key:
            file_of_key.write(content)
        public.write_text(made.pem)
    return made


def _content(path: str | os.PathLike[str]) -> bytes:
    with storage_errors(path, "read"), open(path, "rb") as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise ArgumentError("this is no key", where=path, expected=f"a file of at most {_LARGEST_FILE:,} bytes")
    return content


def _of_known_curve(key: Any, where: str) -> Any:
    curve = getattr(getattr(key, "curve", None), "name", None)
    if curve not in CURVES:
        raise ArgumentError(
            "this kind of key is not supported",
            where=where or None,
            expected=f"an elliptic curve: {', '.join(CURVES)}",
            received=type(key).__name__ if curve is None else curve,
            fix="make a key with `mainstay new-key`",
        )
    return key


def _scheme(key: ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) -> ec.ECDSA:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    digests: dict[int, hashes.HashAlgorithm] = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
    return ec.ECDSA(digests[key.curve.key_size])


def _public_pem(key: ec.EllipticCurvePublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
