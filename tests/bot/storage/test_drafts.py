"""Requests that nobody asked for yet: kept over a restart, thrown away when old."""

import time

from bot.domain.ids import JobId, UserId
from bot.domain.job import Action
from bot.domain.parameters import Parameters
from bot.storage.drafts import KEPT_S, Drafts
from bot.storage.inputs import InputPictures
from bot.storage.last_tweaks import LastTweaks
from gpu_worker.protocol.specs import ImageRef, Img2Img, Txt2Img

SPEC = Txt2Img(prompt="a cat", checkpoint="m", width=64, height=64, seed=1)
GIVEN = Img2Img(
    prompt="a cat", checkpoint="m", width=64, height=64, seed=1,
    image=ImageRef(ref="input:0", sha256="0" * 64, mime="image/png", size_bytes=1),
)  # fmt: skip


async def test_a_draft_comes_back_as_it_was_left(database):
    drafts = Drafts(database)
    for spec in (SPEC, GIVEN):
        draft = await drafts.add(UserId(5), Action.EDIT, spec)
        assert await drafts.get(draft.id) == draft
        changed = await drafts.change(draft, spec.model_copy(update={"steps": 9}))
        assert await drafts.get(draft.id) == changed
        assert changed.spec.steps == 9
    assert await drafts.get(JobId("b" * 16)) is None


async def test_a_draft_that_cannot_be_read_is_none(database, caplog):
    drafts = Drafts(database)
    draft = await drafts.add(UserId(5), Action.EDIT, SPEC)
    async with database.write() as tx:
        await tx.execute("UPDATE drafts SET spec = replace(spec, '\"seed\":1', '\"seed\":-1')")
    assert await drafts.get(draft.id) is None
    assert "cannot be read" in caplog.text


async def test_old_drafts_go(database, monkeypatch):
    drafts = Drafts(database)
    old = await drafts.add(UserId(5), Action.IMAGINE, SPEC)
    now = time.time()
    monkeypatch.setattr("bot.storage.drafts.time.time", lambda: now + KEPT_S + 1)
    new = await drafts.add(UserId(5), Action.IMAGINE, SPEC)
    assert await drafts.get(old.id) is None
    assert await drafts.drop_old() == [SPEC]
    assert len(await database.all("SELECT id FROM drafts")) == 1
    assert await drafts.get(new.id) == new


async def test_what_a_draft_began_with_stays_as_long_as_it(database, tmp_path):
    inputs, drafts = InputPictures(database, tmp_path), Drafts(database)
    ref = await inputs.keep(b"picture", "image/png")
    base = GIVEN.model_copy(update={"image": ref})
    draft = await drafts.add(UserId(5), Action.EDIT, SPEC, base=base, parent_id=None)
    await inputs.discard_unused([ref])
    assert await inputs.sweep() == 0
    assert (await drafts.get(draft.id)).base == base
    assert (await drafts.search(draft, "lora", "ink")) == await drafts.get(draft.id)


async def test_what_was_changed_last_is_remembered(database):
    last = LastTweaks(database)
    assert await last.get(UserId(5)) == Parameters()
    wishes = Parameters(steps=30, hires_size=(800, 0), tiling=False)
    await last.put(UserId(5), wishes)
    await last.put(UserId(5), Parameters())
    assert await last.get(UserId(5)) == wishes
    assert await last.get(UserId(6)) == Parameters()
