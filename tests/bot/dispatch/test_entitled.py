"""What is remembered of who may fetch what."""

from __future__ import annotations

from bot.dispatch.entitled import TITLES_MAX, Entitled
from bot.dispatch.needs import NeededFile
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import Txt2Img

SPEC = Txt2Img(prompt="x", checkpoint="c", width=64, height=64, seed=1)


def assign(job: str) -> m.Assign:
    return m.Assign(worker="garage", job=job, attempt=1, lane="interactive", model="c", spec=SPEC)


async def test_where_nobody_ever_asks_no_more_is_kept_than_needed(desk, tmp_path):
    """An old job that still runs entitles all the same: the table has it."""
    ref = m.ModelRef(kind="checkpoint", name="c", sha256="0" * 64, size_bytes=1)
    needs = [NeededFile(ref, tmp_path / "c")]
    await desk.hello("garage")
    job = await desk.submit()

    async def compose(_, worker: str):
        return assign(job), needs

    now = 0.0
    entitled = Entitled(desk.jobs, compose, lambda: now)
    assert await entitled.model("garage", ref.sha256) == tmp_path / "c"
    for n in range(2 * TITLES_MAX):
        entitled.note(assign(f"job{n}"), ())
    assert len(entitled._titles) == TITLES_MAX
    assert sum(map(len, entitled._held.values())) == TITLES_MAX
    now = 1.0
    assert await entitled.model("garage", ref.sha256) == tmp_path / "c"
    assert await entitled.model("attic", ref.sha256) is None
