"""The door for what remote workers send: what is no result goes to another machine, and who spoils jobs is put out."""

import asyncio
import io
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from PIL import Image

from bot.dispatch.trust import FAULTS_MAX, Trust
from bot.dispatch.verdicts import Verdict
from bot.domain.job import JobStatus
from bot.inspection import Inspection
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.looking import LookAtOwn, Refused, Seen, SeenOwn
from gpu_worker.protocol.nats.subjects import is_embedded_name
from gpu_worker.protocol.safety import Looked
from tests.bot.dispatch.conftest import Desk


class QuickLooker:
    """Looks in this process: what the real one finds is tested where it lives."""

    busy = False

    def __init__(self) -> None:
        self.asked = 0
        self.waits: asyncio.Event | None = None
        self.trouble: OSError | None = None
        self.says: Looked | None = None

    async def ask(self, question):
        self.asked += 1
        if self.waits is not None:
            await self.waits.wait()
        if self.trouble is not None:
            raise self.trouble
        if isinstance(question, LookAtOwn):
            return SeenOwn(looked=self.says)
        data = Path(question.source).read_bytes()
        if not data.startswith(b"\x89PNG"):
            return Refused(reason="no picture")
        Path(question.target).write_bytes(data)
        import hashlib

        return Seen(width=64, height=64, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    async def stop(self) -> None: ...


def png() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (64, 64)).save(target, "PNG")
    return target.getvalue()


@pytest.fixture
async def inspected(tmp_path, database) -> AsyncGenerator[Desk]:
    made = Desk(tmp_path, database)
    looker = QuickLooker()
    made.looker = looker
    made.put_out = []
    made.dispatcher._inspecting._inspection = Inspection(
        looker, None, is_remote=lambda worker: not is_embedded_name(worker)
    )

    async def put_out(worker):
        made.put_out.append(worker)

    made.dispatcher.on_distrust(put_out)
    await made.dispatcher.start()
    yield made
    await made.dispatcher.stop()


async def test_a_remote_picture_is_stored_as_it_was_written_anew(inspected):
    desk = inspected
    await desk.hello("attic")
    job = await desk.submit("a cat")
    await desk.done("attic", job, 1, png())
    (picture,) = await desk.images.of_job(job)
    assert (await desk.job(job)).status is JobStatus.DONE
    assert picture.infotext.split("\n")[0].endswith("a cat")
    assert picture.infotext.endswith("Model: m1")
    assert await desk.images.read(picture) == png()
    assert len(desk.transport.settled_entries) == 1


async def test_a_worker_of_this_machine_is_believed_whatever_it_calls_itself(inspected):
    desk = inspected
    await desk.hello("w1", machine="attic")
    job = await desk.submit()
    await desk.done("w1", job, 1, b"anything")
    assert (await desk.job(job)).status is JobStatus.DONE
    assert desk.looker.asked == 0
    await desk.hello("attic", machine="")  # and a remote one is not, whatever it says
    second = await desk.submit()
    await desk.done("attic", second, 1, b"anything")
    assert (await desk.job(second)).status is not JobStatus.DONE


async def test_an_unfit_result_goes_to_another_machine(inspected):
    desk = inspected
    await desk.hello("attic")
    job = await desk.submit()
    await desk.hello("attic.2")
    await desk.hello("cellar")
    await desk.done("attic", job, 1, b"no picture")
    again = desk.transport.assigned[-1]
    assert (again.job, again.attempt, again.worker) == (job, 2, "cellar")  # no other card of that machine
    await desk.done("cellar", job, 2, png())
    assert (await desk.job(job)).status is JobStatus.DONE
    row = await desk.database.one("SELECT outcome FROM attempts WHERE job_id = ? AND attempt = 1", (job,))
    assert row["outcome"] == "failed"
    assert desk.put_out == []


async def test_where_there_is_no_other_machine_the_same_one_may_try_and_a_hopeless_job_fails(inspected):
    desk = inspected
    await desk.hello("attic")
    job = await desk.submit()
    for attempt in range(1, 4):
        assert desk.transport.assigned[-1].attempt == attempt
        await desk.done("attic", job, attempt, b"no picture")
    found = await desk.job(job)
    assert (found.status, found.failure_kind) == (JobStatus.FAILED, "other")
    assert found.reference
    assert desk.put_out == []  # one job says nothing about a machine


