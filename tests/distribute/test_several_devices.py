"""What needs eight devices runs in processes whose CPU is split into eight: one per file of `several_devices/`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "several_devices"
FILES = sorted(file.name for file in FOLDER.glob("check_*.py"))


@pytest.mark.parametrize("name", FILES)
def test_eight_devices_pass_every_check(repository: Path, name: str) -> None:
    # Eight devices on few cores gain nothing from fast code; compiling it would be most of the time.
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-m", "pytest", str(FOLDER / name), "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += ["-o", "python_files=check_*.py"]
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout
