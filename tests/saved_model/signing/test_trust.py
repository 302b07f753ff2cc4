"""Policies of trust: JSON files of pinned keys, last days and revocations."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from mainstay.core import ArgumentError, SignatureError, StorageError
from mainstay.saved_model import PrivateKey, PublicKey, Trust, new_signing_key
from mainstay.saved_model.signing.envelope import seal
from mainstay.saved_model.signing.statement import Statement


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "a.pem"
    new_signing_key(path)
    return path


@pytest.fixture(scope="module")
def public(key: Path) -> PublicKey:
    return PublicKey.read(key.with_name("a.pub.pem"))


def policy(public: PublicKey, **changes: Any) -> dict[str, Any]:
    entry = {"name": "release", "public_key": public.pem, "until": "2027-06-30"}
    return {"format": "mainstay.trust", "format_version": 1, "keys": [entry], **changes}


def test_a_policy_is_read_from_its_file(tmp_path: Path, public: PublicKey, key: Path) -> None:
    (tmp_path / "trust.json").write_text(json.dumps(policy(public)))
    trust = Trust.read(tmp_path / "trust.json")
    assert [(key.name, key.id) for key in trust.keys] == [("release", public.id)]
    envelope = seal(Statement("m", {"a": "0" * 64}), PrivateKey.read(key))
    statement, found = trust.check(envelope, today=datetime.date(2027, 6, 30))
    assert (statement.model, found.name) == ("m", "release")
    with pytest.raises(SignatureError, match="time of the signature's key is over"):
        trust.check(envelope, today=datetime.date(2027, 7, 1))


def test_revocations_are_read_from_the_file(tmp_path: Path, public: PublicKey, key: Path) -> None:
    statement = Statement("m", {"a": "0" * 64})
    envelope = seal(statement, PrivateKey.read(key))
    for name, digest in (("revoked_keys", public.id), ("revoked_models", statement.digest)):
        revoked = policy(public, **{name: [{"sha256": digest, "reason": "because"}]})
        (tmp_path / "trust.json").write_text(json.dumps(revoked))
        with pytest.raises(SignatureError, match="because"):
            Trust.read(tmp_path / "trust.json").check(envelope, today=datetime.date(2027, 1, 1))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"format": "other"}, "$"),
        ({"format_version": 2}, "$"),
        ({"revoked": []}, "$"),
        ({"keys": []}, ""),
        ({"keys": "text"}, "$.keys[0]"),
        ({"keys": [7]}, "$.keys[0]"),
        ({"keys": [{"public_key": "text"}]}, "key 0"),
        ({"keys": [{"public_key": 7}]}, "$.keys[0]"),
        ({"keys": [{"pem": "text"}]}, "$.keys[0]"),
        ({"revoked_keys": [{"reason": "no digest"}]}, "$.revoked_keys[0]"),
        ({"revoked_models": [{"sha256": "12"}]}, "$.revoked_models[0]"),
        ({"revoked_models": {"sha256": "0" * 64}}, "$.revoked_models[0]"),
    ],
)
def test_a_policy_that_is_wrong_is_refused_whole(
    tmp_path: Path, public: PublicKey, changes: dict[str, Any], place: str
) -> None:
    (tmp_path / "trust.json").write_text(json.dumps(policy(public, **changes)))
    with pytest.raises(ArgumentError, match="no policy of trust") as error:
        Trust.read(tmp_path / "trust.json")
    assert place in str(error.value.where)


def test_a_last_day_that_is_no_date_is_refused(tmp_path: Path, public: PublicKey) -> None:
    wrong = policy(public)
    wrong["keys"][0]["until"] = "next year"
    (tmp_path / "trust.json").write_text(json.dumps(wrong))
    with pytest.raises(ArgumentError, match="no policy of trust") as error:
        Trust.read(tmp_path / "trust.json")
    assert str(error.value.where).endswith("$.keys[0].until")


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"keys": [], "keys": []}'])
def test_what_is_no_policy_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "trust.json").write_bytes(content)
    with pytest.raises(ArgumentError, match="no policy of trust"):
        Trust.read(tmp_path / "trust.json")


def test_a_policy_that_is_absent_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        Trust.read(tmp_path / "absent.json")
