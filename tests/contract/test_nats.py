"""What only a broker can do to us: die, lose its disk, fall silent, refuse. The rest is tested for all transports."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from pathlib import Path

import nats.errors
import pytest
from nats.aio.client import Client

from bot.dispatch.nats.streams import ChunkLostError, Streams
from bot.dispatch.nats.transport import NatsTransport
from bot.dispatch.together import Together
from bot.domain.job import JobStatus
from gpu_worker.__main__ import main
from gpu_worker.agent.post import Post
from gpu_worker.agent.times import AgentTimes
from gpu_worker.outbox import End, OutFile, WorkerOutbox
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import pack, unpack
from gpu_worker.protocol.nats.link import Link
from gpu_worker.protocol.nats.mail import GONE, HERE, INLINE_BYTES, InputWanted, Landed, Manifest, SentFile
from gpu_worker.protocol.nats.pieces import Joiner, pieces
from gpu_worker.protocol.nats.subjects import (
    CHUNK_BYTES,
    Subjects,
    inbox_of,
    is_embedded_name,
    is_worker_name,
    parse_entry,
)
from gpu_worker.protocol.outbox import MODEL_MIME, fin_name, kept_name
from gpu_worker.protocol.specs import Txt2Img
from tests.contract.farm import LEASES, Farm, open_farm
from tests.contract.kits import KILL, PipeKit
from tests.contract.nats_kit import LINK_TIMES, Broker, NatsKit
from tests.contract.relay import Relay


@pytest.fixture
def own(broker: None, tmp_path: Path) -> Generator[Broker]:
    """A broker that may be killed."""
    own = Broker(tmp_path / "broker")
    yield own
    own.kill()


@contextlib.asynccontextmanager
async def farm_of(kit: NatsKit, root: Path, *workers: str, lease_s: float = 1.0) -> AsyncGenerator[Farm]:
    try:
        async with open_farm(root, kit, *workers, leases=replace(LEASES, lease_s=lease_s)) as farm:
            await farm.workers_ready(len(workers))
            yield farm
    finally:
        kit.clear(root)


async def test_killed_broker_loses_nothing_and_has_nothing_drawn_again(own, tmp_path):
    async with farm_of(NatsKit(own.url), tmp_path, "w1", "w2", lease_s=3.0) as farm:
        jobs = [await farm.submit("sleep:0.05", user=n % 5) for n in range(24)]
        while len(farm.seen.ends) < 6:
            await asyncio.sleep(0.01)
        own.kill()
        await asyncio.sleep(1.0)
        own.start()
        await farm.ended(jobs)
        await farm.check_delivered_once(jobs)
        assert all(farm.journal()[f"start {job}"] == 1 for job in jobs)
        await farm.settled(("w1", "w2"))


async def test_broker_that_lost_its_disk_gets_everything_again(own, tmp_path):
    async with farm_of(NatsKit(own.url), tmp_path, "w1", lease_s=3.0) as farm:
        job = await farm.submit("label:x sleep:0.5")
        await farm.running(job)
        own.kill()
        shutil.rmtree(tmp_path / "broker" / "store")
        async with asyncio.timeout(30):
            while not farm.journal()["end x"]:
                await asyncio.sleep(0.01)
        own.start()
        assert await farm.ended([job]) == [JobStatus.DONE]
        await farm.check_delivered_once([job])
        assert farm.journal()["start x"] == 1


async def test_broker_that_could_not_write_once_takes_results_again(own, tmp_path, caplog):
    async with farm_of(NatsKit(own.url), tmp_path, "w1", lease_s=3.0) as farm:
        await farm.ended([await farm.submit()])
        for folder in list((tmp_path / "broker" / "store").rglob("msgs")):
            shutil.rmtree(folder)
            folder.write_text("where a stream's folder was")  # as a full disk: it takes nothing more, silently
        jobs = [await farm.submit("sleep:0.05") for _ in range(4)]
        assert set(await farm.ended(jobs)) == {JobStatus.DONE}
        assert "takes nothing any more" in caplog.text
        await farm.check_delivered_once(jobs)
        assert all(farm.journal()[f"start {job}"] == 1 for job in jobs)


async def test_bot_that_is_cut_off_blames_nobody_and_gets_what_was_finished_meanwhile(own, tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(Relay(own.url))
        kit = NatsKit(relay.url, own.url, replace(LINK_TIMES, ping_s=0.3))  # the cut is noticed within a lease
        farm = await stack.enter_async_context(farm_of(kit, tmp_path, "w1", lease_s=3.0))
        jobs = [await farm.submit("label:a sleep:2"), await farm.submit("label:b sleep:0.1")]
        await farm.running(jobs[0])
        async with asyncio.timeout(30):
            while len(farm.dispatcher.workers[0].beat.running) < 2:  # it has both by now
                await asyncio.sleep(0.01)
        relay.cut()
        async with asyncio.timeout(60):
            while farm.transport.connected or not farm.journal()["end b"]:
                await asyncio.sleep(0.02)
        await asyncio.sleep(3.0)
        await relay.mend()
        assert await farm.ended(jobs) == [JobStatus.DONE] * 2
        await farm.check_delivered_once(jobs)
        assert (farm.journal()["start a"], farm.journal()["start b"]) == (1, 1)


async def test_answer_to_a_ping_that_was_given_up_breaks_no_connection(own):
    link = Link(own.url, name="w1", inbox=inbox_of("w1"), times=LINK_TIMES)
    link.open()
    assert await link.wait_up(30)
    client = link._client
    assert client is not None
    given_up = asyncio.Future()
    given_up.cancel()
    await client._send_ping(given_up)
    await link.flush()
    assert client.is_connected
    assert client.stats["errors_received"] == client.stats["reconnects"] == 0
    await link.close()


async def test_what_is_subscribed_while_the_broker_is_away_is_heard_when_it_is_back(own):
    link, came = Link(own.url, name="w1", inbox=inbox_of("w1"), times=LINK_TIMES), asyncio.Event()

    async def on_data(_: object) -> None:
        came.set()

    link.open()
    assert await link.wait_up(30)
    own.kill()
    async with asyncio.timeout(30):
        while link.connected:
            await asyncio.sleep(0.02)
    await link.subscribe("somewhere", on_data)
    own.start()
    assert await link.wait_up(30)
    async with asyncio.timeout(30):
        while not came.is_set():
            await link.send("somewhere", b"said")
            await asyncio.sleep(0.1)
    await link.close()


async def test_whatever_answers_in_the_brokers_place_is_not_the_last_that_is_dialled(own, caplog):
    link = Link(own.url, name="w1", inbox=inbox_of("w1"), times=LINK_TIMES)
    link.open()
    assert await link.wait_up(30)
    own.kill()
    port, answered = int(own.url.rpartition(":")[2]), 0

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        answered += 1
        writer.write((b"INFO 5\r\n", b"INFO\r\n", b"INFO " + b"x" * 100_000, b"220 mail\r\n")[answered % 4])
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    async with asyncio.timeout(60):
        while answered < 8:
            await asyncio.sleep(0.02)
    server.close()
    await server.wait_closed()
    own.start()
    assert await link.wait_up(60)
    await link.flush()
    await link.close()
    assert "what answers there is no broker" in caplog.text


async def test_bot_starts_without_its_broker_and_connects_when_it_comes(own, tmp_path):
    own.kill()
    kit = NatsKit(own.url)
    transport = kit.make(tmp_path, ())
    heard: list[m.ToBot] = []

    async def on_message(message: m.ToBot) -> None:
        heard.append(message)

    start = asyncio.create_task(transport.start(on_message, None))  # pyright: ignore[reportArgumentType]
    await asyncio.sleep(0.3)
    assert not transport.connected
    own.start()
    await start
    async with asyncio.timeout(30):
        while not transport.connected:
            await asyncio.sleep(0.02)
    await transport.stop()


class BothKit(NatsKit):
    """A worker of the bot's own, and remote ones."""

    def make(self, root: Path, names: tuple[str, ...]) -> Together:  # pyright: ignore[reportIncompatibleMethodOverride]
        here = PipeKit().make(root, tuple(name for name in names if is_embedded_name(name)))
        self.remote = super().make(root, tuple(name for name in names if not is_embedded_name(name)))
        return Together(here, self.remote, is_embedded_name)


