from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def demo_dir():
    return Path(__file__).parents[3] / "data" / "demo"
