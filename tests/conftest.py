"""What every test shares: a quiet JAX on the CPU, property tests that repeat exactly, and the shared data."""

import os
import zlib
from collections import Counter
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
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


_MANY_CASES = 150


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Takes one of so many cases, chosen by their names, of each long list beside a foreign program.

    `MAINSTAY_SAMPLE=3`, as the gate of every change has it, takes every third; without it all are taken.
    """
    share = int(os.environ.get("MAINSTAY_SAMPLE", "1"))
    foreign = [item for item in items if "/interop/" in item.path.as_posix()]
    sizes = Counter(item.path for item in foreign)
    left_out = {
        item
        for item in foreign
        if share > 1 and sizes[item.path] > _MANY_CASES and zlib.crc32(item.nodeid.encode()) % share
    }
    if left_out:
        config.hook.pytest_deselected(items=sorted(left_out, key=lambda item: item.nodeid))
        items[:] = [item for item in items if item not in left_out]


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
