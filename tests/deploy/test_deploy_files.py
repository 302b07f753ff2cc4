"""What lies in deploy/ passes its linters and Mainstay's own rules, and these rules find what is wrong."""

import shutil
from pathlib import Path

import check_deploy
import pytest
from check_deploy import CHECKS, DEPLOY, CannotCheckError


@pytest.mark.parametrize(("check", "path"), CHECKS, ids=[check.__name__ for check, _ in CHECKS])
def test_the_files_are_fine(check, path):
    try:
        assert check(path) == []
    except CannotCheckError as error:
        pytest.skip(str(error))


@pytest.fixture
def manifests(tmp_path):
    """Change the manifests: `manifests(file, old, new)` returns what is found wrong then."""
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    folder = Path(shutil.copytree(DEPLOY / "kubernetes", tmp_path / "kubernetes"))

    def changed(name, old, new):
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return check_deploy.manifest_faults(folder)

    return changed


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        ("deployment.yaml", "--log-format=json", "--log-form=json", "mainstay serve has no option --log-form=json"),
        ("deployment.yaml", "--drain-timeout-seconds=40", "--drain-timeout-seconds=x", "is not a number of seconds"),
        ("deployment.yaml", "--rest-api-port=8501", "--rest-api-port=8502", "the port http is 8501"),
        ("deployment.yaml", "path: /readyz", "path: /healthz", "readinessProbe asks /healthz of http"),
        ("deployment.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "it may run as root"),
        ("deployment.yaml", "drop: [ALL]", "drop: []", "it keeps privileges"),
        ("deployment.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "write to its own image"),
        ("deployment.yaml", "terminationGracePeriodSeconds: 60", "terminationGracePeriodSeconds: 45", "of grace"),
        ("deployment.yaml", "- name: tmp\n              mount", "- name: temp\n              mount", "the volume temp"),
        ("deployment.yaml", "component: server", "component: other", "does not select its own pods"),
        ("service.yaml", "targetPort: grpc", "targetPort: rpc", "a port 'rpc' that is not there"),
        ("poddisruptionbudget.yaml", "component: server", "component: other", "selects other pods"),
        ("horizontalpodautoscaler.yaml", "autoscaling/v2", "autoscaling/v1", "expected autoscaling/v2"),
        ("kustomization.yaml", "- service.yaml", "- services.yaml", "services.yaml is not there"),
    ],
)
def test_a_fault_of_a_manifest_is_found(manifests, name, old, new, fault):
    assert any(fault in found for found in manifests(name, old, new))


def test_a_fault_of_a_unit_is_found(tmp_path):
    unit = tmp_path / "mainstay.service"
    unit.write_text((DEPLOY / "systemd" / "mainstay.service").read_text().replace("--unix-socket=", "--socket="))
    try:
        assert check_deploy.unit_faults(unit) == [
            "mainstay.service: mainstay serve has no option --socket=/run/mainstay/rest.sock"
        ]
        unit.write_text("[Service]\nExecStart=/bin/true serve\n")
        assert any("systemd-analyze security" in fault for fault in check_deploy.unit_faults(unit))
    except CannotCheckError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("USER 10001:10001\n", "", "it runs as root"),
        ("python:3.13-slim AS", "python AS", "a base image has no tag"),
        ("pip install", "pip install --index-url x", "it names an address"),
        ("HEALTHCHECK", "# HEALTHCHECK", "it has no health check"),
        ("--host=0.0.0.0", "--hosts=0.0.0.0", "mainstay serve has no option --hosts=0.0.0.0"),
    ],
)
def test_a_fault_of_the_image_is_found(tmp_path, old, new, fault):
    dockerfile = tmp_path / "Dockerfile"
    text = (DEPLOY / "docker" / "Dockerfile").read_text()
    assert old in text
    dockerfile.write_text(text.replace(old, new, 1))
    assert f"Dockerfile: {fault}" in check_deploy.image_faults(dockerfile)


def test_a_check_that_cannot_be_made_says_why(monkeypatch):
    monkeypatch.setattr(check_deploy.shutil, "which", lambda name: None)
    with pytest.raises(CannotCheckError, match="kubectl is not installed"):
        check_deploy.kustomize_faults(DEPLOY / "kubernetes")
