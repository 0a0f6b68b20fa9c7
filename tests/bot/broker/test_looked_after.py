from __future__ import annotations

import asyncio
import json
import logging
import subprocess
from dataclasses import replace

import psutil
import pytest
from nats.aio.client import Client

from bot.broker.certificates import new_authority
from bot.broker.configuration import MAIN, USERS
from bot.broker.keys import BrokerError
from bot.broker.looked_after import LookedAfterBroker
from bot.broker.program import find_program
from bot.broker.seeds import new_seed
from bot.dispatch.nats.serving import Serving
from bot.dispatch.nats.streams import Streams
from bot.dispatch.nats.transport import BOT_INBOX
from bot.dispatch.outbox import Inputs
from gpu_worker.protocol.frames import pack
from gpu_worker.protocol.nats.access import BROKER_NAME, Access
from gpu_worker.protocol.nats.invite import read_invite
from gpu_worker.protocol.nats.link import Link
from gpu_worker.protocol.nats.mail import GONE, InputWanted
from gpu_worker.protocol.nats.subjects import Subjects, inbox_of
from tests.bot.broker.conftest import until
from tests.contract.keyed import KeyedBroker, dialling
from tests.contract.nats_kit import LINK_TIMES
from tests.contract.relay import Relay

SUBJECTS = Subjects()


async def answering(link: Link, subject: str) -> list[bytes]:
    """What comes there; each request is answered."""
    came: list[bytes] = []

    async def answer(message) -> None:
        came.append(message.data)
        if message.reply:
            await link.send(message.reply, b"yes")

    await link.subscribe(subject, answer)
    return came


# --- who is let in ----------------------------------------------------------------------------------------------------


async def test_machine_joins_by_its_invite_alone_and_can_do_all_of_its_work(keyed, dial):
    invite = read_invite((await keyed.join("garage")).text)
    bot = await dial(keyed.access, BOT_INBOX)
    machine = await dial(invite.access, inbox_of(invite.machine))
    await Streams(bot, SUBJECTS).prepare()
    came = await answering(bot, SUBJECTS.every("ev"))
    for worker in ("garage", "garage.2"):
        await answering(machine, SUBJECTS.commands(worker))
        await machine.send(SUBJECTS.events(worker), b"hello")
        await machine.store(SUBJECTS.chunk(worker, "j.1.0.png", 0), b"chunk")
        await machine.store(SUBJECTS.entry(worker, "j.1.fin"), b"end")
        assert (await bot.request(SUBJECTS.commands(worker), b"assign")).data == b"yes"
        await answering(bot, SUBJECTS.inputs(worker))
        assert (await machine.request(SUBJECTS.inputs(worker), b"wanted")).data == b"yes"
    await until(lambda: came == [b"hello"] * 2)
    assert await Streams(bot, SUBJECTS).senders() == {"garage", "garage.2"}


def other_authority(access: Access) -> Access:
    return replace(access, ca_pem=new_authority().certificate_pem.decode())


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        (other_authority, "not the one that is asked for"),
        (lambda access: replace(access, server_name="pincel-other"), "not the one that is asked for"),
        (lambda access: replace(access, seed=new_seed()), "does not let this key in"),
        (lambda access: replace(access, seed=""), "does not let this key in"),
        (lambda access: Access.plain(access.urls[0].replace("tls://", "nats://")), "not the one that is asked for"),
    ],
    ids=["another authority", "another name", "an unknown key", "no key", "no authority"],
)
async def test_nobody_else_is_let_in_and_the_log_says_what_to_do(keyed, dial, caplog, spoiled, said):
    caplog.set_level(logging.WARNING)
    access = (await keyed.join("garage")).access
    link = await dial(spoiled(replace(access, urls=access.urls[:1])), up=False)
    await until(lambda: said in caplog.text)
    assert not link.connected
    assert access.seed not in caplog.text


async def test_address_may_change_as_long_as_the_certificate_holds_the_brokers_name(keyed, dial):
    invite = await keyed.join("garage")
    assert (await dial(dialling(invite, keyed.url.replace("127.0.0.1", "localhost")))).connected


