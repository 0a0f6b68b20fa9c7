from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.client import GuardedClient
from gpu_worker.protocol.nats.link import Link
from tests.contract.keyed import dialling
from tests.contract.nats_kit import LINK_TIMES


async def test_link_can_be_closed_at_any_moment(monkeypatch):
    """The library drops a cancellation that comes while it closes a connection that failed, and tries on."""
    trying = asyncio.Event()

    async def connect(client: GuardedClient, *_: object, **__: object) -> None:
        trying.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    monkeypatch.setattr(GuardedClient, "connect", connect)
    link = Link("nats://127.0.0.1:1", name="x", inbox="_INBOX.x", times=LINK_TIMES)
    link.open()
    async with asyncio.timeout(60):
        await trying.wait()
        await link.close()


async def test_connection_that_was_closed_on_purpose_is_no_warning(keyed, dial, caplog):
    caplog.set_level(logging.WARNING)
    link = await dial((await keyed.join("garage")).access)
    await link.close()
    assert caplog.text == ""


async def test_a_place_where_nobody_answers_is_told_as_one(caplog):
    link = Link("nats://127.0.0.1:1", name="x", inbox="_INBOX.x", times=LINK_TIMES)
    link.open()
    async with asyncio.timeout(60):
        while "nobody answers" not in caplog.text:
            await asyncio.sleep(0.01)
        await link.close()
    assert "broker at 127.0.0.1:1: nobody answers (" in caplog.text
    assert "tried again" in caplog.text


async def test_a_broker_that_hangs_up_is_not_told_as_nobody(monkeypatch, caplog):
    """It does so while it refuses a key."""

    async def connect(*_: object, **__: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(GuardedClient, "connect", connect)
    link = Link("nats://127.0.0.1:1", name="x", inbox="_INBOX.x", times=LINK_TIMES)
    link.open()
    async with asyncio.timeout(60):
        while "it closed the connection" not in caplog.text:
            await asyncio.sleep(0.01)
        await link.close()
    assert "nobody answers" not in caplog.text


async def test_a_key_that_cannot_be_read_is_told_and_its_connection_can_be_closed(caplog):
    access = Access(("nats://127.0.0.1:1",), seed="SUXAAAA")
    link = Link(access, name="x", inbox="_INBOX.x", times=LINK_TIMES)
    link.open()
    async with asyncio.timeout(60):
        while "our key cannot be read" not in caplog.text:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert link._keeper is not None
        assert not link._keeper.done()
        await link.close()
    assert "AAAA" not in caplog.text


@pytest.mark.parametrize("which", ["connect", "_attempt_reconnect"])
async def test_a_client_whose_tries_hang_is_given_up_for_a_new_one(keyed, dial, monkeypatch, which):
    """Seen on a busy machine: after a refusal nobody dialled any more."""
    hung = asyncio.Event()
    real = getattr(GuardedClient, which)

    async def hangs_once(self, *given, **named):
        if not hung.is_set():
            hung.set()
            await asyncio.Event().wait()
        await real(self, *given, **named)

    invite = await keyed.join("garage")
    monkeypatch.setattr(GuardedClient, which, hangs_once)
    link = await dial(dialling(invite, *invite.access.urls[:1]), up=False)
    if which != "connect":
        assert await link.wait_up(60)
        keyed.kill()
    async with asyncio.timeout(60):
        await hung.wait()
        while not link.connected:
            await asyncio.sleep(0.05)
