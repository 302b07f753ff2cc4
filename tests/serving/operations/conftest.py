"""Calls that have ended, an engine without a server, a checker of metrics as text, and certificates of our own."""

import asyncio
import datetime
import ipaddress
import re

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mainstay.serving.batching.outputs import Run
from mainstay.serving.calls import Call
from mainstay.serving.engine import Engine
from mainstay.serving.models.snapshot import Servable, Snapshot
from mainstay.serving.status import Code


@pytest.fixture
def engine():
    """An engine that serves versions 1 and 2 of a model m, and whose clock stands still."""
    loop = asyncio.new_event_loop()
    engine = Engine(loop)
    engine.snapshot = Snapshot({"m": {1: Servable("m", 1, {}), 2: Servable("m", 2, {})}})
    engine.clock = 1000.0
    engine.time = lambda: engine.clock
    yield engine
    loop.close()


@pytest.fixture
def ended(engine):
    """Make calls that have ended: `ended(version=2, code=Code.OK, ...)`; attributes of the call by name."""

    def make(version=2, *, method="Predict", api="REST", model="m", code=Code.OK, run=True, **more):
        call = Call(api, method, model, received=1000.0)
        call.servable = engine.snapshot.servables[model][version] if version is not None else None
        call.signature = "serving_default" if version is not None else ""
        call.code = code
        call.rows = 3
        call.submitted = 1000.001
        call.ended = 1000.010
        call.request_bytes, call.response_bytes = 100, 50
        if run is True and version is not None:
            call.run = Run(5, 1000.002, 1000.006, 8)
        elif run is not True:
            call.run = run
        for name, value in more.items():
            setattr(call, name, value)
        return call

    return make


NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
SUFFIXES = {"counter": ("",), "gauge": ("",), "unknown": ("",), "histogram": ("_bucket", "_sum", "_count")}


def read_labels(text):
    labels, place = {}, 0
    while place < len(text):
        found = LABEL.match(text, place)
        assert found, f"these are no labels: {text}"
        name, value, _ = found.groups()
        assert name not in labels, f"label {name} comes twice"
        labels[name] = value.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
        place = found.end()
    return labels


def check_histogram(name, buckets):
    bounds = [bound for bound, _ in buckets]
    counts = [count for _, count in buckets]
    assert bounds == sorted(set(bounds)), f"{name} has its buckets in disorder"
    assert bounds[-1] == float("inf"), f"{name} lacks the bucket +Inf"
    assert counts == sorted(counts), f"{name} has buckets that are not cumulative"


def lint(text, *, openmetrics=False):
    """Check metrics by the rules of the format and those of promtool, and return the samples by name and labels."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    assert text.endswith("\n"), "the last line has no end"
    lines = text[:-1].split("\n")
    if openmetrics:
        assert lines.pop() == "# EOF"
    samples, kinds, helps, finished, current = {}, {}, {}, set(), None
    histograms = {}
    for line in lines:
        assert line, "there is an empty line"
        assert line == line.strip()
        if line.startswith("# "):
            _, word, name, *rest = line.split(" ", 3)
            assert word in ("HELP", "TYPE"), line
            assert re.fullmatch(NAME, name), name
            if name != current:
                assert name not in finished, f"{name} is not in one piece"
                finished.add(current)
                current = name
            (helps if word == "HELP" else kinds).__setitem__(name, rest[0])
            continue
        found = SAMPLE.fullmatch(line)
        assert found, f"this is no sample: {line}"
        name, labels, value = found.group(1), read_labels(found.group(2) or ""), float(found.group(3))
        kind = kinds[current]
        family = current + "_total" if openmetrics and kind == "counter" else current
        assert name in [family + suffix for suffix in SUFFIXES[kind]], f"{name} is no sample of {current}"
        assert helps[current].strip(), f"{current} has no help"
        bound = labels.pop("le", None)
        key = tuple(sorted(labels.items()))
        if kind == "histogram":
            assert (bound is not None) == name.endswith("_bucket")
            entry = histograms.setdefault((current, key), {"buckets": []})
            if bound is not None:
                entry["buckets"].append((float(bound), value))
            else:
                entry[name[len(current) :]] = value
        else:
            assert bound is None
        if kind == "counter" and current.startswith("mainstay_"):
            assert name.endswith("_total"), f"the counter {name} does not say so"
        if kind in ("counter", "histogram") and not name.endswith("_sum"):
            assert value >= 0
        assert not re.search("_(ms|millis|microseconds|kb|kilobytes)(_|$)", current), f"{current} has no base unit"
        key = (name, tuple(sorted({**labels, **({"le": bound} if bound else {})}.items())))
        assert key not in samples, f"{key} comes twice"
        samples[key] = value
    for (name, _), entry in histograms.items():
        check_histogram(name, entry["buckets"])
        assert entry["_count"] == entry["buckets"][-1][1], f"{name} counts in two ways"
        assert "_sum" in entry
    return samples


@pytest.fixture(name="lint", scope="session")
def lint_fixture():
    """`lint(text)` checks metrics as text and returns `{(name, labels): value}`, labels sorted."""
    return lint


class Authority:
    """Issues certificates."""

    def __init__(self, name="authority"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, (), authority=True)
        self.pem = pem(self.certificate)

    def _sign(self, subject, key, names, *, authority=False):
        begin = datetime.datetime(2020, 1, 1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(datetime.datetime(2100, 1, 1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, common_name, *names):
        """Return certificate and key in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        alternatives = [
            x509.DNSName(name) if "://" not in name else x509.UniformResourceIdentifier(name) for name in names
        ]
        local = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = self._sign(subject, key, [*alternatives, local])
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return pem(certificate), secret.decode()


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="session")
def authority():
    return Authority()


@pytest.fixture(scope="session")
def other_authority():
    return Authority("somebody else")


@pytest.fixture
def server_files(tmp_path, authority):
    """Paths of a server's certificate, its key, and the authority."""
    certificate, key = authority.issue("server", "localhost")
    paths = tmp_path / "server.crt", tmp_path / "server.key", tmp_path / "authority.crt"
    for path, text in zip(paths, (certificate, key, authority.pem), strict=True):
        path.write_text(text)
    return paths


@pytest.fixture
def arrays():
    return {"total": np.arange(3, dtype=np.float32)}