async def test_nothing_is_said_in_the_clear_where_tls_was_asked_for(dial):
    heard = b""

    async def pose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        info = {"server_id": "x", "version": "2.12.0", "max_payload": 2**20, "nonce": "n", "auth_required": True}
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        heard += await reader.read(1000)
        tried.set()
        writer.close()

    tried = asyncio.Event()
    async with await asyncio.start_server(pose, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await dial(Access((f"tls://someone:secret@127.0.0.1:{port}",), new_seed()), up=False)
        async with asyncio.timeout(60):
            await tried.wait()
    assert heard == b""


# --- what a key may ---------------------------------------------------------------------------------------------------


async def test_key_may_what_its_machine_needs_and_nothing_else(keyed):
    invite = await keyed.join("garage")
    await keyed.join("attic")
    errors: list[str] = []

    async def note(error: Exception) -> None:
        errors.append(str(error).lower())

    client = Client()
    await client.connect(
        [keyed.url], nkeys_seed_str=invite.access.seed, tls=invite.access.context(), tls_hostname=BROKER_NAME,
        error_cb=note,
    )  # fmt: skip
    publishes = [
        *(SUBJECTS.events(name) for name in ("attic", "garag", "garage2")), SUBJECTS.entry("attic", "j.1.fin"),
        SUBJECTS.chunk("attic", "j.1.0.png", 0), SUBJECTS.commands("attic"), SUBJECTS.commands("garage"),
        SUBJECTS.inputs("attic"), "_INBOX.bot.x", "_INBOX_attic.x", "_INBOX.keys.x", "other.ev.garage.1",
        f"$JS.API.STREAM.DELETE.{SUBJECTS.mailbox}", f"$JS.API.DIRECT.GET.{SUBJECTS.store}", "$JS.API.INFO",
        f"$JS.API.STREAM.PURGE.{SUBJECTS.store}", "$SYS.REQ.SERVER.PING", "$SYS.REQ.USER.INFO",
    ]  # fmt: skip
    listens = [
        SUBJECTS.commands("attic"), SUBJECTS.events("garage"), f"{SUBJECTS.prefix}.>", ">", "_INBOX.>", "_INBOX.bot.>",
        "*.cmd.garage.1", f"{SUBJECTS.prefix}.*.garage.1", f"{inbox_of('attic')}.>", "$JS.>", "$SYS.>",
    ]  # fmt: skip
    for subject in publishes:
        await client.publish(subject, b"x")
    for subject in listens:
        await client.subscribe(subject)
    await until(lambda: len(errors) >= len(publishes) + len(listens))
    for subject in (*publishes, *listens):
        assert any("permissions violation" in error and f'"{subject.lower()}"' in error for error in errors), subject
    await client.close()


async def test_receipt_that_is_asked_for_at_an_orders_subject_gives_no_order(keyed, dial):
    """The broker itself sends it, whatever the machine may."""
    bot = await dial(keyed.access, BOT_INBOX)
    streams = Streams(bot, SUBJECTS)
    await streams.prepare()
    attic = await dial((await keyed.join("attic")).access, inbox_of("attic"))
    for number in range(3):
        await attic.store(SUBJECTS.chunk("attic", "j.1.0.png", number), b"x")
    invite = await keyed.join("garage")
    client = Client()
    await client.connect(
        [keyed.url], nkeys_seed_str=invite.access.seed, tls=invite.access.context(), tls_hostname=BROKER_NAME,
        inbox_prefix=inbox_of("garage"),
    )  # fmt: skip
    orders = ("PURGE", "DELETE", "MSG.DELETE", "UPDATE")
    for number in range(10):
        for order in orders:
            name = SUBJECTS.entry("garage", f"j{number}.1.fin")
            await client.publish(name, b"x", reply=f"$JS.API.STREAM.{order}.{SUBJECTS.store}")
    await client.jetstream().publish(SUBJECTS.entry("garage", "last.1.fin"), b"x")
    info = await bot.streams().stream_info(SUBJECTS.store)
    assert info.state.messages == 3
    await client.close()


async def test_bot_answers_into_the_asking_machines_inbox_alone(keyed, dial, tmp_path):
    """It may send anywhere, and is not to be made to."""
    bot = await dial(keyed.access, BOT_INBOX)
    attic = await dial((await keyed.join("attic")).access, inbox_of("attic"))
    heard = await answering(attic, SUBJECTS.commands("attic"))
    serving = Serving(bot, SUBJECTS, Inputs(tmp_path), lambda name: False)
    serving.open(NobodyIsEntitled())  # pyright: ignore[reportArgumentType]
    await bot.subscribe(SUBJECTS.every("get"), serving.on_wanted)
    invite = await keyed.join("garage")
    client = Client()
    await client.connect(
        [keyed.url], nkeys_seed_str=invite.access.seed, tls=invite.access.context(), tls_hostname=BROKER_NAME,
        inbox_prefix=inbox_of("garage"),
    )  # fmt: skip
    wanted = pack(InputWanted(ref="0" * 64, offset=0))
    await client.publish(SUBJECTS.inputs("garage"), wanted, reply=SUBJECTS.commands("attic"))
    assert (await client.request(SUBJECTS.inputs("garage"), wanted, timeout=60)).data == GONE
    await bot.send(SUBJECTS.commands("attic"), b"last")
    await until(lambda: bool(heard))
    assert heard == [b"last"]
    await client.close()
    await serving.stop()


class NobodyIsEntitled:
    async def has_input(self, machine: str, ref: str) -> bool:
        return False


# --- revoking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [None, (2, 9)], ids=["by the system's account", "by a signal"])
async def test_revoked_key_is_cut_off_at_once_and_nobody_else(tmp_path, dial, version):
    async with KeyedBroker(tmp_path, version=version) as keyed:
        garage = await dial((await keyed.join("garage")).access)
        attic_invite = await keyed.join("attic")
        attic = await dial(attic_invite.access)
        bot = await dial(keyed.access)
        downs: list[str] = []
        attic.on_up(lambda: downs.append("attic"))
        bot.on_up(lambda: downs.append("bot"))
        await keyed.revoke("garage")
        await until(lambda: not garage.connected)
        assert not await garage.wait_up(0.5)
        assert (attic.connected, bot.connected, downs) == (True, True, [])
        assert (await dial(attic_invite.access)).connected


async def test_new_invite_makes_the_old_one_worthless(keyed, dial):
    old = await dial((await keyed.join("garage")).access)
    new = await keyed.join("garage")
    await until(lambda: not old.connected)
    assert (await dial(new.access)).connected


async def test_broker_that_is_away_takes_the_keys_when_it_is_back(keyed, dial, tmp_path):
    await keyed.join("garage")
    await keyed.keys.program.stop()
    invite, key = await keyed.keys.invite("attic")
    with pytest.raises(BrokerError, match="unreachable"):
        async with asyncio.timeout(60):
            await keyed.keys.allow({"attic": key})
    await keyed.keys.program.start()
    assert (await dial(invite.access)).connected


async def test_configuration_that_the_broker_refuses_is_told_and_nobody_is_cut_off(keyed, dial):
    link = await dial((await keyed.join("garage")).access)
    main = keyed.folder.served / MAIN
    main.write_text(main.read_text() + "nonsense {")
    with pytest.raises(BrokerError, match="refused"):
        await keyed.join("attic")
    assert link.connected


# --- its life ---------------------------------------------------------------------------------------------------------


async def test_killed_broker_is_started_again_and_everybody_comes_back(keyed, dial):
    bot = await dial(keyed.access, BOT_INBOX)
    machine = await dial((await keyed.join("garage")).access, inbox_of("garage"))
    streams = Streams(bot, SUBJECTS)
    await streams.prepare()
    await machine.store(SUBJECTS.entry("garage", "j.1.fin"), b"end")
    keyed.kill()
    await until(lambda: not bot.connected and not machine.connected)
    assert await bot.wait_up(60)
    assert await machine.wait_up(60)
    letter = await streams.next_letter("garage", 0)
    assert letter is not None
    assert letter.data == b"end"


async def test_next_bot_keeps_keys_and_certificate_and_ends_a_broker_that_was_left_behind(tmp_path, dial):
    first = KeyedBroker(tmp_path)
    await first.keys.start()
    invite = await first.join("garage")
    certificate = (first.folder.served / "broker.pem").read_bytes()
    left = first.keys.program.pid
    second = LookedAfterBroker(
        first.folder, listeners=first.keys._listeners, dial=first.keys._dial, addresses=first.keys.addresses,
        kind=first.keys._kind, program=find_program(), link_times=LINK_TIMES,
    )  # fmt: skip
    try:
        first.keys.program._keeper.cancel()  # as when its bot is killed
        await second.start()
        assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE
        assert (await dial(invite.access)).connected
        assert (first.folder.served / "broker.pem").read_bytes() == certificate
    finally:
        await second.stop()
        await first.keys.stop()


async def test_broker_that_cannot_start_is_told_with_its_last_words_and_the_bot_goes_on(tmp_path, caplog):
    async with KeyedBroker(tmp_path / "one") as one:
        other = KeyedBroker(tmp_path / "other")
        other.keys._listeners = one.keys._listeners
        async with other:
            await until(lambda: "the broker does not run" in caplog.text)
            assert "address already in use" in caplog.text
            with pytest.raises(BrokerError, match="unreachable"):
                await other.join("garage")


async def allowed(broker: LookedAfterBroker, keys: dict[str, str]) -> bool:
    try:
        await broker.allow(keys)
    except BrokerError as error:
        if error.reason != "unreachable":
            raise
        return False
    return True


async def test_server_elsewhere_reads_our_folder(tmp_path, dial):
    """Started by others, in a container of its own as a rule."""
    keyed = KeyedBroker(tmp_path)
    shared = LookedAfterBroker(
        keyed.folder, listeners=keyed.keys._listeners, dial=keyed.keys._dial, addresses=keyed.keys.addresses,
        link_times=LINK_TIMES,
    )  # fmt: skip
    async with shared:
        with pytest.raises(BrokerError, match="unreachable"):
            await shared.allow({})
        with (tmp_path / "log").open("wb") as log:
            command = [find_program(), "-c", keyed.folder.served / MAIN]
            process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220
        try:
            garage, garage_key = await shared.invite("garage")
            async with asyncio.timeout(60):
                while not await allowed(shared, {"garage": garage_key}):
                    pass
            link = await dial(garage.access)
            await shared.allow({})
            await until(lambda: not link.connected)
        finally:
            process.kill()
            process.wait()


async def test_secrets_are_their_owners_alone_and_no_machines_seed_is_kept(keyed, tmp_path):
    invite = await keyed.join("garage")
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix in (".key", ".json", ".conf")]
    assert {path.name for path in files} >= {"ca.key", "broker.key", "keys.json", "machines.json", MAIN, USERS}
    for path in files:
        assert invite.access.seed not in path.read_text()
        assert path.stat().st_mode & 0o077 == 0


