"""Signatures of folders: `sign` writes one into a saved model, `verify_signature` says who vouches for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mainstay.core import ArtifactError, SignatureError, atomic_file, storage_errors
from mainstay.saved_model.folder import (
    MANIFEST_FILE,
    SIGNATURE_FILE,
    all_digests,
    file_digest,
    find_files,
    map_file,
    read_sealed_manifest,
    verify_files,
)
from mainstay.saved_model.manifest_reading import read_manifest
from mainstay.saved_model.signing.envelope import Envelope, seal
from mainstay.saved_model.signing.keys import PrivateKey
from mainstay.saved_model.signing.statement import Statement
from mainstay.saved_model.signing.trust import Trust

_LARGEST_FILE = 1 << 26


@dataclass(frozen=True)
class SignatureReport:
    """Who vouches for a model.

    Args:
        key: The name of the key in the policy.
        key_id: Its `PublicKey.id`.
        model: The SHA-256 over the digests of all files, which a revocation names.
        files: How many files are signed.
    """

    key: str
    key_id: str
    model: str
    files: int


def sign(
    path: str | os.PathLike[str],
    key: str | os.PathLike[str] | PrivateKey,
    *,
    password: bytes | None = None,
    signature: str | os.PathLike[str] | None = None,
) -> SignatureReport:
    """Sign a saved model, so that others can tell who made it.

    The signature is in the format of OpenSSF model signing, version 1.0, and covers every file but itself; tools for
    that format verify it too. One that is there is replaced; the model's files stay as they are. A SavedModel that
    TensorFlow wrote can be signed as well.

    Args:
        path: The model's folder.
        key: The private key, or its PEM file; see `new_signing_key`.
        password: What the file is encrypted with.
        signature: Where to write; the default is ``assets.extra/mainstay/manifest.sig`` in the folder.

    Returns:
        The key and the digest of the model.

    Raises:
        ArgumentError: The key cannot be used.
        ArtifactError: There is no saved model.
        IntegrityError: The model was edited: it is not signed.
        StorageError: The file system refused.
    """
    folder = Path(path)
    private = key if isinstance(key, PrivateKey) else PrivateKey.read(key, password)
    digests = _digests(folder)
    target = folder / SIGNATURE_FILE if signature is None else Path(signature)
    statement = Statement(folder.resolve().name, digests, (SIGNATURE_FILE,))
    with atomic_file(target) as file:
        file.write(seal(statement, private).to_bytes())
    return SignatureReport(private.public.name, private.public.id, statement.digest, len(digests))


def verify_signature(
    path: str | os.PathLike[str], trust: Trust, *, signature: str | os.PathLike[str] | None = None
) -> SignatureReport:
    """Check that a trusted key vouches for every file of a saved model.

    Args:
        path: The model's folder.
        trust: Whose signatures are accepted.
        signature: Where the signature is; the default is ``assets.extra/mainstay/manifest.sig`` in the folder.

    Raises:
        SignatureError: There is no signature, no trusted key made it, or a file is not what was signed.
        IntegrityError: The folder holds a link or another special file.
        StorageError: A file cannot be read.
    """
    folder = Path(path)
    vouched = read_signature(folder, trust, signature=signature)
    vouched.compare(_digests(folder))
    return vouched.report


@dataclass(frozen=True)
class Vouched:
    """What a trusted key vouches for.

    Args:
        folder: The model's folder, for messages.
        files: The SHA-256 of each of its files by path, all but the signature.
        report: Whose key it is.
    """

    folder: Path
    files: Mapping[str, str]
    report: SignatureReport

    def compare(self, digests: Mapping[str, str]) -> None:
        """Refuse a folder that does not hold just what was signed.

        Args:
            digests: The SHA-256 of each file that is there by path, all but the signature.

        Raises:
            SignatureError: A file is missing, was added or is another one.
        """
        for name in sorted(set(digests) | set(self.files)):
            self.compare_file(name, digests.get(name))

    def compare_file(self, name: str, digest: str | None) -> None:
        """Refuse a file that is not what was signed; see `compare`.

        Args:
            name: Its path.
            digest: Its SHA-256, or None if it is not there.
        """
        signed = self.files.get(name)
        if signed == digest:
            return
        problem = "missing" if digest is None else "not signed" if signed is None else "not what was signed"
        raise SignatureError(
            f"a file is {problem}",
            where=f"{self.folder}: {name!r}",
            expected="only files that the signature covers" if signed is None else f"sha256 {signed}",
            received="no such file" if digest is None else f"sha256 {digest}",
            fix="copy the model again from where it was signed",
        )


def read_signature(folder: Path, trust: Trust, *, signature: str | os.PathLike[str] | None = None) -> Vouched:
    """Return what a trusted key vouches for; no other file of the folder is read.

    Args:
        folder: The model's folder.
        trust: Whose signatures are accepted.
        signature: Where the signature is.

    Raises:
        SignatureError: There is no signature, or no trusted key made it.
        StorageError: It cannot be read.
    """
    place = folder / SIGNATURE_FILE if signature is None else Path(signature)
    if not place.is_file():
        raise SignatureError(
            "the model is not signed", where=folder, expected=f"a signature at {place}", fix="sign it: mainstay sign"
        )
    with storage_errors(place, "read"), open(place, "rb") as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise SignatureError("the signature is too large", where=place, expected=f"up to {_LARGEST_FILE:,} bytes")
    try:
        statement, key = trust.check(Envelope.from_bytes(content))
    except SignatureError as error:
        parts = {name: getattr(error, name) for name in ("expected", "received", "fix")}
        raise SignatureError(error.summary, where=place, **parts) from error
    report = SignatureReport(key.name, key.id, statement.digest, len(statement.files))
    return Vouched(folder, statement.files, report)


def _digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file but the signature; an artifact's own digests must hold."""
    if (folder / MANIFEST_FILE).is_file():
        # Whoever signs vouches for the content, so a damaged model is not signed.
        manifest = read_sealed_manifest(folder)
        files = read_manifest(manifest).files
        verify_files(folder, files)
        return all_digests(manifest, files)
    if not (folder / "saved_model.pb").is_file():
        raise ArtifactError(
            "there is no saved model here",
            where=folder,
            expected=f"a folder with {MANIFEST_FILE} or saved_model.pb",
            received="a folder without them" if folder.is_dir() else "no such folder",
        )
    names = [name for name in find_files(folder) if name != SIGNATURE_FILE]
    return {name: file_digest(map_file(folder / name)) for name in names}
