"""The stage for every test that wants it; see tests/stage/README.md. Imported on use: most tests need no Discord."""

import contextlib
import os

import pytest

# Read while torch is imported. Processes of several threads each fight for the same cores, and sums have one order
# only where the number of threads is one everywhere.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


@pytest.fixture
async def make_stage(tmp_path):
    """`await make_stage(max_side=512)`: a stage with settings of its own, closed at the end."""
    from tests.stage.stage import open_stage

    async with contextlib.AsyncExitStack() as stack:

        async def make(**settings):
            return await stack.enter_async_context(open_stage(tmp_path / "stage", **settings))

        yield make


@pytest.fixture
async def stage(make_stage):
    """The real bot in front of an emulated Discord, with a painter for a worker."""
    return await make_stage()