# --- web sockets ------------------------------------------------------------------------------------------------------


async def test_machine_that_reaches_the_web_socket_alone_joins_by_it(keyed, dial):
    invite = await keyed.join("garage")
    assert [url.partition(":")[0] for url in invite.access.urls] == ["tls", "wss"]
    closed = "tls://127.0.0.1:1"
    machine = await dial(dialling(invite, closed, keyed.web_url), inbox_of("garage"))
    bot = await dial(keyed.access, BOT_INBOX)
    await Streams(bot, SUBJECTS).prepare()
    picture = bytes(range(256)) * 2000
    await machine.store(SUBJECTS.chunk("garage", "j.1.0.png", 0), picture)
    came = await answering(bot, SUBJECTS.inputs("garage"))
    assert (await machine.request(SUBJECTS.inputs("garage"), b"wanted")).data == b"yes"
    assert came == [b"wanted"]
    await keyed.revoke("garage")
    await until(lambda: not machine.connected)


async def test_web_socket_with_another_certificate_is_refused(keyed, dial, caplog):
    invite = await keyed.join("garage")
    link = await dial(other_authority(dialling(invite, keyed.web_url)), up=False)
    await until(lambda: "not the one that is asked for" in caplog.text)
    assert not link.connected


async def test_web_socket_that_falls_silent_is_noticed_and_made_again(keyed, dial):
    invite = await keyed.join("garage")
    async with Relay(keyed.web_url) as relay:
        link = await dial(dialling(invite, relay.url.replace("nats://", "wss://")))
        relay.cut()
        await until(lambda: not link.connected)
        await relay.mend()
        assert await link.wait_up(60)
        await link.flush()


async def test_name_that_no_machine_may_have_gets_no_invite(keyed):
    for name in ("w1", "a.b", "", "x" * 33, "*"):
        with pytest.raises(ValueError, match="no name"):
            await keyed.keys.invite(name)