async def test_own_and_remote_workers_serve_together(broker, tmp_path):
    kit = BothKit()
    async with farm_of(kit, tmp_path, "w1", "attic") as farm:
        jobs = [await farm.submit("sleep:0.1", user=n % 3) for n in range(12)]
        async with asyncio.timeout(60):
            while not any(progress.worker == "attic" for progress in farm.seen.progress):
                await asyncio.sleep(0.01)
        assert kit.signal(kit.remote, "attic", KILL)
        await farm.ended(jobs)
        await farm.check_delivered_once(jobs)
        await farm.settled(["attic"])
        assert {progress.worker for progress in farm.seen.progress} == {"w1", "attic"}
        assert not list((tmp_path / "outbox" / "w1").glob("*.fin"))


# --- one worker's end, without a child --------------------------------------------------------------------------------


class Bench:
    """Both ends in this process."""

    def __init__(self, root: Path, url: str, worker_url: str | None = None) -> None:
        self.heard: list[m.ToBot] = []
        self.commands: list[m.ToWorker] = []
        self.came: list[bytes] = []
        """Files of ends and parts."""
        self.bot = NatsTransport(url, root=root / "landed", times=NatsKit.times, link_times=LINK_TIMES)
        self.link = Link(worker_url or url, name="w1", inbox=inbox_of("w1"), times=LINK_TIMES)
        self._box = root / "w1"
        self._outbox = WorkerOutbox(self._box)
        times = AgentTimes(retry_s=0.05, resend_s=0.5)
        self.post = Post(self.link, Subjects(), "w1", self._box, self._obey, times)

    async def _obey(self, message: m.ToWorker) -> m.AssignReply | None:
        self.commands.append(message)
        if isinstance(message, m.Assign):
            return m.AssignReply(job=message.job, attempt=message.attempt, accepted=True)
        return None

    async def finish(self, end: End, files: list[OutFile]) -> None:
        """As a child does it."""
        await asyncio.to_thread(self._outbox.store, end, files)
        self.post.deliver(fin_name(end.job, end.attempt))

    async def keep(self, part: m.Partial, file: OutFile) -> None:
        await asyncio.to_thread(self._outbox.keep, part, file)
        self.post.deliver(kept_name(part.job, part.attempt, part.n))

    async def on_message(self, message: m.ToBot) -> None:
        if isinstance(message, m.Done | m.Partial):
            self.came += [(await self.bot.fetch(message, one)).read_bytes() for one in message.outputs]
        self.heard.append(message)
        if isinstance(message, m.Partial):
            await self.bot.taken(message)
        if isinstance(message, m.Done):
            await self.bot.settled(m.Settled(worker=message.worker, job=message.job, attempt=message.attempt))

    async def __aenter__(self) -> Bench:
        await self.bot.start(self.on_message, None)  # pyright: ignore[reportArgumentType]
        self.link.open()
        await self.link.wait_up()
        await self.post.open()
        self.post.say(m.Hello(worker="w1", app_version="0", boot="b", name="w1"))
        await self.hears(m.Hello)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.post.close()
        await self.link.close()
        await self.bot.stop()

    async def hears(self, kind: type[m.ToBot]) -> m.ToBot:
        async with asyncio.timeout(30):
            while True:
                for message in self.heard:
                    if isinstance(message, kind):
                        return message
                await asyncio.sleep(0.01)

    async def taken(self) -> None:
        """Nothing is left on the worker's disk."""
        async with asyncio.timeout(30):
            while any(self._box.iterdir()):
                await asyncio.sleep(0.01)