async def test_who_spoils_several_jobs_is_put_out(inspected):
    desk = inspected
    await desk.hello("attic")
    await desk.hello("attic.2")
    for spoilt in range(FAULTS_MAX):
        job = await desk.submit()
        worker = desk.transport.assigned[-1].worker
        assert desk.put_out == []
        await desk.done(worker, job, 1, b"no picture")
        await desk.dispatcher.cancel(job, 1)
        del spoilt
    await desk.quiet()
    assert len(desk.put_out) == 1
    assert desk.put_out[0] in ("attic", "attic.2")


async def test_what_cannot_be_looked_at_now_is_brought_again_and_nobody_is_blamed(inspected):
    desk = inspected
    await desk.hello("attic")
    job = await desk.submit()
    desk.looker.trouble = OSError("the disk is full")
    with pytest.raises(OSError, match="full"):
        await desk.done("attic", job, 1, png())
    assert (await desk.job(job)).status is JobStatus.ASSIGNED
    assert desk.transport.settled_entries == []
    desk.looker.trouble = None
    await desk.done("attic", job, 1, png())
    assert (await desk.job(job)).status is JobStatus.DONE


async def test_a_look_holds_up_neither_other_ends_nor_the_lease(inspected):
    desk = inspected
    await desk.hello("attic")
    job = await desk.submit()
    desk.looker.waits = asyncio.Event()
    ending = asyncio.create_task(desk.done("attic", job, 1, png()))
    while not desk.looker.asked:
        await asyncio.sleep(0.005)
    await desk.hello("w1")
    other = await desk.submit()
    await desk.done("w1", other, 1)
    assert (await desk.job(other)).status is JobStatus.DONE
    await desk.lapse(desk.leases.lease_s * 0.9)
    assert (await desk.job(job)).attempt == 1
    desk.looker.waits.set()
    await ending
    assert (await desk.job(job)).status is JobStatus.DONE


async def test_an_unfit_end_of_a_job_that_is_over_costs_nobody_anything(inspected):
    desk = inspected
    await desk.hello("attic")
    job = await desk.submit()
    await desk.done("attic", job, 1, png())
    asked = desk.looker.asked
    await desk.done("attic", job, 1, b"no picture")
    assert desk.looker.asked == asked
    assert (await desk.job(job)).status is JobStatus.DONE


async def test_an_unfit_part_is_left_out_and_its_entry_goes(inspected):
    desk = inspected
    await desk.hello("attic")
    job = await desk.submit()
    (desk.blobs / "part").write_bytes(b"x")
    output = m.Output(
        blob="part", size_bytes=1, sha256="a" * 64, mime="image/png", width=0, height=0, seed=0, infotext=""
    )
    part = m.Partial(worker="attic", job=job, attempt=1, n=0, outputs=(output,))
    await desk.dispatcher.on_message(part)
    assert desk.transport.taken_parts == [part]
    assert await desk.database.one("SELECT 1 FROM partials", ()) is None


def test_faults_are_forgotten_after_a_day_and_after_a_machine_was_put_out():
    now = [0.0]
    trust = Trust(lambda: now[0])
    assert not trust.blame("attic", "a")
    assert not trust.blame("attic.2", "a")
    assert not trust.blame("attic", "b")
    assert not trust.blame("cellar", "b")
    assert trust.is_for_others("attic.3", "b")
    assert not trust.is_for_others("cellar", "a")
    assert trust.mark("attic.2") == "attic"
    assert not trust.mark("garage")
    assert trust.blame("attic", "c")
    assert not trust.is_for_others("attic", "c")
    assert not trust.blame("cellar", "c")
    now[0] = 25 * 3600.0
    assert not trust.blame("cellar", "d")
    assert not trust.is_for_others("cellar", "c")


async def test_a_late_preview_of_a_job_that_is_over_reaches_nobody(inspected):
    desk = inspected
    await desk.hello("attic")
    job = await desk.submit()
    progress = m.Progress(worker="attic", job=job, attempt=1, n=1, phase="sampling\n", step=-1, of=9)
    await desk.dispatcher.on_message(progress)
    assert [(one.phase, one.step) for one in desk.seen.progress] == [("sampling ", 0)]


