"""Checks what lies in deploy/: by the linters that are installed, and by rules of Mainstay's own.

``python tools/check_deploy.py`` prints what is wrong, and which checks were left out because a program is missing.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
PROBES = {"startupProbe": "/startupz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
KINDS = {
    "ServiceAccount": "v1",
    "ConfigMap": "v1",
    "Deployment": "apps/v1",
    "Service": "v1",
    "PodDisruptionBudget": "policy/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
}
_SECONDS = 120
_MOST_EXPOSURE = 3.0  # of 10, by systemd's own measure


class CannotCheckError(Exception):
    """A program or a package is missing that a check needs."""


def serving_faults(words: list[str]) -> list[str]:
    """Return what is wrong with options of `mainstay serve`."""
    from mainstay.cli.serving_options import add_serving_options

    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False, add_help=False)
    add_serving_options(parser)
    try:
        _, unknown = parser.parse_known_args(words)
    except argparse.ArgumentError as error:
        return [str(error)]
    return [f"mainstay serve has no option {word}" for word in unknown]


def load_yaml(path: Path) -> Any:
    """Return the document of a YAML file.

    Raises:
        CannotCheckError: There is no reader of YAML.
    """
    if importlib.util.find_spec("yaml") is None:
        raise CannotCheckError("PyYAML is not installed")
    return importlib.import_module("yaml").safe_load(path.read_text())


def manifest_faults(folder: Path) -> list[str]:
    """Return what is wrong with the Kubernetes manifests of a folder, by rules of our own."""
    documents = {path.name: load_yaml(path) for path in sorted(folder.glob("*.yaml"))}
    faults = []
    for name, document in documents.items():
        kind = document.get("kind")
        if document.get("apiVersion") != KINDS.get(kind):
            faults.append(f"{name}: {kind} of {document.get('apiVersion')}, expected {KINDS.get(kind, 'a known kind')}")
    listed = set(documents.get("kustomization.yaml", {}).get("resources", []))
    faults += [f"kustomization.yaml: {name} is not there" for name in sorted(listed - set(documents))]
    for name, document in documents.items():
        if document.get("kind") == "Deployment":
            faults += [f"{name}: {fault}" for fault in _deployment_faults(document, documents)]
    return faults


def _deployment_faults(document: Any, documents: dict[str, Any]) -> Iterator[str]:
    spec = document["spec"]["template"]["spec"]
    labels = document["spec"]["template"]["metadata"]["labels"].items()
    if not document["spec"]["selector"]["matchLabels"].items() <= labels:
        yield "its selector does not select its own pods"
    for name, other in documents.items():
        selector = (
            other.get("spec", {}).get("selector") if other.get("kind") in ("Service", "PodDisruptionBudget") else None
        )
        if selector and not selector.get("matchLabels", selector).items() <= labels:
            yield f"{name} selects other pods"
    volumes = {volume["name"] for volume in spec.get("volumes", ())}
    for container in spec["containers"]:
        yield from _container_faults(container, volumes)
        if not serving_faults(container["args"]):
            yield from _time_faults(container["args"], spec.get("terminationGracePeriodSeconds", 30))
        target = {port["name"] for port in container["ports"]}
        for service in (other for other in documents.values() if other.get("kind") == "Service"):
            wanted = {port["targetPort"] for port in service["spec"]["ports"]}
            yield from (f"the Service sends to a port {name!r} that is not there" for name in sorted(wanted - target))
    if not spec.get("securityContext", {}).get("runAsNonRoot"):
        yield "it may run as root"


def _container_faults(container: Any, volumes: set[str]) -> Iterator[str]:
    yield from serving_faults(container["args"])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    given = dict(word.removeprefix("--").partition("=")[::2] for word in container["args"])
    for name, option in (("http", "rest-api-port"), ("grpc", "port")):
        if str(ports.get(name)) != given.get(option):
            yield f"--{option}={given.get(option)} but the port {name} is {ports.get(name)}"
    for probe, path in PROBES.items():
        found = container.get(probe, {}).get("httpGet", {})
        if found.get("path") != path or found.get("port") not in ports:
            yield f"{probe} asks {found.get('path')} of {found.get('port')}, expected {path}"
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False or security.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "it keeps privileges"
    if not security.get("readOnlyRootFilesystem"):
        yield "it may write to its own image"
    if not {"requests", "limits"} <= set(container.get("resources", {})):
        yield "it asks for no resources"
    for mount in container.get("volumeMounts", ()):
        if mount["name"] not in volumes:
            yield f"the volume {mount['name']} is not there"


def _time_faults(words: list[str], grace: int) -> Iterator[str]:
    given = dict(word.removeprefix("--").partition("=")[::2] for word in words)
    needed = float(given.get("shutdown-delay-seconds", 0)) + float(given.get("drain-timeout-seconds", 30))
    if grace <= needed:
        yield f"{grace} s of grace are too few for {needed:g} s of delay and draining"


def kustomize_faults(folder: Path) -> list[str]:
    """Return what `kubectl kustomize` says of a folder."""
    done = _run(["kubectl", "kustomize", str(folder)])
    return [] if done.returncode == 0 else [f"kubectl kustomize: {done.stderr.strip()}"]


def kubeconform_faults(folder: Path) -> list[str]:
    """Return what `kubeconform` says of a folder's manifests, held against the schemas that it finds."""
    files = [str(path) for path in sorted(folder.glob("*.yaml")) if path.name != "kustomization.yaml"]
    done = _run(["kubeconform", "-strict", "-ignore-missing-schemas", *files])
    return [] if done.returncode == 0 else [f"kubeconform: {(done.stdout + done.stderr).strip()}"]


