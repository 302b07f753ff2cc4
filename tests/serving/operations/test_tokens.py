"""The access file."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.core import FormatError, StorageError
from mainstay.serving.operations.tokens import Identity, hash_token, new_token, read_identities


@pytest.fixture
def read(tmp_path):
    def run(document):
        path = tmp_path / "access.json"
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        return read_identities(path)

    return run


def file(*identities):
    return {"version": 1, "identities": list(identities)}


def somebody(**changes):
    item = {"name": "a", "token_sha256": "ab" * 32, **changes}
    return {key: value for key, value in item.items() if value is not ...}


def test_a_token_is_known_by_its_hash(read):
    token, digest = new_token()
    found = read(file(somebody(token_sha256=digest, name="team-a", models=["a-*"], rights=["predict"])))
    identity = found.by_token(token.encode())
    assert identity == Identity("team-a", frozenset({"predict"}), ("a-*",))
    assert found.by_token(token.encode() + b"x") is None
    assert found.by_token(b"") is None


def test_tokens_are_long_and_never_the_same():
    tokens = {new_token()[0] for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) >= 43 for token in tokens)


def test_the_hash_is_plain_sha_256():
    assert hash_token("mst_x") == hashlib.sha256(b"mst_x").hexdigest()


def test_tokens_whose_hashes_begin_alike_are_told_apart(read):
    real = hash_token("x")
    near = real[:32] + "0" * 32
    found = read(file(somebody(token_sha256=near, name="near"), somebody(token_sha256=real, name="real")))
    assert found.by_token(b"x").name == "real"


def test_a_certificate_is_known_by_a_name_in_it(read):
    found = read(file(somebody(token_sha256=..., certificate="spiffe://a/b")))
    assert found.by_certificate["spiffe://a/b"].name == "a"


def test_somebody_may_predict_and_look_unless_it_says_otherwise(read):
    identity = read(file(somebody(certificate="c"))).by_certificate["c"]
    assert identity.may("predict", "m")
    assert identity.may("status", "")
    assert not identity.may("reload", "")
    assert not identity.may("metrics", "")


@pytest.mark.parametrize(
    ("patterns", "model", "may"),
    [(["*"], "m", True), (["m"], "m", True), (["m"], "mm", False), (["a-*", "b"], "a-x", True), ([], "m", False),
     (["m"], "M", False), (["?"], "m", True), (["[mn]"], "n", True)],
)  # fmt: skip
def test_models_are_given_by_patterns(patterns, model, may):
    assert Identity("a", models=tuple(patterns)).may("predict", model) is may


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1970-01-02", 86400.0), ("1970-01-01T01:00:00Z", 3600.0), ("1970-01-01T01:00:00+01:00", 0.0)],
)
def test_what_expires_does_so_at_a_moment(read, text, seconds):
    found = read(file(somebody(certificate="c", expires=text)))
    assert found.by_certificate["c"].expires == seconds


def test_nobody_at_all_is_a_file_too(read):
    assert read(file()).by_token(b"x") is None


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b"x" * (17 << 20),
        b"{",
        b"null",
        b"3",
        b"[]",
        b"{}",
        b'{"version": 1, "version": 1, "identities": []}',
        {"version": 2, "identities": []},
        {"version": True, "identities": []},
        {"version": "1", "identities": []},
        {"version": 1, "identities": {}},
        {"version": 1, "identities": [], "more": 1},
        file(3),
        file([]),
        file(somebody(name=...)),
        file(somebody(name="")),
        file(somebody(name="a\nb")),
        file(somebody(name=3)),
        file(somebody(token_sha256="ab")),
        file(somebody(token_sha256="zz" * 32)),
        file(somebody(token_sha256=None)),
        file(somebody(token_sha256=...)),
        file(somebody(), somebody(name="b")),
        file(somebody(certificate="c", token_sha256=...), somebody(certificate="c", name="b")),
        file(somebody(certificate="")),
        file(somebody(certificate=3)),
        file(somebody(rights="predict")),
        file(somebody(rights=["fly"])),
        file(somebody(rights=[3])),
        file(somebody(models="m")),
        file(somebody(models=[""])),
        file(somebody(models=None)),
        file(somebody(expires="soon")),
        file(somebody(expires=3)),
        file(somebody(expires="9999999-01-01")),
        file(somebody(password="x")),
    ],
)
def test_what_is_no_access_file_is_refused(read, document):
    with pytest.raises(FormatError):
        read(document)


def test_the_place_of_a_fault_is_named(read):
    with pytest.raises(FormatError, match=r"access.json: \$\.identities\[1\]\.expires"):
        read(file(somebody(), somebody(token_sha256="cd" * 32, expires="x")))


@given(st.binary(max_size=60))
def test_no_bytes_do_harm(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "hostile.json"
    path.write_bytes(data)
    with pytest.raises(FormatError):
        read_identities(path)


def test_a_file_that_is_not_there_or_no_file_is_refused(tmp_path):
    with pytest.raises(StorageError):
        read_identities(tmp_path / "none")
    with pytest.raises(StorageError):
        read_identities(tmp_path)
