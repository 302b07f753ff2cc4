"""The reader of event files, as fixtures."""

from collections.abc import Callable
from pathlib import Path

import event_files
import pytest


@pytest.fixture(scope="session")
def read_events() -> Callable[[Path], list]:
    """Reads every event of a folder's files but those that say the version, file by file."""
    return event_files.read_events


@pytest.fixture(scope="session")
def read_values() -> Callable[[Path], list]:
    """Reads (tag, step, plugin, array) of every summary of a folder."""
    return event_files.read_values
