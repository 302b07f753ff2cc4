"""What every test shares: a quiet JAX on the CPU, property tests that repeat exactly, and the shared data."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MAINSTAY_COMPILATION_CACHE", "off")

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Names binary parameters by their length: compressed bytes hold the time, and names must not differ by worker."""
    if isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable() and len(val) < 60):
        return f"{argname}-of-{len(val)}-bytes"
    return None


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data(repository: Path) -> Path:
    """The folder of real tables and models that lies beside some checkouts and is never part of one."""
    folder = repository.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside this checkout")
    return folder
