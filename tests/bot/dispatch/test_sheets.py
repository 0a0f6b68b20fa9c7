"""Scripts in the line: their sheets are in batch and delay nobody by more than one, their cells end with them."""

from __future__ import annotations

import hashlib

from bot.domain.ids import ChannelId, JobId, UserId, new_job_id
from bot.domain.job import Action, JobStatus, Lane, NewJob
from bot.domain.queue_rules import Move
from bot.domain.scripts import Matrix
from bot.domain.scripts.sheets import sheets_of
from bot.storage.scripts import Scripts, as_sheet
from bot.storage.spending import Spending
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import DRAW_TASKS, Txt2Img

ANA = UserId(1)


def new_matrix(parts: int = 3, *, user: int = 1, side: int = 64) -> tuple[NewJob, list[NewJob]]:
    prompt = "|".join(["base", *"abcdefgh"[:parts]])
    script = Matrix(base=Txt2Img(prompt=prompt, checkpoint="m1", width=side, height=side, seed=7))
    new = NewJob(
        id=new_job_id(), action=Action.MATRIX, user_id=UserId(user), channel_id=ChannelId(5), task=script,
        lane=Lane.SCRIPT,
    )  # fmt: skip
    return new, [as_sheet(new, sheet) for sheet in sheets_of(script.expanded().cells)]


async def begun(desk, parts: int = 3, **options) -> tuple[JobId, list[JobId]]:
    new, sheets = new_matrix(parts, **options)
    assert await desk.dispatcher.submit(new, sheets) == (new.id, True)
    await desk.quiet()
    return new.id, [sheet.id for sheet in sheets]


async def drawn(desk, job: str, cells: int, *, missing: tuple[m.Missing, ...] = ()) -> None:
    outputs = []
    for n in range(cells):
        content = f"{job} {n}".encode()
        (desk.blobs / f"{job}{n}").write_bytes(content)
        outputs.append(
            m.Output(
                blob=f"{job}{n}", size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(),
                mime="image/png", width=64, height=64, seed=7, infotext="",
            )
        )  # fmt: skip
    done = m.Done(worker="w1", job=job, attempt=1, outputs=tuple(outputs), run_s=3.0, missing=missing)
    await desk.dispatcher.on_message(done)
    await desk.quiet()


async def test_a_plot_of_a_hundred_cells_delays_nobody_beyond_the_sheet_that_is_drawn(desk):
    await desk.hello("w1", prefetch=1, tasks=DRAW_TASKS)
    script, sheets = await begun(desk, 7, user=1)
    assert len(sheets) == 16
    assert [assign.job for assign in desk.transport.assigned] == sheets[:1]  # nothing of it waits in the worker
    other = await desk.submit("label:other", user=2)
    assert [assign.job for assign in desk.transport.assigned] == [sheets[0], other]
    await drawn(desk, sheets[0], 8)
    assert len(desk.transport.assigned) == 2  # what comes meanwhile goes before its next sheet, too
    third = await desk.submit("label:third", user=3)
    await desk.done("w1", other, 1)
    await desk.done("w1", third, 1)
    assert [assign.job for assign in desk.transport.assigned] == [sheets[0], other, third, sheets[1]]
    assert (await desk.job(script)).status is JobStatus.QUEUED
    assert script not in [assign.job for assign in desk.transport.assigned]
    assert script not in await desk.dispatcher.standings()


async def test_batch_has_its_turn_although_somebody_is_always_there(desk):
    await desk.hello("w1", prefetch=1, tasks=DRAW_TASKS)
    running = [await desk.submit("label:0", user=2)]
    _, sheets = await begun(desk, 3, user=1)
    for n in range(1, 12):
        running.append(await desk.submit(f"label:{n}", user=2))
        await desk.done("w1", running.pop(0), 1)
    assert sheets[0] in [assign.job for assign in desk.transport.assigned]


async def test_cells_end_with_their_sheet_each_as_a_job_with_its_picture(desk):
    await desk.hello("w1", tasks=DRAW_TASKS)
    script, (sheet,) = await begun(desk, 2)
    await drawn(desk, sheet, 3, missing=(m.Missing(index=1, kind="oom"),))
    assert (await desk.job(sheet)).status is JobStatus.DELIVERED
    scripts = Scripts(desk.database)
    found = await scripts.pictures(script)
    assert [cell.place for cell in found] == [0, 2, 3]
    cells = [await desk.job(cell.job_id) for cell in found]
    assert [cell.spec.prompt for cell in cells] == ["base", "base, b", "base, a, b"]
    assert {(cell.action, cell.status, cell.script_id, cell.parent_id) for cell in cells} == {
        (Action.CELL, JobStatus.DELIVERED, script, script)
    }
    (picture,) = await desk.images.of_job(cells[1].id)
    assert await desk.images.read(picture) == f"{sheet} 1".encode()
    assert await scripts.reasons(script) == {1: "oom"}
    progress = await scripts.progress(script)
    assert (progress.total, progress.drawn, progress.is_over) == (4, 3, True)
    assert await desk.images.of_job(sheet) == []
    assert await desk.jobs.untold() == []


