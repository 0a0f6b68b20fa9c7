"""However many requests of one person come at once, no more wait than may."""

import asyncio


async def test_requests_at_once_do_not_pass_the_bound(make_stage):
    stage = await make_stage(max_queued_per_user=3)
    stage.painter.hold()
    member = await stage.visitor()
    answers = [member.slash("general", "imagine", {"prompt": f"a cat {n}", "count": 1}) for n in range(9)]
    await asyncio.gather(*answers)
    (row,) = await asyncio.to_thread(stage.rows, "SELECT count(*) AS n FROM jobs")
    assert row["n"] == 3
    stage.painter.release()
