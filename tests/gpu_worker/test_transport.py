"""The worker's end of the pipe, over real pipes and a real folder."""

from __future__ import annotations

import errno
import hashlib
import os
import struct
import threading
import time
from pathlib import Path

import msgpack
import pytest

from gpu_worker.outbox import WorkerOutbox
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import Unframer, frame, unpack
from gpu_worker.protocol.outbox import MODEL_MIME
from gpu_worker.protocol.specs import ImageRef, Txt2Img
from gpu_worker.transport import OutFile, PipeWorkerTransport

PATIENCE_S = 20


class Line:
    """Both pipes, with the bot's ends in the hand of the test."""

    def __init__(self, root: Path) -> None:
        worker_in, self.to_worker = os.pipe()
        self.from_worker, worker_out = os.pipe()
        self._worker_out = worker_out
        self._reader = os.fdopen(worker_in, "rb", buffering=0)
        self.box = root / "w1"
        self.transport = PipeWorkerTransport("w1", root, self._reader, worker_out, retry_s=0.02)
        self._unframer = Unframer()
        self._frames: list[dict] = []

    def read(self, count: int) -> list[m.ToBot]:
        while len(self._frames) < count:
            self._frames += self._unframer.feed(os.read(self.from_worker, 65536))
        taken, self._frames = self._frames[:count], self._frames[count:]
        return [m.parse_to_bot(raw) for raw in taken]

    def close(self) -> None:
        os.close(self.from_worker)
        os.close(self.to_worker)
        self._reader.close()
        # The writing thread is a daemon that a process's end takes along; a message shows it that the bot is gone.
        self.transport.event(m.Heartbeat(boot="b"))
        self.transport.flush(0.2)
        os.close(self._worker_out)


@pytest.fixture
def line(tmp_path):
    made = Line(tmp_path)
    yield made
    made.close()


def progress(step: int, job: str = "a", preview: bytes | None = None, attempt: int = 1) -> m.Progress:
    return m.Progress(job=job, attempt=attempt, n=step, phase="sampling", step=step, of=9, preview=preview)


def outfile(data: bytes) -> OutFile:
    output = m.Output(
        blob="", size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), mime="image/png", width=1, height=1,
        seed=1, infotext="",
    )  # fmt: skip
    return OutFile(data, output)


def test_result_is_on_disk_before_it_is_told(line):
    line.transport.finish(m.Done(job="a", attempt=2, outputs=()), [outfile(b"one"), outfile(b"two")])
    assert {path.name for path in line.box.iterdir()} == {"a.2.fin", "a.2.0.png", "a.2.1.png"}
    (told,) = line.read(1)
    assert told == m.parse_to_bot(unpack((line.box / "a.2.fin").read_bytes()))
    assert [(line.box / output.blob).read_bytes() for output in told.outputs] == [b"one", b"two"]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_kept_by_its_path_and_stays_its_makers(line, tmp_path, monkeypatch, links):
    if not links:

        def none(*_):
            raise OSError(18, "another disk")

        monkeypatch.setattr(os, "link", none)
    path = tmp_path / "zorb.safetensors"
    path.write_bytes(b"weights")
    output = m.Output(blob="", size_bytes=7, sha256="0" * 64, mime=MODEL_MIME, width=0, height=0, seed=0, infotext="")
    saved = m.SavedModel(name="zorb", epoch=1, step=2)
    part = m.Partial(job="a", attempt=1, n=0, outputs=(output,), file=saved)
    for _ in range(2):
        line.transport.keep(part, OutFile(path, output))
    assert sorted(found.name for found in line.box.iterdir()) == ["a.1.k0.kept", "a.1.k0.safetensors"]
    told, _ = line.read(2)
    assert (told.file, told.outputs[0].blob) == (saved, "a.1.k0.safetensors")
    path.unlink()
    assert (line.box / "a.1.k0.safetensors").read_bytes() == b"weights"


def test_result_is_tried_until_there_is_room(line):
    line.box.rmdir()
    line.box.write_text("in the way")
    thread = threading.Thread(
        target=line.transport.finish, args=(m.Done(job="a", attempt=1, outputs=()), [outfile(b"x")])
    )
    thread.start()
    time.sleep(0.1)
    assert thread.is_alive()
    line.box.unlink()
    thread.join(PATIENCE_S)
    assert (line.box / "a.1.fin").exists()
    assert isinstance(line.read(1)[0], m.Done)


