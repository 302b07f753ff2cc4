"""Signatures: made, checked, and refused whenever anything about key, statement or files is not as signed."""

import base64
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import ArtifactError, IntegrityError, SignatureError
from mainstay.saved_model import PrivateKey, Trust, load, new_signing_key, sign, verify, verify_signature
from mainstay.saved_model.folder import MANIFEST_FILE, SEAL_FILE, SIGNATURE_FILE, seal_of
from mainstay.saved_model.signing.envelope import Envelope, seal
from mainstay.saved_model.signing.statement import Statement


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two key pairs, `one` and `other`."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("one", "other"):
        new_signing_key(folder / f"{name}.pem")
    return folder


@pytest.fixture(scope="module")
def trust(keys: Path) -> Trust:
    return Trust.of_keys(keys / "one.pub.pem")


@pytest.fixture
def signed(artifact: Path, keys: Path, tmp_path: Path) -> Path:
    """A copy of the artifact, signed with the key `one`."""
    folder = tmp_path / "model"
    shutil.copytree(artifact, folder)
    sign(folder, keys / "one.pem")
    return folder


def test_a_signed_artifact_loads_under_the_key_that_signed_it(signed: Path, trust: Trust) -> None:
    report = verify_signature(signed, trust)
    assert report.key == "one.pub.pem"
    assert report.key_id == trust.keys[0].id
    assert report.files == len([file for file in signed.rglob("*") if file.is_file()]) - 1
    assert load(signed, replay=False, trust=trust).signatures
    assert load(signed, replay=False).signatures


def test_signing_again_replaces_the_signature_and_leaves_the_model_as_it_is(signed: Path, keys: Path) -> None:
    before = {file: file.read_bytes() for file in signed.rglob("*") if file.is_file()}
    report = sign(signed, keys / "other.pem")
    after = {file: file.read_bytes() for file in signed.rglob("*") if file.is_file()}
    assert {file for file in before if before[file] != after[file]} == {signed / SIGNATURE_FILE}
    assert set(before) == set(after)
    assert verify_signature(signed, Trust.of_keys(keys / "other.pub.pem")) == dataclasses.replace(
        report, key="other.pub.pem"
    )


def test_no_signature_is_refused_where_one_is_asked_for(artifact: Path, trust: Trust) -> None:
    with pytest.raises(SignatureError, match="not signed"):
        load(artifact, trust=trust)
    with pytest.raises(SignatureError, match="not signed"):
        verify(artifact, trust=trust)


def test_the_signature_of_another_key_is_refused(signed: Path, keys: Path) -> None:
    with pytest.raises(SignatureError, match="no trusted key"):
        load(signed, trust=Trust.of_keys(keys / "other.pub.pem"))


def test_two_keys_are_trusted_while_they_are_rotated(signed: Path, keys: Path) -> None:
    both = Trust.of_keys(keys / "other.pub.pem", keys / "one.pub.pem")
    assert verify_signature(signed, both).key == "one.pub.pem"
    sign(signed, keys / "other.pem")
    assert verify_signature(signed, both).key == "other.pub.pem"


def test_a_revoked_key_is_refused_though_it_is_pinned(signed: Path, trust: Trust) -> None:
    revoked = dataclasses.replace(trust, revoked_keys={trust.keys[0].id: "stolen"})
    with pytest.raises(SignatureError, match="revoked") as error:
        load(signed, trust=revoked)
    assert "stolen" in str(error.value)


def test_a_revoked_model_is_refused_whoever_signed_it(signed: Path, trust: Trust, keys: Path) -> None:
    model = verify_signature(signed, trust).model
    revoked = Trust.of_keys(keys / "one.pub.pem", keys / "other.pub.pem")
    revoked = dataclasses.replace(revoked, revoked_models={model: "leaked labels"})
    for key in ("one.pem", "other.pem"):
        sign(signed, keys / key)
        with pytest.raises(SignatureError, match="leaked labels"):
            load(signed, trust=revoked)


