"""kill -9 of the playground, and of the bot, and what is still there afterwards."""

import asyncio
import json
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from bot import exit_codes
from bot.errors import StartupError
from bot.playground.child import PlaygroundProcess
from bot.playground.clock import WallClock
from bot.playground.person import Person
from bot.playground.server import Options, serve
from bot.playground.state import LocalDiscord

_ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow


async def start_bot(endpoints):
    from dataclasses import asdict

    script = Path(__file__).with_name("sample_bot.py")
    return await asyncio.create_subprocess_exec(
        sys.executable, str(script), json.dumps(asdict(endpoints)), cwd=_ROOT, env={"PYTHONPATH": str(_ROOT)}
    )


async def test_everything_is_killed_and_the_old_card_still_works(tmp_path):
    playground = PlaygroundProcess(tmp_path / "data")
    first = await playground.start()
    bot = await start_bot(first)
    member = await playground.person()
    await member.wait_for_bot(command="imagine")
    await member.slash("studio", "imagine", {"prompt": "kept"})
    card = await member.wait_for_message("studio", lambda m: len(m.media) == 4)
    await member.react(card, "⭐")
    picture = await member.download(card.media[2])
    ids = await member.boot()
    # The playground dies first: the bot must find it again by itself, on the same port.
    await playground.kill()
    await member.close()
    second = await playground.start()
    assert (second.token, second.api, second.gateway) == (first.token, first.api, first.gateway)
    assert second.page != first.page
    async with await playground.person() as member:
        again = await member.message("studio", card.id)
        assert again is not None
        assert (again.text, again.labels, again.reactions) == (card.text, card.labels, {"⭐": 1})
        assert await member.download(again.media[2]) == picture
        assert (await member.boot())["people"] == ids["people"]
        assert {row["name"] for row in (await member.commands("studio"))["slash"]} >= {"imagine", "style save"}
        await member.wait_for_bot()
        assert (await member.click(again, "Reroll")).kind == "message"
        # Now the bot: its buttons are persistent, so a new one answers the old card.
        bot.kill()
        await bot.wait()
        bot = await start_bot(second)
        await asyncio.sleep(0.5)
        await member.wait_for_bot()
        assert (await member.click(again, "Edit")).kind == "modal"
    bot.kill()
    await bot.wait()
    assert await playground.stop() == 0


