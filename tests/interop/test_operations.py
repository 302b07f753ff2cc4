"""TensorFlow's client over TLS, with a certificate and a token; and TensorFlow reading the request log."""

import asyncio
import datetime
import json
import os
import subprocess
import threading
from pathlib import Path

import interop_env
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mainstay.core import Signature, TensorSpec
from mainstay.hostops import HostInput
from mainstay.serving import AccessOptions, ModelServer, ServerOptions, TlsOptions, new_token
from mainstay.serving.models.config import FleetConfig, LoggingRule, ModelConfig

CLIENT = Path(__file__).parent / "operations" / "client.py"
TOKEN, DIGEST = new_token()


class Doubling:
    """A signature that doubles its numbers."""

    inputs = (HostInput(TensorSpec([None], "float32", "x"), False),)
    signature = Signature((inputs[0].spec,), (TensorSpec([None], "float32", "total"),))
    buckets = (1, 2, 4, 8)

    def run(self, columns):
        return {"total": np.asarray(columns[0].values * 2, np.float32)}

    def warm_up(self, buckets=None):
        pass


class Model:
    signatures = {"serving_default": Doubling()}  # noqa: RUF012


def write_certificates(folder):
    """Write an authority, a server and a client of it, and a stranger who vouches for themselves."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", "server", "client", "stranger")}
    for name, key in keys.items():
        issuer = name if name in ("authority", "stranger") else "authority"
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime(2020, 1, 1))
            .not_valid_after(datetime.datetime(2100, 1, 1))
            .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(keys[issuer], hashes.SHA256())
        )
        (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def run_client(*arguments):
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "GRPC_VERBOSITY": "NONE"}
    command = [str(interop_env.python_of("serving")), str(CLIENT), *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | quiet, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found(tmp_path_factory, missing):
    """What the client found: how its calls ended, and what is in the log."""
    if not interop_env.is_current("serving"):
        missing(".interop/serving", "python tools/interop_env.py serving")
    folder = tmp_path_factory.mktemp("operations")
    write_certificates(folder)
    access = {"version": 1, "identities": [{"name": "tensorflow", "token_sha256": DIGEST, "rights": ["predict"]}]}
    (folder / "access.json").write_text(json.dumps(access))
    options = ServerOptions(
        rest_port=0,
        grpc_port=0,
        access=AccessOptions(file=folder / "access.json"),
        tls=TlsOptions(
            certificate=folder / "server.crt",
            key=folder / "server.key",
            client_authority=folder / "authority.crt",
            client_verify=True,
            client_names=("localhost", "client"),
        ),
    )
    rule = LoggingRule("tfrecord", str(folder / "log"), 1.0)
    server = ModelServer(FleetConfig((ModelConfig("m", model=Model(), logging=rule),)), options)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(60)
        calls = run_client(server.grpc_port, folder, TOKEN)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    return calls, run_client(0, folder, "")


@pytest.mark.parametrize(
    ("case", "outcome"),
    [
        ("with a token", [2.0, 4.0]),
        ("without a token", "UNAUTHENTICATED"),
        ("with a wrong token", "UNAUTHENTICATED"),
        ("without a certificate", "UNAVAILABLE"),
        ("with a stranger's certificate", "UNAVAILABLE"),
    ],
)
def test_tensorflow_s_client_is_let_in_or_not(found, case, outcome):
    assert found[0][case] == outcome


def test_tensorflow_reads_the_request_log(found):
    assert found[1] == [[[1.0, 2.0], [2.0, 4.0]]]