@pytest.fixture
async def bench(own: Broker, tmp_path: Path) -> AsyncGenerator[Bench]:
    async with Bench(tmp_path, own.url) as bench:
        yield bench


def output(data: bytes, mime: str = "image/png") -> m.Output:
    return m.Output(
        blob="", size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), mime=mime, width=1, height=1, seed=1,
        infotext="",
    )  # fmt: skip


async def test_what_is_larger_than_a_message_goes_through_whole(bench, tmp_path):
    picture = bytes(range(256)) * 9000  # 2.3 MB, and no whole number of chunks
    model = tmp_path / "model"
    model.write_bytes(picture * 2)
    saved = m.SavedModel(name="x", epoch=1, step=1)
    told = OutFile(model, output(picture * 2, MODEL_MIME))
    state = b"s" * m.STATE_BYTES_MAX
    partial = m.Partial(job="j", attempt=1, n=0, state=state, file=saved, outputs=(told.output,))
    await bench.keep(partial, told)
    await bench.finish(m.Done(job="j", attempt=1, outputs=()), [OutFile(picture, output(picture))])
    done, kept = await bench.hears(m.Done), await bench.hears(m.Partial)
    assert bench.heard.index(kept) < bench.heard.index(done)
    assert isinstance(kept, m.Partial)
    assert kept.state == state
    await bench.taken()
    assert bench.came == [picture * 2, picture]
    assert model.exists()
    async with asyncio.timeout(30):
        while any((tmp_path / "landed" / "w1").iterdir()):
            await asyncio.sleep(0.01)

    prompt = "word " * 60_000  # an assignment of several pieces
    assign = m.Assign(job="k", attempt=1, spec=Txt2Img(prompt="x", checkpoint="c", width=64, height=64, seed=1),
                      resume=prompt.encode() * 2)  # fmt: skip
    assert await bench.bot.assign("w1", assign) is True
    assert [c.resume for c in bench.commands if isinstance(c, m.Assign)] == [assign.resume]