def _resealed(folder: Path) -> None:
    """Write the seal that goes with the manifest, as anybody can."""
    (folder / SEAL_FILE).write_bytes(seal_of((folder / MANIFEST_FILE).read_bytes()))


def _other_tolerance(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    for entry in manifest["signatures"].values():
        entry["tolerance"] = 0.5
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    _resealed(folder)


def _spaces_in_the_manifest(folder: Path) -> None:
    with open(folder / MANIFEST_FILE, "ab") as file:
        file.write(b" ")
    _resealed(folder)


def _an_asset_with_its_digest(folder: Path) -> None:
    import hashlib

    asset = next(file for file in (folder / "assets").iterdir())
    asset.write_bytes(asset.read_bytes() + b"more\n")
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    manifest["files"][f"assets/{asset.name}"] = {
        "size": asset.stat().st_size,
        "sha256": hashlib.sha256(asset.read_bytes()).hexdigest(),
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    _resealed(folder)


@pytest.mark.parametrize("edit", [_other_tolerance, _spaces_in_the_manifest, _an_asset_with_its_digest])
def test_an_edit_that_the_digests_cannot_see_is_refused(
    signed: Path, trust: Trust, edit: Callable[[Path], None]
) -> None:
    edit(signed)
    with pytest.raises(SignatureError, match="not what was signed"):
        load(signed, trust=trust)
    with pytest.raises(SignatureError, match="not what was signed"):
        verify_signature(signed, trust)


def test_a_file_that_was_added_is_refused(signed: Path, trust: Trust) -> None:
    (signed / "extra.txt").write_text("x")
    for check in (verify_signature, lambda path, trust: load(path, trust=trust)):
        with pytest.raises(IntegrityError, match="added"):
            check(signed, trust)


def test_a_damaged_model_is_not_signed(signed: Path, keys: Path) -> None:
    weights = next(signed.rglob("variables.data*"))
    content = bytearray(weights.read_bytes())
    content[0] ^= 1
    weights.write_bytes(content)
    before = (signed / SIGNATURE_FILE).read_bytes()
    with pytest.raises(IntegrityError):
        sign(signed, keys / "other.pem")
    assert (signed / SIGNATURE_FILE).read_bytes() == before


def test_what_is_no_saved_model_is_not_signed(tmp_path: Path, keys: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(ArtifactError, match="no saved model"):
            sign(folder, keys / "one.pem")


def test_a_saved_model_of_tensorflow_can_be_signed(tmp_path: Path, keys: Path, trust: Trust) -> None:
    (tmp_path / "m" / "variables").mkdir(parents=True)
    (tmp_path / "m" / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "m" / "variables" / "variables.index").write_bytes(b"index")
    assert sign(tmp_path / "m", keys / "one.pem").files == 2
    assert verify_signature(tmp_path / "m", trust).files == 2
    (tmp_path / "m" / "variables" / "variables.index").write_bytes(b"other")
    with pytest.raises(SignatureError, match="not what was signed"):
        verify_signature(tmp_path / "m", trust)
    (tmp_path / "m" / "variables" / "variables.index").unlink()
    with pytest.raises(SignatureError, match="missing"):
        verify_signature(tmp_path / "m", trust)


def test_a_signature_can_lie_elsewhere(artifact: Path, keys: Path, trust: Trust, tmp_path: Path) -> None:
    sign(artifact, keys / "one.pem", signature=tmp_path / "model.sig")
    assert not (artifact / SIGNATURE_FILE).exists()
    assert verify_signature(artifact, trust, signature=tmp_path / "model.sig").key == "one.pub.pem"


def _replaced(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the signed statement, and sign it anew with nothing: the signature stays."""
    bundle = json.loads((folder / SIGNATURE_FILE).read_text())
    change(bundle)
    (folder / SIGNATURE_FILE).write_text(json.dumps(bundle))


def _with_payload(bundle: dict[str, Any]) -> None:
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    payload["predicate"]["resources"] = []
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()


BUNDLES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another payload": _with_payload,
    "another kind of payload": lambda bundle: bundle["dsseEnvelope"].update(payloadType="text/plain"),
    "another bundle": lambda bundle: bundle.update(mediaType="application/json"),
    "two signatures": lambda bundle: bundle["dsseEnvelope"]["signatures"].append({"sig": "", "keyid": ""}),
    "no signature": lambda bundle: bundle["dsseEnvelope"].update(signatures=[]),
    "no base64": lambda bundle: bundle["dsseEnvelope"].update(payload="%%%"),
    "a certificate": lambda bundle: bundle.update(verificationMaterial={"certificate": {"rawBytes": ""}}),
    "an empty signature": lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig=""),
    "a number for a key": lambda bundle: bundle["verificationMaterial"]["publicKey"].update(hint=7),
    "no envelope": lambda bundle: bundle.pop("dsseEnvelope"),
}


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_that_was_changed_is_refused(signed: Path, trust: Trust, name: str) -> None:
    _replaced(signed, BUNDLES[name])
    with pytest.raises(SignatureError):
        verify_signature(signed, trust)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"\xff", b'{"a":1,"a":2}', b"NaN", b"[" * 100_000, b'{"mediaType": Infinity}'],
)
def test_what_is_no_bundle_is_refused(signed: Path, trust: Trust, content: bytes) -> None:
    (signed / SIGNATURE_FILE).write_bytes(content)
    with pytest.raises(SignatureError):
        verify_signature(signed, trust)


def test_a_statement_that_contradicts_itself_is_refused_though_it_is_signed(
    signed: Path, trust: Trust, keys: Path
) -> None:
    key = PrivateKey.read(keys / "one.pem")
    good = json.loads(Statement("m", {"a": "0" * 64}).to_bytes())
    resource = good["predicate"]["resources"][0]
    for change in (
        {"predicate": {**good["predicate"], "resources": [resource, resource]}},
        {"predicate": {**good["predicate"], "resources": [{**resource, "digest": "0"}]}},
        {"predicate": {**good["predicate"], "resources": [{**resource, "algorithm": "md5"}]}},
        {"predicate": {**good["predicate"], "resources": [7]}},
        {"predicate": {"serialization": {"method": "shards"}, "resources": []}},
        {"subject": []},
        {"subject": [{"name": "m", "digest": {"sha256": "1" * 64}}]},
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"predicateType": "https://slsa.dev/provenance/v1"},
    ):
        payload = json.dumps({**good, **change}).encode()
        unsigned = Envelope(payload, b"", "")
        (signed / SIGNATURE_FILE).write_bytes(Envelope(payload, key.sign(unsigned.message), "").to_bytes())
        with pytest.raises(SignatureError):
            verify_signature(signed, trust)


FILES = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20),
    st.text("0123456789abcdef", min_size=64, max_size=64),
    max_size=20,
)


@given(FILES, st.randoms())
def test_a_statement_comes_back_and_its_digest_does_not_depend_on_the_order(files: dict[str, str], random: Any) -> None:
    statement = Statement("m", files, ("sig",))
    again = Statement.from_bytes(statement.to_bytes())
    assert dict(again.files) == files
    shuffled = list(files.items())
    random.shuffle(shuffled)
    assert Statement("n", dict(shuffled)).digest == statement.digest == again.digest


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_bytes_of_strangers_are_an_envelope_or_a_clear_error(content: bytes) -> None:
    try:
        Envelope.from_bytes(content)
    except SignatureError:
        return
    raise AssertionError("random bytes became an envelope")


def test_an_envelope_comes_back_from_its_bytes(keys: Path) -> None:
    envelope = seal(Statement("m", {"a": "0" * 64}), PrivateKey.read(keys / "one.pem"))
    assert Envelope.from_bytes(envelope.to_bytes()) == envelope