async def test_a_machine_ends_and_fills_no_job_that_it_was_not_given(inspected):
    desk = inspected
    await desk.hello("attic")
    job = await desk.submit()
    await desk.hello("cellar")  # which has learnt of the job's id
    await desk.done("cellar", job, 1, png())
    await desk.dispatcher.on_message(m.Failed(worker="cellar", job=job, attempt=1, kind="bad_input"))
    await desk.dispatcher.on_message(m.Paused(worker="cellar", job=job, attempt=1))
    part = m.Partial(worker="cellar", job=job, attempt=1, n=0, state=b"x")
    await desk.dispatcher.on_message(part)
    await desk.dispatcher.on_message(m.Cancelled(worker="cellar", job="nobodys", attempt=1))
    assert (await desk.job(job)).status is JobStatus.ASSIGNED
    assert await desk.images.of_job(job) == []
    assert desk.looker.asked == 0
    # Its outbox is emptied all the same.
    assert [one.job for one in desk.transport.settled_entries] == [job, job, job, "nobodys"]
    assert desk.transport.taken_parts == [part]
    await desk.done("attic", job, 1, png())
    assert (await desk.job(job)).status is JobStatus.DONE


async def test_one_machine_alone_does_not_say_that_a_job_cannot_be_done(inspected):
    desk = inspected
    await desk.hello("attic")
    job = await desk.submit()
    await desk.hello("cellar")
    refusal = m.Failed(worker="attic", job=job, attempt=1, kind="bad_input", detail={"reason": "mask"})
    await desk.dispatcher.on_message(refusal)
    await desk.quiet()
    again = desk.transport.assigned[-1]
    assert (again.job, again.attempt, again.worker) == (job, 2, "cellar")
    await desk.dispatcher.on_message(refusal.model_copy(update={"worker": "cellar", "attempt": 2}))
    found = await desk.job(job)
    assert (found.status, found.failure_kind, found.failure_detail) == (
        JobStatus.FAILED,
        "bad_input",
        {"reason": "mask"},
    )
    assert not desk.dispatcher._floor.trust.is_for_others("attic", job)  # nothing is remembered of what is over


@pytest.mark.parametrize("others", [(), ("attic.2",)])
async def test_where_there_is_no_other_machine_its_word_counts(inspected, others):
    desk = inspected
    await desk.hello("attic")
    job = await desk.submit()
    for other in others:
        await desk.hello(other)
    await desk.dispatcher.on_message(m.Failed(worker="attic", job=job, attempt=1, kind="bad_input"))
    assert (await desk.job(job)).status is JobStatus.FAILED


class Judge:
    def __init__(self) -> None:
        self.seen: list[Looked | None] = []

    async def judge(self, job, outputs):
        self.seen += [output.safety for output in outputs]
        return Verdict({index: None for index, _ in enumerate(outputs)})

    async def told(self, job, verdict) -> None: ...


@pytest.mark.parametrize("classifies", [True, False])
async def test_what_a_worker_of_this_machine_could_not_look_at_is_looked_at_here(inspected, classifies):
    desk, judge = inspected, Judge()
    desk.settler._judge = judge
    desk.dispatcher._inspecting._inspection.classifies = lambda: classifies
    desk.looker.says = Looked(by="ours", nude=0.9)
    await desk.hello("w1")
    job = await desk.submit()
    await desk.done("w1", job, 1, b"as it came")
    assert judge.seen == [desk.looker.says if classifies else None]
    (picture,) = await desk.images.of_job(job)
    assert await desk.images.read(picture) == b"as it came"
    assert desk.looker.asked == int(classifies)


async def test_what_a_remote_worker_says_of_itself_is_bounded(inspected):
    desk = inspected
    await desk.hello("attic", slots=1000, gpu="x" * 10_000, machine="cellar")
    jobs = [await desk.submit() for _ in range(20)]
    assert len(desk.transport.assigned) < len(jobs)
    (view,) = desk.dispatcher.workers
    assert (view.hello.machine, len(view.hello.gpu)) == ("attic", 80)
    await desk.dispatcher.on_message(m.Heartbeat(worker="attic", boot="boot of attic", temperature_c=2**60))
    assert view.beat is not None
    assert view.beat.temperature_c is None


async def test_what_cannot_be_looked_at_for_a_reason_that_nobody_foresaw_is_no_result(inspected, monkeypatch, caplog):
    desk = inspected

    def puzzled(*_):
        raise ValueError("a puzzle")

    monkeypatch.setattr("bot.inspection.inspection.expected_pictures", puzzled)
    await desk.hello("attic")
    job = await desk.submit()
    await desk.done("attic", job, 1, png())
    again = desk.transport.assigned[-1]
    assert (again.job, again.attempt) == (job, 2)  # not the same result once more, for ever
    assert len(desk.transport.settled_entries) == 1
    assert "a puzzle" in caplog.text
    assert desk.dispatcher._floor.trust.mark("attic.2") == ""  # the machine is not blamed
