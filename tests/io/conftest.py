from pathlib import Path

import pytest


@pytest.fixture
def shared_data():
    """The folder of shared data, where a checkout has it beside itself."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    return folder
