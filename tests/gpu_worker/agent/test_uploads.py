"""In which order what lies in an outbox goes to the broker."""

import asyncio
import hashlib

import pytest

from gpu_worker.agent.uploads import Uploads
from gpu_worker.outbox import OutFile, WorkerOutbox
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.nats.mail import Landed
from gpu_worker.protocol.nats.subjects import Subjects
from gpu_worker.protocol.outbox import MODEL_MIME, fin_name, kept_name


class Mailbox:
    """A broker that takes everything."""

    connected = True

    def __init__(self) -> None:
        self.subjects: list[str] = []
        self.came = asyncio.Event()

    async def store(self, subject: str, data: bytes) -> None:
        self.subjects.append(subject)
        self.came.set()

    async def wait_up(self) -> None: ...

    async def until(self, entry: str) -> None:
        async with asyncio.timeout(60):
            while not any(subject.endswith(entry) for subject in self.subjects):
                self.came.clear()
                await self.came.wait()


@pytest.fixture
def outbox(tmp_path) -> WorkerOutbox:
    return WorkerOutbox(tmp_path / "box")


def keep(outbox: WorkerOutbox, n: int, mime: str, file: m.SavedModel | None) -> str:
    data = f"part {n}".encode()
    output = m.Output(
        blob="", size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), mime=mime, width=0, height=0, seed=0,
        infotext="",
    )  # fmt: skip
    outbox.keep(m.Partial(job="j", attempt=1, n=n, outputs=(output,), file=file), OutFile(data, output))
    return kept_name("j", 1, n)


@pytest.mark.parametrize("trains", [True, False])
async def test_end_of_a_training_follows_its_files_once_the_bot_has_them(outbox, trains):
    """The mailbox may lose one, and takes anew behind the end what was put there before it."""
    link = Mailbox()
    uploads = Uploads(link, Subjects(), "garage", outbox, retry_s=0.01, resend_s=0.01)
    part = keep(outbox, 0, *((MODEL_MIME, m.SavedModel(name="a", epoch=1, step=5)) if trains else ("image/png", None)))
    uploads.add(part)
    await link.until(part)
    end = fin_name("j", 1)
    outbox.store(m.Done(job="j", attempt=1, outputs=()), ())
    uploads.add(end)
    other = outbox.store(m.Failed(job="other", attempt=1, kind="other"), ())
    uploads.add(fin_name("other", 1))
    await link.until(fin_name("other", 1))
    assert other.job == "other"
    put = len(link.subjects)
    while len(link.subjects) < put + 5:  # the part is put there anew
        link.came.clear()
        await link.came.wait()
    if trains:
        assert not any(subject.endswith(end) for subject in link.subjects)
        assert [entry.job for entry in uploads.unstored()] == ["j"]
        uploads.landed(Landed(entry=part))
    await link.until(end)
    for entry in (part, end, fin_name("other", 1)):
        uploads.landed(Landed(entry=entry))
    async with asyncio.timeout(60):
        while outbox.entries():
            await asyncio.sleep(0.01)
    uploads.cancel()