def test_what_found_no_room_leaves_no_half_of_itself(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    outbox = WorkerOutbox(tmp_path / "box")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        outbox.store(m.Done(job="a", attempt=1, outputs=()), [outfile(b"x")])
    assert list(outbox.folder.iterdir()) == []


def test_finishing_twice_is_finishing_once(line):
    for _ in range(2):
        line.transport.finish(m.Done(job="a", attempt=1, outputs=()), [outfile(b"x")])
    assert len(list(line.box.iterdir())) == 2


def test_newer_progress_replaces_an_older_one_that_was_not_sent(line):
    blocker = m.Failed(job="big", attempt=1, kind="other", message="x" * 500_000)  # more than a pipe holds
    line.transport.event(blocker)
    time.sleep(0.1)
    for step in range(1, 8):
        line.transport.event(progress(step, preview=b"picture" if step == 3 else None))
    line.transport.event(progress(1, job="b"))
    line.transport.event(m.Heartbeat(boot="b"))
    line.transport.event(m.Heartbeat(boot="c"))
    line.transport.event(m.AssignReply(job="c", attempt=1, accepted=True))
    got = line.read(5)
    assert [message.t for message in got] == ["failed", "assign_reply", "progress", "progress", "hb"]
    assert (got[2].step, got[2].preview) == (7, b"picture")
    assert got[4].boot == "c"


def test_preview_of_an_older_attempt_is_not_kept(line):
    line.transport.event(m.Failed(job="big", attempt=1, kind="other", message="x" * 500_000))
    time.sleep(0.1)
    line.transport.event(progress(5, preview=b"old", attempt=1))
    line.transport.event(progress(1, attempt=2))
    assert line.read(2)[1].preview is None


def test_events_never_block_though_nobody_reads_and_flush_is_bounded(line):
    started = time.monotonic()
    for _ in range(50):
        line.transport.event(m.Failed(job="big", attempt=1, kind="other", message="x" * 100_000))
    line.transport.flush(0.1)
    assert time.monotonic() - started < 5


def test_flush_waits_until_it_is_written(line):
    line.transport.event(progress(1))
    line.transport.flush(PATIENCE_S)
    os.set_blocking(line.from_worker, False)
    assert list(Unframer().feed(os.read(line.from_worker, 65536)))


def test_message_that_fits_no_frame_is_left_out_and_the_next_goes(line):
    line.transport.event(progress(1, preview=b"x" * 5_000_000))
    line.transport.flush(PATIENCE_S)
    line.transport.event(progress(2))
    assert line.read(1)[0].step == 2


def test_commands_arrive_and_strange_ones_are_ignored(line):
    got: list[m.ToWorker] = []
    spec = Txt2Img(prompt="x", checkpoint="m1", width=64, height=64, seed=1)
    assign = m.Assign(job="a", attempt=1, spec=spec)
    newer = {**assign.model_dump(), "job": "b", "spec": {"kind": "video"}}
    for raw in ({"t": "tomorrow"}, newer, {"t": "assign"}):
        body = msgpack.packb(raw)
        os.write(line.to_worker, struct.pack(">I", len(body)) + body)
    os.write(line.to_worker, frame(assign))

    def take(message: m.ToWorker) -> None:
        got.append(message)
        raise EOFError

    with pytest.raises(EOFError):
        line.transport.run(take)
    assert got == [assign]
    (refused,) = line.read(1)
    assert (refused.job, refused.accepted, refused.reason) == ("b", False, "malformed")


def test_settled_entry_is_forgotten(line):
    line.transport.finish(m.Cancelled(job="a", attempt=1))
    os.write(line.to_worker, frame(m.Settled(job="a", attempt=1)) + frame(m.Resync()))

    def take(message: m.ToWorker) -> None:
        if isinstance(message, m.Resync):
            raise EOFError

    with pytest.raises(EOFError):
        line.transport.run(take)
    assert list(line.box.iterdir()) == []


def test_input_is_a_name_in_its_folder_and_nothing_else(line, tmp_path):
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "abc").write_bytes(b"picture")
    (tmp_path / "secret").write_bytes(b"secret")

    def ref(name: str) -> ImageRef:
        return ImageRef(ref=name, sha256="", mime="image/png", size_bytes=7)

    assert line.transport.open_input(ref("abc")) == b"picture"
    for name in ("../secret", "/etc/passwd", "", ".."):
        with pytest.raises(OSError, match=r"No such file|directory"):
            line.transport.open_input(ref(name))