async def test_files_that_were_lost_on_the_broker_are_sent_again(bench, own, tmp_path):
    data = b"x" * (CHUNK_BYTES + 1)
    remove = bench.bot._streams.chunks
    lost = []

    async def losing(worker, file):
        if not lost:
            lost.append(file)
            client = Client()
            await client.connect(own.url)
            await client.jetstream().purge_stream("PINCEL_BLOB")
            await client.close()
        async for chunk in remove(worker, file):
            yield chunk

    bench.bot._streams.chunks = losing
    await bench.finish(m.Done(job="j", attempt=1, outputs=()), [OutFile(data, output(data))])
    await bench.hears(m.Done)
    await bench.taken()
    assert lost


async def test_nobody_there_is_no_refusal(bench):
    assign = m.Assign(job="k", attempt=1, spec=Txt2Img(prompt="x", checkpoint="c", width=64, height=64, seed=1))
    assert await bench.bot.assign("w2", assign) is None


@pytest.mark.parametrize("named", ["../x.png", "j.1.0.fin", "j.2.0.png", "k.1.0.png", "j.1.0.png/x"])
async def test_entry_whose_files_have_other_names_is_dropped(bench, own, tmp_path, named):
    client = Client()
    await client.connect(own.url)
    manifest = Manifest(
        entry=pack(m.Failed(job="j", attempt=1, kind="oom")), files=(SentFile(name=named, size_bytes=1),)
    )
    await client.jetstream().publish("pincel.fin.w1.1.j.1.fin", pack(manifest))
    async with asyncio.timeout(30):
        while (await client.jetstream().stream_info("PINCEL_FIN")).state.messages:
            await asyncio.sleep(0.02)
    await client.close()
    assert not [message for message in bench.heard if isinstance(message, m.Failed)]
    assert not (tmp_path / "landed" / "w1").exists()


async def test_small_file_that_is_not_as_large_as_it_says_is_dropped_with_its_entry(bench, own, tmp_path):
    client = Client()
    await client.connect(own.url)
    failed = pack(m.Failed(job="j", attempt=1, kind="oom"))
    manifest = Manifest(entry=failed, files=(SentFile(name="j.1.0.png", size_bytes=1, data=b"xx"),))
    await client.jetstream().publish("pincel.fin.w1.1.j.1.fin", pack(manifest))
    async with asyncio.timeout(30):
        while (await client.jetstream().stream_info("PINCEL_FIN")).state.messages:
            await asyncio.sleep(0.02)
    await client.close()
    assert not [message for message in bench.heard if isinstance(message, m.Failed)]
    assert not (tmp_path / "landed" / "w1").exists()


