import asyncio
import contextlib
import importlib.util
import sys
from pathlib import Path

import discord.asset
import discord.gateway
import discord.http
import pytest

from bot.playground.clock import WallClock
from bot.playground.person import Person
from bot.playground.redirect import point_discord_at
from bot.playground.server import Options, serve

_SAMPLE = Path(__file__).with_name("sample_bot.py")


@pytest.fixture(scope="session")
def sample_bot():
    """The module beside this file; import mode importlib knows no siblings."""
    spec = importlib.util.spec_from_file_location("playground_sample_bot", _SAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def unredirected(monkeypatch):
    """Puts discord.py's addresses back after the test."""
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    monkeypatch.setattr(
        discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY
    )
    monkeypatch.setattr(discord.asset.Asset, "BASE", discord.asset.Asset.BASE)


@pytest.fixture
def clock():
    return WallClock()


@pytest.fixture
async def playground(tmp_path, clock):
    async with serve(Options(tmp_path / "playground"), clock) as running:
        yield running


@contextlib.asynccontextmanager
async def running_bot(sample_bot, endpoints):
    point_discord_at(endpoints)
    async with sample_bot.Sample() as client:
        task = asyncio.create_task(client.start(endpoints.token))
        ready = asyncio.create_task(client.wait_until_ready())
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=20)
        if task.done():
            ready.cancel()
            task.result()
        yield client
        await client.close()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def bot(playground, sample_bot, unredirected):
    """A real discord.py client, connected over real sockets."""
    async with running_bot(sample_bot, playground.endpoints) as client:
        yield client


@pytest.fixture
async def open_page():
    """`await open_page(address, user, channel, size)`, in Chromium; see in_browser.py."""
    from tests.bot.playground.in_browser import open_browser

    async with open_browser() as opener:
        yield opener


@pytest.fixture
async def member(playground):
    async with await Person.enter(playground.endpoints.page, "Member") as person:
        yield person


@pytest.fixture
async def admin(playground):
    async with await Person.enter(playground.endpoints.page, "Admin") as person:
        yield person


@pytest.fixture
async def moderator(playground):
    async with await Person.enter(playground.endpoints.page, "Moderator") as person:
        yield person