async def test_interaction_tokens_nonces_and_open_forms_survive(tmp_path, clock):
    options = Options(tmp_path)

    async def with_wire(work):
        import aiohttp

        async with (
            serve(options, clock) as running,
            aiohttp.ClientSession() as session,
            await Person.enter(running.endpoints.page) as member,
        ):
            return await work(running, session, member)

    async def before(running, session, member):
        state = running.world.discord
        headers = {"Authorization": f"Bot {running.endpoints.token}"}
        api = running.endpoints.api
        command = [{"name": "go", "description": "d"}]
        await session.put(f"{api}/applications/{state.application_id}/commands", json=command, headers=headers)
        socket = await session.ws_connect(running.endpoints.gateway)
        await socket.send_json({"op": 2, "d": {"token": running.endpoints.token, "intents": 1}})
        for _ in range(3):
            await socket.receive()
        action = asyncio.create_task(member.slash("studio", "go"))
        opened = (await socket.receive_json())["d"]
        await session.post(f"{api}/interactions/{opened['id']}/{opened['token']}/callback", json={"type": 5})
        await action
        channel = opened["channel_id"]
        body = {"content": "once", "nonce": "abc", "enforce_nonce": True}
        async with session.post(f"{api}/channels/{channel}/messages", json=body, headers=headers) as answer:
            sent = (await answer.json())["id"]
        return opened["token"], state.application_id, channel, sent

    token, application, channel, sent = await with_wire(before)

    async def after(running, session, member):
        api = running.endpoints.api
        headers = {"Authorization": f"Bot {running.endpoints.token}"}
        url = f"{api}/webhooks/{application}/{token}/messages/@original"
        async with session.patch(url, json={"content": "still mine"}) as answer:
            assert answer.status == 200
        await member.wait_for_message("studio", lambda m: m.content == "still mine" and not m.loading)
        body = {"content": "twice", "nonce": "abc", "enforce_nonce": True}
        async with session.post(f"{api}/channels/{channel}/messages", json=body, headers=headers) as answer:
            assert (await answer.json())["id"] == sent
        clock.advance(16 * 60)
        async with session.patch(url, json={"content": "x"}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (401, 50027)

    await with_wire(after)


async def test_ids_never_repeat_even_if_the_clock_goes_back(tmp_path):
    clock = WallClock()
    async with serve(Options(tmp_path), clock) as running, await Person.enter(running.endpoints.page) as member:
        first = int(await member.say("general", "a"))
    clock.elapsed = -3600
    async with serve(Options(tmp_path), clock) as running, await Person.enter(running.endpoints.page) as member:
        assert int(await member.say("general", "b")) > first
        assert [m.text for m in await member.messages("general")] == ["a", "b"]


async def test_growth_is_bounded(playground, member, monkeypatch):
    monkeypatch.setattr("bot.playground.state._MESSAGES_PER_CHANNEL", 5)
    await member.say("general", "0", {"f": ("a.txt", b"first")})
    first = (await member.messages("general"))[0]
    state: LocalDiscord = playground.world.discord
    stored = state.cdn.file_of(int(first.attachments[0]["id"]))
    assert stored.read_bytes() == b"first"
    for number in range(1, 7):
        await member.say("general", str(number))
    assert [m.text for m in await member.messages("general")] == ["2", "3", "4", "5", "6"]
    assert not stored.exists()


async def test_deleted_messages_take_their_files_along(playground, member):
    await member.say("general", "x", {"f": ("a.txt", b"x")})
    seen = (await member.messages("general"))[0]
    stored = playground.world.discord.cdn.file_of(int(seen.attachments[0]["id"]))
    await member.delete(seen)
    assert not stored.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
async def test_it_outlives_ctrl_c_and_ends_with_its_parent(tmp_path):
    playground = PlaygroundProcess(tmp_path)
    await playground.start()
    playground.process.send_signal(signal.SIGINT)
    await asyncio.sleep(0.3)
    async with await playground.person() as member:
        await member.say("general", "still here")
    assert await playground.stop() == 0


async def test_a_taken_port_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "es_ES.UTF-8")
    async with PlaygroundProcess(tmp_path / "a") as first:
        port = int(first.endpoints.api.split(":")[2].split("/")[0])
        with pytest.raises(StartupError) as refused:
            await PlaygroundProcess(tmp_path / "b", port).start()
        assert refused.value.exit_code == exit_codes.PORT_TAKEN
        assert "PINCEL_PLAYGROUND_PORT" in str(refused.value)
        assert "\n" not in str(refused.value)


async def test_a_folder_in_use_and_a_damaged_database_are_refused(tmp_path):
    async with serve(Options(tmp_path)):
        with pytest.raises(StartupError) as refused:
            async with serve(Options(tmp_path)):
                pass
        assert refused.value.exit_code == exit_codes.DATABASE
    (tmp_path / "playground.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(StartupError) as refused:
        async with serve(Options(tmp_path)):
            pass
    assert "playground.db" in refused.value.sentence


async def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path, monkeypatch):
    from bot.playground.person import Refused
    from bot.playground.records import Records

    real = Records._write

    def full(self, records):
        raise sqlite3.OperationalError("database or disk is full")

    async with serve(Options(tmp_path)) as running, await Person.enter(running.endpoints.page) as member:
        monkeypatch.setattr(Records, "_write", full)
        with pytest.raises(Refused, match=r"error\.disk"):
            await member.say("general", "kept in memory")
        monkeypatch.setattr(Records, "_write", real)
        await member.say("general", "and then written")
    async with serve(Options(tmp_path)) as running, await Person.enter(running.endpoints.page) as member:
        assert [m.text for m in await member.messages("general")] == ["kept in memory", "and then written"]