async def test_small_pictures_come_with_their_entry_and_large_ones_in_chunks(bench, own):
    """Of one result, as many as there is room for."""
    small, large = b"s" * 200_000, b"l" * (INLINE_BYTES + 1)
    done = m.Done(job="j", attempt=1, outputs=())
    await bench.finish(done, [OutFile(data, output(data)) for data in (small, small, large)])
    await bench.hears(m.Done)
    await bench.taken()
    assert bench.came == [small, small, large]
    client = Client()
    await client.connect(own.url)
    store = (await client.jetstream().stream_info("PINCEL_BLOB")).state
    await client.close()
    assert (store.last_seq, store.messages) == (2, 0)


class NothingForAnybody:
    async def has_input(self, machine: str, ref: str) -> bool:
        return False


async def test_worker_needs_its_own_subjects_and_nothing_else(broker, tmp_path):
    subjects = Subjects()
    allowed = subjects.permissions("w1", inbox_of("w1"))
    users = [
        {"user": "bot", "password": "b"},
        {
            "user": "w1", "password": "w",
            "permissions": {
                "publish": {"allow": allowed["publish"]}, "subscribe": {"allow": allowed["subscribe"]},
                "allow_responses": {"max": 1, "expires": "30s"},
            },
        },
    ]  # fmt: skip
    own = Broker(tmp_path / "broker", f"authorization: {json.dumps({'users': users})}\n")
    try:
        place = own.url.removeprefix("nats://")
        async with Bench(tmp_path, f"nats://bot:b@{place}", f"nats://w1:w@{place}") as bench:
            data = b"x" * (CHUNK_BYTES + 1)
            bench.bot.serve(NothingForAnybody())
            asked = await bench.link.request(Subjects().inputs("w1"), pack(InputWanted(ref="0" * 64, offset=0)))
            assert asked.data[:1] in (HERE, GONE)
            assign = m.Assign(job="k", attempt=1, spec=Txt2Img(prompt="x", checkpoint="c", width=64, height=64, seed=1))
            assert await bench.bot.assign("w1", assign) is True
            await bench.finish(m.Done(job="k", attempt=1, outputs=()), [OutFile(data, output(data))])
            await bench.hears(m.Done)
            await bench.taken()
        await refused(f"nats://w1:w@{place}", subjects)
        stranger = Client()
        with pytest.raises(nats.errors.Error):
            await stranger.connect(f"nats://w1:wrong@{place}", allow_reconnect=False, error_cb=_quiet)
        await stranger.close()
    finally:
        own.kill()


async def refused(url: str, subjects: Subjects) -> None:
    errors: list[str] = []

    async def note(error: Exception) -> None:
        errors.append(str(error))

    client = Client()
    await client.connect(url, error_cb=note)
    publishes = [
        subjects.events("w2"), subjects.entry("w2", "j.1.fin"), subjects.chunk("w2", "j.1.0.png", 0),
        subjects.commands("w2"), subjects.inputs("w2"), f"$JS.API.STREAM.DELETE.{subjects.mailbox}",
        f"$JS.API.DIRECT.GET.{subjects.store}",
    ]  # fmt: skip
    listens = [subjects.commands("w2"), f"{subjects.prefix}.>", "_INBOX.>", "_INBOX.bot.>", f"{inbox_of('w2')}.>"]
    for subject in publishes:
        await client.publish(subject, b"x")
    for subject in listens:
        await client.subscribe(subject)
    async with asyncio.timeout(30):
        while len(errors) < len(publishes) + len(listens):
            await asyncio.sleep(0.02)
    assert all("permissions violation" in error.lower() for error in errors)
    await client.close()


async def _quiet(error: Exception) -> None:
    pass


# --- names and pieces -------------------------------------------------------------------------------------------------


def test_pieces_of_messages_side_by_side_are_put_together_and_torn_ones_are_left_out():
    joiner = Joiner()
    long, short = bytes(range(256)) * 5000, b"x"
    first, second, third = pieces(long, 1)
    assert [joiner.add(piece) for piece in (first, *pieces(short, 2), second)] == [None, short, None]
    assert joiner.add(third) == long
    assert [joiner.add(piece) for piece in (first, third, second)] == [None, None, None]
    assert joiner.add(b"short") is None
    assert joiner.add(pieces(b"", 3)[0]) == b""
    with pytest.raises(ValueError, match="over the limit"):
        pieces(bytes(5 * 2**20), 4)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "*", ">", "../x", "x" * 33, "ñ"])
