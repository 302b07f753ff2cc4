"""`mainstay new-key` and `mainstay sign`: keys, and signatures of saved models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mainstay import saved_model
from mainstay.cli.verification import newest_version
from mainstay.core import ArgumentError


def new_key(path: Path, *, password_variable: str | None = None) -> None:
    """Make a key pair and print where it is.

    Args:
        path: A new file for the private key.
        password_variable: The environment variable that holds the password to encrypt it with.

    Raises:
        ArgumentError: The variable is not set.
        StorageError: A file is there already, or the file system refused.
    """
    key = saved_model.new_signing_key(path, password=_password(password_variable))
    print(f"private key  {path}")
    print(f"public key   {path.with_name(key.name)}")
    print(f"key id       {key.id}")


def sign(path: Path, key: Path, *, password_variable: str | None = None) -> None:
    """Sign a saved model and print by which name it can be revoked.

    Args:
        path: The model's folder, or a folder of numbered versions, of which the newest is signed.
        key: The private key's file.
        password_variable: The environment variable that holds the key's password.

    Raises:
        ArgumentError: The key cannot be used.
        ArtifactError: The model is not whole.
        StorageError: The file system refused.
    """
    path = newest_version(path)
    report = saved_model.sign(path, key, password=_password(password_variable))
    print(f"signed  {path}, {report.files} files")
    print(f"key id  {report.key_id}")
    print(f"model   {report.model}")


def trust_of(policy: Path | None, keys: Sequence[Path], *, required: bool) -> saved_model.Trust | None:
    """Return whom to trust by the options of a command, or None where no signature is asked for.

    Args:
        policy: The file of ``--trust``.
        keys: The files of ``--public-key``.
        required: Whether ``--require-signature`` is given; a policy or a key alone asks for a signature too.

    Raises:
        ArgumentError: A signature is required, and of whom is not said, or is said twice.
    """
    if policy is not None and keys:
        raise ArgumentError("--trust and --public-key exclude each other", fix="put the keys into the policy")
    if policy is not None:
        return saved_model.Trust.read(policy)
    if keys:
        return saved_model.Trust.of_keys(*keys)
    if required:
        raise ArgumentError(
            "--require-signature needs to know whom to trust", expected="--trust POLICY.json or --public-key KEY.pem"
        )
    return None


def _password(variable: str | None) -> bytes | None:
    if variable is None:
        return None
    if variable not in os.environ:
        raise ArgumentError("the variable of the password is not set", where="--password-variable", received=variable)
    return os.environ[variable].encode()
