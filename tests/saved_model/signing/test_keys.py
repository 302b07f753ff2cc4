"""Keys: made, read, and refused with a message that says why."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mainstay.core import ArgumentError, StorageError
from mainstay.saved_model import PrivateKey, PublicKey, new_signing_key


def test_a_new_key_pair_signs_and_verifies(tmp_path: Path) -> None:
    public = new_signing_key(tmp_path / "keys" / "release.pem")
    private = PrivateKey.read(tmp_path / "keys" / "release.pem")
    assert PublicKey.read(tmp_path / "keys" / "release.pub.pem") == public
    assert private.public.id == public.id
    signature = private.sign(b"text")
    assert public.verifies(signature, b"text")
    assert not public.verifies(signature, b"texts")
    assert not public.verifies(b"", b"text")
    assert stat.S_IMODE((tmp_path / "keys" / "release.pem").stat().st_mode) == 0o600


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    new_signing_key(tmp_path / "a.pem")
    content = (tmp_path / "a.pem").read_bytes()
    with pytest.raises(StorageError, match="overwritten"):
        new_signing_key(tmp_path / "a.pem")
    assert (tmp_path / "a.pem").read_bytes() == content


def test_an_encrypted_key_needs_its_password(tmp_path: Path) -> None:
    new_signing_key(tmp_path / "a.pem", password=b"secret")
    assert b"ENCRYPTED" in (tmp_path / "a.pem").read_bytes()
    assert PrivateKey.read(tmp_path / "a.pem", b"secret").public.id
    for password in (None, b"wrong"):
        with pytest.raises(ArgumentError, match="password"):
            PrivateKey.read(tmp_path / "a.pem", password)
    new_signing_key(tmp_path / "b.pem")
    with pytest.raises(ArgumentError, match="password"):
        PrivateKey.read(tmp_path / "b.pem", b"needless")


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_each_curve_of_the_format_works(curve: ec.EllipticCurve) -> None:
    key = PrivateKey(_pem(ec.generate_private_key(curve)))
    assert key.public.verifies(key.sign(b"text"), b"text")


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_keys_of_another_kind_are_refused() -> None:
    for key in (ec.generate_private_key(ec.SECP256K1()), ed25519.Ed25519PrivateKey.generate()):
        with pytest.raises(ArgumentError, match="not supported"):
            PrivateKey(_pem(key))
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        with pytest.raises(ArgumentError, match="not supported"):
            PublicKey(public.decode())


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 10, b"-----BEGIN PUBLIC KEY-----\nAAAA\n"])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k.pem").write_bytes(content)
    with pytest.raises(ArgumentError, match="no public key"):
        PublicKey.read(tmp_path / "k.pem")
    with pytest.raises(ArgumentError, match="no private key"):
        PrivateKey.read(tmp_path / "k.pem")


def test_files_that_are_absent_or_huge_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        PublicKey.read(tmp_path / "absent.pem")
    (tmp_path / "huge.pem").write_bytes(b"x" * 100_000)
    with pytest.raises(ArgumentError, match="no key"):
        PrivateKey.read(tmp_path / "huge.pem")


def test_line_ends_do_not_change_a_keys_id(tmp_path: Path) -> None:
    public = new_signing_key(tmp_path / "a.pem")
    assert PublicKey(public.pem.replace("\n", "\r\n")).id == public.id
