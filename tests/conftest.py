"""The stage for every test that wants it; see tests/stage/README.md. Imported on use: most tests need no Discord."""

import contextlib
import ctypes
import gc
import os
import sys
from pathlib import Path

import psutil
import pytest

ROOMY_BYTES = 3 << 29

# Read while torch is imported. Processes of several threads each fight for the same cores, and sums have one order
# only where the number of threads is one everywhere.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

if sys.dont_write_bytecode and (_VENV := Path(__file__).parents[1] / ".venv").is_dir():
    # Otherwise each of the dozens of processes with torch compiles it anew, which is half of their start. In a folder
    # of its own: whoever wishes for no bytecode finds none beside the sources.
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(_VENV / "pycache")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


def keep_what_is_imported():
    """Without this every full collection of garbage walks through torch and discord.py once more."""
    gc.collect()
    gc.freeze()


def pytest_collection_finish():
    keep_what_is_imported()


def pytest_unconfigure():
    gc.unfreeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Networks lie in cycles, so gigabytes of a module's would stay until there are objects enough to look for some."""
    over = nextitem is None or nextitem.path != item.path
    if over and psutil.Process().memory_info().rss > ROOMY_BYTES:
        gc.collect()
        with contextlib.suppress(OSError, AttributeError, TypeError):  # glibc's alone
            ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(scope="session")
def _stages():
    from tests.stage.stage import open_stage

    keep_what_is_imported()
    return open_stage


@pytest.fixture(scope="session", autouse=True)
def _quick_databases(tmp_path_factory):
    """New databases are copies of one that went through the migrations, and nobody waits for the disk: a thousand tests
    open one. `migrate` itself, and every process of its own, are as they are for users."""
    from bot.storage import database

    migrate, migrated = database.migrate, b""

    def copied(path, *, busy_s):
        nonlocal migrated
        if not migrated:
            pattern = tmp_path_factory.mktemp("migrated") / "pincel.sqlite"
            migrate(pattern)
            migrated = pattern.read_bytes()
        if not path.exists():
            path.write_bytes(migrated)
        return migrate(path, busy_s=busy_s)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "migrate", copied)
        patch.setattr(database, "SYNCHRONOUS", "synchronous=OFF")
        yield


@pytest.fixture
async def make_stage(tmp_path, _stages):
    """`await make_stage(max_side=512)`: a stage with settings of its own, closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(**settings):
            return await stack.enter_async_context(_stages(tmp_path / "stage", **settings))

        yield make


@pytest.fixture
async def stage(make_stage):
    """The real bot in front of an emulated Discord, with a painter for a worker."""
    return await make_stage()