def test_names_that_could_reach_beyond_a_worker_are_none(name):
    assert not is_worker_name(name)
    assert parse_entry(f"{name}.1.fin") is None or is_worker_name(name) or len(name) > 25


@pytest.mark.parametrize("name", ["w1", "t1", "w22", "a.b", ""])
def test_remote_worker_is_refused_a_name_that_is_not_its_own(monkeypatch, capsys, name):
    monkeypatch.setattr("sys.argv", ["gpu_worker", "--nats", "nats://x", "--name", name, "--data", "d", "--demo", "d"])
    assert main() == 2
    assert "--name of its own" in capsys.readouterr().err


async def test_nobody_passes_for_this_machines_worker_nor_for_a_card_of_it(own, tmp_path):
    heard: list[m.ToBot] = []

    async def hear(message):
        heard.append(message)

    async def gone(_): ...

    transport = NatsTransport(
        own.url, root=tmp_path / "landed", subjects=Subjects(), reserved=is_embedded_name, link_times=LINK_TIMES
    )
    await transport.start(hear, gone)
    link = Link(own.url, name="mallory", inbox="_INBOX_mallory", times=LINK_TIMES)
    link.open()
    try:
        assert await link.wait_up(60)
        for name in ("w1", "w1.2", "t1.3", "attic"):
            hello = m.Hello(worker=name, app_version="0", boot="b", name=name)
            await link.say(Subjects().events(name), hello)
        async with asyncio.timeout(60):
            while not heard:
                await asyncio.sleep(0.01)
        assert [message.worker for message in heard] == ["attic"]
    finally:
        await link.close()
        await transport.stop()


async def test_files_of_a_letter_that_was_sent_again_meanwhile_are_those_of_the_second(own):
    link = Link(own.url, name="bot", inbox="_INBOX.bot", times=LINK_TIMES)
    link.open()
    try:
        assert await link.wait_up(60)
        subjects = Subjects()
        streams = Streams(link, subjects)
        await streams.prepare()
        name, file = fin_name("job", 1), SentFile(name="job.1.0.png", size_bytes=3)
        for _ in range(2):  # the second takes the place of the first
            await link.store(subjects.chunk("attic", file.name, 0), b"abc")
            await link.store(subjects.entry("attic", name), b"letter")
        letter = await streams.next_letter("attic", 0)
        assert letter is not None
        await streams.remove("attic", replace(letter, seq=letter.seq - 1), (file,))
        assert [data async for data in streams.chunks("attic", file)] == [b"abc"]
        await streams.remove("attic", letter, (file,))
        assert await streams.next_letter("attic", 0) is None
        with pytest.raises(ChunkLostError):
            _ = [data async for data in streams.chunks("attic", file)]
        await streams.remove("attic", letter, (file,))
    finally:
        await link.close()


async def test_an_entry_that_another_machines_receipt_has_overwritten_is_asked_for_again(own, tmp_path):
    async def hear(message): ...

    heard: asyncio.Queue[Landed] = asyncio.Queue()

    async def on_command(data):
        body = unpack(Joiner().add(data.data) or b"")
        if body["t"] == "landed":
            heard.put_nowait(Landed.model_validate(body))

    transport = NatsTransport(own.url, root=tmp_path / "landed", subjects=Subjects(), link_times=LINK_TIMES)
    await transport.start(hear, hear)
    link = Link(own.url, name="attic", inbox=inbox_of("attic"), times=LINK_TIMES)
    link.open()
    try:
        assert await link.wait_up(60)
        await link.subscribe(Subjects().commands("attic"), on_command)
        name = fin_name("job", 1)
        await link.store(Subjects().entry("attic", name), b'{"stream":"PINCEL_FIN","seq":2}')
        assert await asyncio.wait_for(heard.get(), 60) == Landed(entry=name, whole=False)
        # What no version can have meant is not asked for again.
        await link.store(Subjects().entry("attic", name), b"nonsense")
        assert await asyncio.wait_for(heard.get(), 60) == Landed(entry=name, whole=True)
    finally:
        await link.close()
        await transport.stop()
