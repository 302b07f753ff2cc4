"""Who may call."""

import json
import os

import pytest

from mainstay.core import FormatError, PermissionDeniedError, UnauthenticatedError
from mainstay.serving.calls import Call
from mainstay.serving.operations.access import HEALTH_METHODS, RIGHT_OF_METHOD, AccessGate, AccessOptions
from mainstay.serving.operations.tokens import RIGHTS, new_token

TOKENS = {name: new_token() for name in ("reader", "operator", "late", "expired")}


def write(path, **changes):
    people = {
        "reader": {"models": ["m*"], "rights": ["predict", "metadata", "status"]},
        "operator": {"rights": list(RIGHTS)},
        "late": {"expires": "1970-01-01T00:01:00Z"},
        **changes,
    }
    identities = [{"name": name, "token_sha256": TOKENS[name][1], **more} for name, more in people.items()]
    identities.append({"name": "machine", "certificate": "batch.internal", "rights": ["predict"]})
    path.write_text(json.dumps({"version": 1, "identities": identities}))


@pytest.fixture
def path(tmp_path):
    write(tmp_path / "access.json")
    return tmp_path / "access.json"


@pytest.fixture
def gate(path):
    clock = [30.0]
    gate = AccessGate(AccessOptions(file=path), lambda: clock[0])
    gate.set_clock = lambda now: clock.__setitem__(0, now)
    return gate


def call(method="Predict", model="m", token=None, header=None, identity=""):
    made = Call("REST", method, model, received=0.0)
    made.identity = identity
    if token is not None:
        header = f"Bearer {TOKENS[token][0]}".encode()
    if header is not None:
        made.headers = {b"authorization": header}
    return made


def test_a_token_lets_its_owner_in_and_names_it(gate):
    made = call(token="reader")
    gate.check(made)
    assert made.identity == "reader"


def test_a_certificate_lets_its_owner_in(gate):
    made = call(identity="batch.internal")
    gate.check(made)
    assert made.identity == "machine"
    with pytest.raises(PermissionDeniedError, match="machine may not call GetModelStatus on model m"):
        gate.check(call("GetModelStatus", identity="batch.internal"))


@pytest.mark.parametrize(
    "header",
    [b"", b"Bearer", b"Bearer ", b"Basic dXNlcjpwYXNz", b"Bearer nobody", b"bearer \xff", b"Bearer " + b"x" * 100_000],
)
def test_whoever_shows_nothing_good_is_unknown(gate, header):
    with pytest.raises(UnauthenticatedError):
        gate.check(call(header=header))


def test_without_a_token_there_is_no_way_in(gate):
    with pytest.raises(UnauthenticatedError, match="carries no token"):
        gate.check(call())
    with pytest.raises(UnauthenticatedError, match="certificate is unknown"):
        gate.check(call(identity="somebody"))


def test_a_bad_token_is_not_made_good_by_a_certificate(gate):
    with pytest.raises(UnauthenticatedError):
        gate.check(call(header=b"Bearer nobody", identity="batch.internal"))


def test_the_word_bearer_may_be_written_in_any_case(gate):
    gate.check(call(header=b"bEARER " + TOKENS["reader"][0].encode()))


def test_models_that_are_not_somebody_s_are_refused(gate):
    gate.check(call(model="m2", token="reader"))
    with pytest.raises(PermissionDeniedError, match="reader may not call Predict on model secret"):
        gate.check(call(model="secret", token="reader"))


def test_reloading_needs_its_own_right(gate):
    with pytest.raises(PermissionDeniedError):
        gate.check(call("HandleReloadConfigRequest", "", token="reader"))
    gate.check(call("HandleReloadConfigRequest", "", token="operator"))


def test_a_token_ends_at_its_moment(gate):
    gate.set_clock(59.9)
    gate.check(call(token="late"))
    gate.set_clock(60.0)
    with pytest.raises(UnauthenticatedError, match="late shows has expired"):
        gate.check(call(token="late"))


@pytest.mark.parametrize("method", sorted({*RIGHT_OF_METHOD, *HEALTH_METHODS}))
def test_every_method_is_closed_to_strangers_unless_it_is_health(gate, method):
    if method in HEALTH_METHODS:
        gate.check(call(method, ""))
    else:
        with pytest.raises(UnauthenticatedError):
            gate.check(call(method))


def test_health_can_be_closed_and_metrics_opened(path):
    gate = AccessGate(AccessOptions(file=path, open_health=False, open_metrics=True))
    gate.check(call("GetMetrics", ""))
    gate.check(call("Health", "", token="reader"))
    with pytest.raises(UnauthenticatedError):
        gate.check(call("Health", ""))


def test_a_method_that_nobody_thought_of_is_nobody_s(gate):
    with pytest.raises(PermissionDeniedError):
        gate.check(call("Destroy", token="operator"))


def test_a_changed_file_is_in_force_at_the_next_look(gate, path):
    assert not gate.poll()
    write(path, expired={})
    assert gate.poll()
    gate.check(call(token="expired"))
    assert not gate.poll()


@pytest.mark.parametrize("text", ["", "{", "\x00", '{"version": 9, "identities": []}'])
def test_a_broken_file_leaves_everything_as_it_is(gate, path, caplog, text):
    path.write_text(text)
    assert not gate.poll()
    gate.check(call(token="reader"))
    assert "who may call stays as it is" in caplog.text


def test_a_file_that_vanishes_leaves_everything_as_it_is(gate, path):
    os.unlink(path)
    assert not gate.poll()
    gate.check(call(token="reader"))


def test_the_server_does_not_start_with_a_broken_file(path):
    path.write_text("{")
    with pytest.raises(FormatError):
        AccessGate(AccessOptions(file=path))