async def test_pictures_count_once_whatever_they_are_rows_of(desk):
    spending = Spending(desk.database, lambda model, units: 1.0)
    await desk.hello("w1", tasks=DRAW_TASKS)
    script, (sheet,) = await begun(desk, 2)
    spent = await spending.of(ANA)
    assert (spent.pictures, spent.waiting) == (4, 1)
    assert [job.id for job in await desk.jobs.waiting_of(ANA)] == [script]
    assert await desk.jobs.count_waiting_of(ANA) == 1
    await drawn(desk, sheet, 3, missing=(m.Missing(index=0, kind="oom"),))
    spent = await spending.of(ANA)
    assert (spent.pictures, spent.gpu_s) == (3, 3.0)
    (asked,) = await desk.database.all("SELECT created_at FROM jobs WHERE lane = 'script'")
    assert spent.last_at == asked["created_at"], "nobody waits longer for the next request because cells are drawn"


async def test_a_cancelled_script_ends_its_sheets_and_keeps_what_is_drawn(desk):
    await desk.hello("w1", tasks=DRAW_TASKS)
    script, sheets = await begun(desk, 5)
    await drawn(desk, sheets[0], 8)
    assert await desk.dispatcher.cancel(script, ANA) is JobStatus.ASSIGNED
    assert desk.transport.cancels("w1") == [(sheets[1], 1, "user")]
    assert [(await desk.job(sheet)).status for sheet in sheets] == [
        JobStatus.DELIVERED, JobStatus.ASSIGNED, JobStatus.CANCELLED, JobStatus.CANCELLED,
    ]  # fmt: skip
    await desk.dispatcher.on_message(m.Cancelled(worker="w1", job=sheets[1], attempt=1))
    await desk.quiet()
    progress = await Scripts(desk.database).progress(script)
    assert (progress.drawn, progress.is_over) == (8, True)
    assert set(sheets) <= set(desk.seen.ends)
    assert (await desk.job(script)).cancel_by == ANA


async def test_a_result_that_does_not_fit_its_cells_is_drawn_again(desk):
    await desk.hello("w1", tasks=DRAW_TASKS)
    _, (sheet,) = await begun(desk, 2)
    await drawn(desk, sheet, 3)
    assert (await desk.job(sheet)).status is JobStatus.ASSIGNED
    assert (await desk.job(sheet)).crashes == 1


async def died_of(desk, sheet: JobId, times: int) -> None:
    """So many workers that began it."""
    for _ in range(times):
        await desk.hello("w1", tasks=DRAW_TASKS)
        await desk.quiet()
        job = await desk.job(sheet)
        assert job.status is JobStatus.ASSIGNED
        await desk.dispatcher.on_message(
            m.Failed(worker="w1", job=sheet, attempt=job.attempt, kind="crash", retryable=True)
        )
        await desk.quiet()


async def test_cells_that_shared_a_deadly_sheet_are_tried_alone(desk):
    script, (sheet,) = await begun(desk, 2)
    await died_of(desk, sheet, 3)
    waiting = await Scripts(desk.database).sheets(script)
    cells = [(await desk.job(one)).task for one in waiting]
    assert (waiting[0], sorted(one.places for one in cells)) == (sheet, [(0,), (1,), (2,), (3,)])
    assert {len(one.cells) for one in cells} == {1}
    assert (await Scripts(desk.database).progress(script)).total == 4
    await died_of(desk, waiting[0], 1)
    assert (await desk.job(waiting[0])).status is JobStatus.FAILED
    await died_of(desk, waiting[1], 1)
    assert len(await Scripts(desk.database).sheets(script)) == 2, "the others have their turn yet"


async def test_a_grid_that_kills_whatever_draws_it_ends_soon(desk):
    script, sheets = await begun(desk, 4)
    other, _ = await begun(desk, 2, user=2)
    starts = 0
    while await Scripts(desk.database).sheets(script):
        await desk.hello("w1", tasks=DRAW_TASKS)
        await desk.quiet()
        starts += 1
        (running,) = await desk.database.all("SELECT id, attempt, script_id FROM jobs WHERE status = 'assigned'")
        if running["script_id"] == other:
            await drawn(desk, running["id"], 4)
            continue
        end = m.Failed(worker="w1", job=running["id"], attempt=running["attempt"], kind="crash", retryable=True)
        await desk.dispatcher.on_message(end)
        await desk.quiet()
    assert starts < 20, "and not three for each of its sixteen cells"
    ends = {(await desk.job(sheet)).status for sheet in sheets}
    assert ends == {JobStatus.FAILED}
    assert (await Scripts(desk.database).progress(other)).drawn == 4


async def test_a_worker_that_knows_no_sheets_is_given_none(desk):
    await desk.hello("w1", tasks=("txt2img",))
    _, sheets = await begun(desk, 2)
    assert desk.transport.assigned == []
    await desk.hello("w2", tasks=DRAW_TASKS)
    assert [assign.job for assign in desk.transport.assigned] == sheets


async def test_a_moved_sheet_takes_all_of_its_script_along(desk):
    _, sheets = await begun(desk, 5, user=1)
    other = await desk.submit("label:other", user=2)
    assert (await desk.dispatcher.standings())[other].position == 1
    assert await desk.dispatcher.move(sheets[2], Move.FRONT)
    standings = await desk.dispatcher.standings()
    assert max(standings[sheet].position for sheet in sheets) < standings[other].position


async def test_every_cell_has_the_time_of_a_job(desk):
    await desk.hello("w1", tasks=DRAW_TASKS)
    alone = await desk.submit("alone", user=2)
    await desk.done("w1", alone, 1)
    await begun(desk, 2)
    alone, sheet = desk.transport.assigned
    assert sheet.max_run_s == 4 * alone.max_run_s
