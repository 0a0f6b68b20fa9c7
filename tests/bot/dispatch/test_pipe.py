"""The embedded transport on its own: what lies in the outbox, what comes down the pipe, how its children live."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import pytest

from bot.dispatch.outbox import DamagedEntryError, Inputs, Outbox
from bot.dispatch.pipe import PipeTimes, PipeTransport
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.child import Child, ChildCommand
from gpu_worker.protocol.frames import frame, pack

CHECKOUT = Path(__file__).parents[3]
TIMES = PipeTimes(
    assign_timeout_s=0.3, backoff_s=(0.02,), silence_s=5.0, start_s=20.0, stop_grace_s=1.0, redeliver_s=0.05
)


class Post:
    """Takes messages, and refuses the first few where told to."""

    def __init__(self) -> None:
        self.got: list[m.ToBot] = []
        self.gone: list[str] = []
        self.refuse = 0

    async def message(self, message: m.ToBot) -> None:
        if self.refuse:
            self.refuse -= 1
            raise OSError(28, "No space left on device")
        self.got.append(message)

    async def left(self, gone) -> None:
        self.gone.append(gone.sentence)

    async def until(self, condition) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.01)


@pytest.fixture
def post() -> Post:
    return Post()


def transport(root: Path, script: str = "", names: tuple[str, ...] = ("w1",), **options) -> PipeTransport:
    prelude = "import os, sys, time\ndef say(data): os.write(1, data)\n"
    command = ChildCommand(
        argv=(sys.executable, "-c", prelude + script), log_file=root / "worker.log",
        environment={"PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    options.setdefault("times", TIMES)
    return PipeTransport(command=command, names=names, outbox_dir=root / "outbox", **options)


HELLO = frame(m.Hello(worker="w1", app_version="1", boot="b", name="w1"))
WAIT = "\nwhile os.read(0, 65536): pass\n"


def put_fin(root: Path, worker: str, job: str, attempt: int = 1, data: bytes | None = None) -> Path:
    box = root / "outbox" / worker
    box.mkdir(parents=True, exist_ok=True)
    path = box / f"{job}.{attempt}.fin"
    path.write_bytes(pack(m.Done(job=job, attempt=attempt, outputs=())) if data is None else data)
    return path


async def run_until(pipe: PipeTransport, post: Post, condition) -> None:
    await pipe.start(post.message, post.left)
    try:
        await post.until(condition)
    finally:
        await pipe.stop()


async def test_what_lies_in_any_box_is_delivered_before_start_returns(tmp_path, post):
    put_fin(tmp_path, "w1", "a")
    put_fin(tmp_path, "retired", "b")
    pipe = transport(tmp_path, WAIT)
    await pipe.start(post.message, post.left)
    assert sorted((d.worker, d.job) for d in post.got) == [("retired", "b"), ("w1", "a")]
    await pipe.stop()


async def test_entry_stays_until_it_is_settled_and_is_delivered_again(tmp_path, post):
    entry = put_fin(tmp_path, "w1", "a")
    litter = entry.with_name("a.1.0.png")
    litter.write_bytes(b"late picture")
    post.refuse = 2
    pipe = transport(tmp_path, WAIT)
    await run_until(pipe, post, lambda: post.got)
    assert entry.exists()
    await pipe.settled(m.Settled(worker="w1", job="a", attempt=1))
    assert not entry.exists()
    assert not litter.exists()


@pytest.mark.parametrize(
    "data", [b"", b"\x00garbage", pack(m.Drain()), pack(m.Done(job="other", attempt=1, outputs=()))]
)
async def test_damaged_entry_is_set_aside_and_the_others_arrive(tmp_path, post, data):
    bad = put_fin(tmp_path, "w1", "bad", data=data)
    put_fin(tmp_path, "w1", "good")
    await run_until(transport(tmp_path, WAIT), post, lambda: post.got)
    assert {d.job for d in post.got} == {"good"}
    assert bad.with_suffix(".bad").read_bytes() == data
    assert not bad.exists()


async def test_unknown_and_malformed_messages_are_ignored(tmp_path, post):
    import struct

    import msgpack

    strange = [{"t": "tomorrow", "x": 1}, {"t": "progress", "job": "a/../b", "attempt": 1}, {"no": "t"}]
    frames = b"".join(struct.pack(">I", len(d)) + d for d in map(msgpack.packb, strange))
    await run_until(transport(tmp_path, f"say({frames + HELLO!r}){WAIT}"), post, lambda: post.got)
    assert [message.t for message in post.got] == ["hello"]


async def test_unknown_fields_are_ignored(tmp_path, post):
    import struct

    import msgpack

    body = msgpack.packb({**m.Hello(app_version="1", boot="b", name="w1").model_dump(), "colour": "red"})
    await run_until(transport(tmp_path, f"say({struct.pack('>I', len(body)) + body!r}){WAIT}"), post, lambda: post.got)
    assert post.got[0].boot == "b"


async def test_worker_speaks_for_itself_only(tmp_path, post):
    other = frame(m.Heartbeat(worker="w2", boot="b"))
    await run_until(transport(tmp_path, f"say({other!r}){WAIT}"), post, lambda: post.got)
    assert post.got[0].worker == "w1"


@pytest.mark.parametrize("noise", [b"Hello, this is no frame at all", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00"])
async def test_damaged_stream_ends_the_worker_and_a_new_one_is_started(tmp_path, post, noise):
    await run_until(transport(tmp_path, f"say({noise!r})\ntime.sleep(60)"), post, lambda: len(post.gone) >= 2)


async def test_worker_that_cannot_start_is_told_with_its_last_words_and_tried_again(tmp_path, post):
    told: list[tuple[str, str]] = []
    script = "print('no such card', file=sys.stderr); sys.exit(75)"
    pipe = transport(tmp_path, script, on_start_failure=lambda *words: told.append(words))
    await run_until(pipe, post, lambda: len(told) >= 2)
    assert told[0] == ("w1", "no such card")


async def test_program_that_does_not_exist_is_told_too(tmp_path, post):
    told: list[tuple[str, str]] = []
    command = ChildCommand(argv=("/no/such/python",), log_file=tmp_path / "worker.log")
    pipe = PipeTransport(
        command=command, names=("w1",), outbox_dir=tmp_path / "outbox", times=TIMES,
        on_start_failure=lambda *words: told.append(words),
    )  # fmt: skip
    await run_until(pipe, post, lambda: told)


async def test_worker_with_a_command_of_its_own_is_kept_beside_the_others(tmp_path, post):
    says = f"import os\nos.write(1, {frame(m.Hello(worker='t1', app_version='1', boot='special', name='t1'))!r})" + WAIT
    command = ChildCommand(argv=(sys.executable, "-c", says), log_file=tmp_path / "trainer.log")
    pipe = transport(tmp_path, f"say({HELLO!r}){WAIT}", special={"t1": command})
    await run_until(pipe, post, lambda: len(post.got) == 2)
    assert {(message.worker, message.boot) for message in post.got} == {("w1", "b"), ("t1", "special")}


async def test_last_words_are_of_this_life(tmp_path, post):
    (tmp_path / "worker.log").write_text("an old error\n")
    await run_until(transport(tmp_path, "sys.exit(3)"), post, lambda: post.gone)
    assert post.gone[0] == "its process ended with 3: "


async def test_worker_that_falls_silent_after_hello_is_killed_and_started_again(tmp_path, post):
    times = PipeTimes(backoff_s=(0.02,), silence_s=0.3, start_s=20.0)
    pipe = transport(tmp_path, f"say({HELLO!r})\ntime.sleep(60)", times=times)
    await run_until(pipe, post, lambda: len(post.gone) >= 2)


async def test_listener_that_fails_on_a_death_does_not_end_the_keeping(tmp_path, post):
    async def full(gone) -> None:
        post.gone.append(gone.sentence)
        raise OSError(28, "No space left on device")

    pipe = transport(tmp_path, "sys.exit(3)")
    await pipe.start(post.message, full)
    await post.until(lambda: len(post.gone) >= 3)
    await pipe.stop()


async def test_assign_to_a_worker_that_does_not_answer_is_unknown(tmp_path, post, assign):
    pipe = transport(tmp_path, f"say({HELLO!r})\ntime.sleep(60)")
    await pipe.start(post.message, post.left)
    await post.until(lambda: post.got)
    assert await pipe.assign("w1", assign) is None
    await pipe.stop()


async def test_assign_to_a_worker_that_dies_or_is_not_there_is_refused(tmp_path, post, assign):
    pipe = transport(tmp_path, f"say({HELLO!r})\nos.read(0, 1)\nsys.exit(9)", times=PipeTimes(assign_timeout_s=30))
    await pipe.start(post.message, post.left)
    await post.until(lambda: post.got)
    assert await pipe.assign("w1", assign) is False
    assert await pipe.assign("nobody", assign) is False
    await pipe.stop()


async def test_child_that_reads_nothing_does_not_block_sends_nor_the_stop(tmp_path, post, assign, monkeypatch):
    monkeypatch.setattr("gpu_worker.protocol.child.SEND_TIMEOUT_S", 0.2)
    big = assign.model_copy(update={"resume": b"x" * 2_000_000})
    pipe = transport(tmp_path, f"say({HELLO!r})\ntime.sleep(60)")
    await pipe.start(post.message, post.left)
    await post.until(lambda: post.got)
    async with asyncio.timeout(60):
        assert await pipe.assign("w1", big) is None
        await pipe.send("w1", m.Resync())
        await pipe.stop()


async def test_stop_before_anything_and_names_of_tasks(tmp_path, post):
    pipe = transport(tmp_path, WAIT, names=("w1", "w2"))
    await pipe.start(post.message, post.left)
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert {"worker-w1", "worker-w2", "outbox"} <= names
    await pipe.stop()
    assert not {"worker-w1", "worker-w2", "outbox"} & {task.get_name() for task in asyncio.all_tasks()}


async def test_log_is_turned_over_when_it_has_grown(tmp_path, post, monkeypatch):
    monkeypatch.setattr("gpu_worker.protocol.child.LOG_LIMIT_BYTES", 10)
    (tmp_path / "worker.log").write_text("x" * 100)
    await run_until(transport(tmp_path, f"say({HELLO!r}){WAIT}"), post, lambda: post.got)
    assert (tmp_path / "worker.log.old").read_text() == "x" * 100


async def test_ctrl_c_of_the_terminal_does_not_reach_the_worker(tmp_path, post):
    if sys.platform == "win32":
        pytest.skip("process groups of Windows")
    pipe = transport(tmp_path, f"say({HELLO!r}){WAIT}")
    await pipe.start(post.message, post.left)
    await post.until(lambda: post.got)
    assert os.getpgid(pipe.pids()["w1"]) != os.getpgid(0)
    await pipe.stop()


def test_picture_of_another_place_is_a_picture_that_is_not_there(tmp_path):
    outbox = Outbox(tmp_path)
    done = m.Done(worker="w1", job="a", attempt=1, outputs=())
    for blob in ("..", "../../etc/passwd", "/etc/passwd", "", "b.1.0.png", "a.2.0.png"):
        output = m.Output(blob=blob, size_bytes=1, sha256="", mime="image/png", width=1, height=1, seed=1, infotext="")
        assert outbox.picture(done, output) == tmp_path / "w1" / "a.1.lost"


def test_reading_a_missing_entry_is_no_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        Outbox(tmp_path).read(tmp_path / "w1" / "a.1.fin")
    with pytest.raises(DamagedEntryError):
        Outbox(tmp_path).read(put_fin(tmp_path, "w1", "a", data=b"x"))


def test_inputs_are_kept_by_hash_and_old_ones_go(tmp_path):
    inputs = Inputs(tmp_path)
    inputs.prepare()
    first = inputs.put(b"picture")
    assert inputs.put(b"picture") == first
    path = tmp_path / "inputs" / first
    assert path.read_bytes() == b"picture"
    path.write_bytes(b"")  # cut short by a power failure
    inputs.put(b"picture")
    assert path.read_bytes() == b"picture"
    os.utime(path, (0, 0))
    Inputs(tmp_path).clear_old()
    assert list((tmp_path / "inputs").iterdir()) == []


@pytest.fixture
def assign() -> m.Assign:
    from gpu_worker.protocol.specs import Txt2Img

    return m.Assign(job="a", attempt=1, spec=Txt2Img(prompt="x", checkpoint="m1", width=64, height=64, seed=1))


def test_parts_are_delivered_in_the_order_in_which_they_were_made(tmp_path):
    box = tmp_path / "w1"
    box.mkdir()
    for name in ("a.1.fin", "a.1.k10.kept", "a.1.k2.kept", "a.1.k9.kept"):
        (box / name).touch()
    found = [path.name for path in Outbox(tmp_path).entries("w1")]
    assert found == ["a.1.k2.kept", "a.1.k9.kept", "a.1.k10.kept", "a.1.fin"]


async def test_what_is_sent_to_a_child_that_does_not_read_just_now_reaches_it_in_order(tmp_path, monkeypatch):
    """Several at once: a turn that never came would leave its message out, and nobody would know."""
    monkeypatch.setattr("gpu_worker.protocol.child.SEND_TIMEOUT_S", 0.2)
    script = (
        "import os, time; time.sleep(2)\n"
        "from gpu_worker.protocol import messages as m\n"
        "from gpu_worker.protocol.frames import Unframer, frame\n"
        "unframer = Unframer()\n"
        "while data := os.read(0, 65536):\n"
        "    for raw in unframer.feed(data):\n"
        "        os.write(1, frame(m.Prepare(model=raw['model'][:4])))\n"
    )
    command = ChildCommand(
        argv=(sys.executable, "-c", script), log_file=tmp_path / "log", environment={"PYTHONPATH": str(CHECKOUT)}
    )
    child = await Child.spawn(command, "w1")
    models = [f"{n:04}{'x' * 1_000_000}" for n in range(6)]
    assert await asyncio.gather(*(child.send(m.Prepare(model=model)) for model in models)) == [None] * 6
    heard: list[str] = []
    async with asyncio.timeout(60):
        async with contextlib.aclosing(child.frames()) as frames:
            async for raw in frames:
                heard.append(raw["model"])
                if len(heard) == len(models):
                    break
        await child.close(60)
    assert heard == [model[:4] for model in models]
