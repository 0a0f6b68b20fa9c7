"""Which previews reach the cards: those that were wished for and, where that was asked, looked at."""

from dataclasses import replace

import pytest

from bot.dispatch.dispatcher import Dispatcher
from gpu_worker.protocol import messages as m


async def shown(desk, wish, *progress):
    async def wished(_job):
        return wish

    desk.dispatcher._floor.previews = wished
    await desk.hello()
    job = await desk.submit()
    assert desk.transport.assigned[-1].preview == wish
    for number, fields in enumerate(progress):
        await desk.dispatcher.on_message(
            m.Progress(worker="w1", job=job, attempt=1, n=number, phase="sampling", step=1, of=2, **fields)
        )
    return [each.preview for each in desk.seen.progress]


PLAIN, GUARDED = {"preview": b"plain"}, {"preview": b"seen", "preview_guarded": True}


@pytest.mark.parametrize(
    ("wish", "previews"),
    [
        (m.PreviewWish(), [b"plain", b"seen"]),
        (m.PreviewWish(guarded=True), [None, b"seen"]),
        (m.PreviewWish(hz=0.0), [None, None]),
    ],
)
async def test_only_what_was_wished_for_is_shown(desk, wish, previews):
    assert await shown(desk, wish, PLAIN, GUARDED) == previews


async def test_a_job_that_is_taken_up_again_is_wished_for_again(desk):
    assert await shown(desk, m.PreviewWish(guarded=True), PLAIN) == [None]
    (running,) = desk.transport.assigned
    again = Dispatcher(
        jobs=desk.jobs, scripts=desk.dispatcher._scripts, timings=desk.timings, settler=desk.settler,
        resolver=desk.dispatcher._handing._composer._resolver,
        transport=desk.transport, listener=desk.seen, leases=replace(desk.leases), clock=lambda: desk.now,
        previews=desk.dispatcher._floor.previews,
    )  # fmt: skip
    await desk.dispatcher.stop()
    await again.start()
    told = m.Running(job=running.job, attempt=1, phase="sampling")
    await again.on_message(m.Hello(worker="w1", app_version="1", boot="boot of w1", name="w1", running=(told,)))
    for fields in (PLAIN, GUARDED):
        await again.on_message(
            m.Progress(worker="w1", job=running.job, attempt=1, n=9, phase="sampling", step=1, of=2, **fields)
        )
    assert [each.preview for each in desk.seen.progress[-2:]] == [None, b"seen"]
    await again.stop()
