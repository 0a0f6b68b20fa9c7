"""Each transport has to pass every test of this folder: `farm` and `kit` come once per entry of `kits.KITS`."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.contract.farm import Farm, open_farm
from tests.contract.kits import KITS, Kit


@pytest.fixture(params=sorted(KITS))
def kit(request: pytest.FixtureRequest) -> Generator[Kit]:
    return KITS[request.param]


@pytest.fixture
async def farm(tmp_path: Path, kit: Kit) -> AsyncGenerator[Farm]:
    """One bot with one worker that is ready."""
    async with open_farm(tmp_path, kit) as opened:
        await opened.workers_ready()
        yield opened


@pytest.fixture
async def two(tmp_path: Path, kit: Kit) -> AsyncGenerator[Farm]:
    """One bot with two workers, both ready."""
    async with open_farm(tmp_path, kit, "w1", "w2") as opened:
        await opened.workers_ready(2)
        yield opened
