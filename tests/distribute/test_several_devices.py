"""What needs eight devices runs in processes whose CPU is split into eight: one per file of `several_devices/`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "several_devices"
FILES = sorted(file.name for file in FOLDER.glob("check_*.py"))


def run_on_eight_devices(command: list[str], folder: Path) -> str:
    # Eight devices on few cores gain nothing from fast code; compiling it would be most of the time.
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("name", FILES)
def test_eight_devices_pass_every_check(repository: Path, name: str) -> None:
    command = [sys.executable, "-m", "pytest", str(FOLDER / name), "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += ["-o", "python_files=check_*.py"]
    output = run_on_eight_devices(command, repository)
    assert "passed" in output
    assert "skipped" not in output


def test_the_programs_of_the_how_to_run(repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs" / "how-to" / "several-devices.md").read_text()
    (tmp_path / "train.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)))
    output = run_on_eight_devices([sys.executable, "train.py"], tmp_path)
    assert output.startswith("8 devices")
    assert (tmp_path / "model.keras").is_file()
