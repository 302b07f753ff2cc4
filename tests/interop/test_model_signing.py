"""The real `model_signing` of OpenSSF, in an environment of its own: it verifies our signatures, and we its."""

import subprocess
from pathlib import Path

import golden_artifact
import interop_env
import pytest

from mainstay.core import SignatureError
from mainstay.saved_model import Trust, new_signing_key, sign, verify_signature
from mainstay.saved_model.folder import SIGNATURE_FILE


@pytest.fixture(scope="module")
def model_signing(missing) -> Path:  # type: ignore[no-untyped-def]
    """The command of the real tool."""
    if not interop_env.is_current("model-signing"):
        missing(".interop/model-signing", "python tools/interop_env.py model-signing")
    return interop_env.python_of("model-signing").with_name("model_signing")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model, and beside it a key pair `key.pem`."""
    folder = tmp_path_factory.mktemp("signed")
    new_signing_key(folder / "key.pem")
    golden_artifact.write(folder / "model")
    return folder / "model"


def _run(command: Path, verb: str, model: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    words = [command, verb, "key", "--signature", model / SIGNATURE_FILE, *options, model]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_the_real_tool_verifies_our_signature_and_sees_an_edit(model_signing: Path, model: Path) -> None:
    sign(model, model.with_name("key.pem"))
    public = ("--public_key", model.with_name("key.pub.pem"))
    good = _run(model_signing, "verify", model, *public)
    assert good.returncode == 0, good.stdout + good.stderr
    asset = next((model / "assets").iterdir())
    content = asset.read_bytes()
    asset.write_bytes(content + b"x")
    assert _run(model_signing, "verify", model, *public).returncode != 0
    asset.write_bytes(content)


def test_we_verify_the_signature_of_the_real_tool(model_signing: Path, model: Path) -> None:
    (model / SIGNATURE_FILE).unlink(missing_ok=True)
    signed = _run(model_signing, "sign", model, "--private_key", model.with_name("key.pem"))
    assert signed.returncode == 0, signed.stdout + signed.stderr
    report = verify_signature(model, Trust.of_keys(model.with_name("key.pub.pem")))
    assert report.files == len([file for file in model.rglob("*") if file.is_file()]) - 1
    new_signing_key(model.with_name("other.pem"))
    with pytest.raises(SignatureError):
        verify_signature(model, Trust.of_keys(model.with_name("other.pub.pem")))