def unit_faults(unit: Path) -> list[str]:
    """Return what systemd says of a unit, and what is wrong with the command line in it."""
    text = unit.read_text()
    joined = text.replace("\\\n", " ")
    commands = re.findall(r"^ExecStart=(.+)$", joined, re.MULTILINE)
    faults = [f"{unit.name}: one ExecStart is expected"] if len(commands) != 1 else []
    for command in commands:
        words = shlex.split(command)
        faults += [f"{unit.name}: {fault}" for fault in serving_faults(words[2:])]
    with tempfile.TemporaryDirectory() as folder:
        # The program need not be installed where its unit is checked.
        copy = Path(folder) / unit.name
        copy.write_text(re.sub(r"^ExecStart=.+$", "ExecStart=/bin/true", joined, flags=re.MULTILINE))
        for words in (
            ["systemd-analyze", "verify", "--man=no", str(copy)],
            ["systemd-analyze", "security", "--offline=yes", f"--threshold={int(10 * _MOST_EXPOSURE)}", str(copy)],
        ):
            done = _run(words)
            told = done.stderr if words[1] == "verify" else done.stdout
            if done.returncode:
                faults.append(f"{unit.name}: systemd-analyze {words[1]}: {told.strip()[-2000:]}")
    return faults


def image_faults(dockerfile: Path) -> list[str]:
    """Return what is wrong with a Dockerfile, by rules of our own."""
    text = dockerfile.read_text()
    lines = re.sub(r"\\\n", " ", text).splitlines()
    steps = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    faults = []
    if any(word == "FROM" and re.match(r"\S+$|\S+ ", rest) and ":" not in rest.split()[0] for word, rest in steps):
        faults.append("a base image has no tag")
    if re.search(r"https?://(?!127\.0\.0\.1)|--index-url|--extra-index-url", text):
        faults.append("it names an address")
    users = [rest for word, rest in steps if word == "USER"]
    if not users or users[-1].split(":")[0] in ("root", "0"):
        faults.append("it runs as root")
    if not any(word == "HEALTHCHECK" for word, _ in steps):
        faults.append("it has no health check")
    words = [word for step, rest in steps if step in ("ENTRYPOINT", "CMD") for word in re.findall(r'"([^"]*)"', rest)]
    faults += serving_faults(words[2:])
    return [f"{dockerfile.name}: {fault}" for fault in faults]


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    if shutil.which(words[0]) is None:
        raise CannotCheckError(f"{words[0]} is not installed")
    return subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)


CHECKS = (
    (manifest_faults, DEPLOY / "kubernetes"),
    (kustomize_faults, DEPLOY / "kubernetes"),
    (kubeconform_faults, DEPLOY / "kubernetes"),
    (unit_faults, DEPLOY / "systemd" / "mainstay.service"),
    (image_faults, DEPLOY / "docker" / "Dockerfile"),
)


def main() -> int:
    """Run every check and return the exit code."""
    failed = False
    for check, path in CHECKS:
        try:
            faults = check(path)
        except CannotCheckError as error:
            print(f"left out: {check.__name__}: {error}")
            continue
        failed = failed or bool(faults)
        print("\n".join(faults) if faults else f"fine: {check.__name__}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
