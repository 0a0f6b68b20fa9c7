"""Makes `setting` importable, and keeps torch to two threads, in which sums have one order."""

import sys
from pathlib import Path

import pytest

import gpu_worker.engine  # noqa: F401 (its environment must stand before torch is imported)

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def few_threads():
    import torch

    torch.set_num_threads(2)
