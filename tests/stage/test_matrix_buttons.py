"""Every verb, pressed from where it lives (matrix_scenes.py): once, twice at once, by two people at once, after the bot
died, while its message is deleted, with everything gone that it is about, and with an address that nobody gave out."""

import asyncio
import contextlib
import shutil

import pytest

from bot.ui.codec import VERBS
from tests.stage.matrix import Trouble, friendly
from tests.stage.matrix_pressing import Button
from tests.stage.matrix_scenes import PRESSES, SCENES

EVERY = pytest.mark.parametrize(
    "press", PRESSES, ids=[f"{p.verb}{'' if p.n is None else p.n}-{p.opens or ''}".strip("-") for p in PRESSES]
)
KEPT = ("schema_migrations", "facts", "sqlite_sequence")


@pytest.fixture
def trouble():
    with Trouble("failed (other)") as listening:
        yield listening


def test_every_verb_lives_somewhere():
    assert {press.verb for press in PRESSES} | {press.opens for press in PRESSES if press.opens} == VERBS
    assert {press.scene for press in PRESSES} <= set(SCENES)


def jobs(stage):
    return stage.rows("SELECT count(*) AS n FROM jobs")[0]["n"]


def emptied(stage):
    """The database of somebody who restored an old copy, and no files."""
    for row in stage.rows("SELECT name FROM sqlite_master WHERE type = 'table'"):
        if row["name"] not in KEPT and not row["name"].startswith("history_fts"):
            stage.execute(f'DELETE FROM "{row["name"]}"')
    shutil.rmtree(stage.settings.outputs_dir, ignore_errors=True)


@EVERY
async def test_twice_at_once_and_by_two_people(stage, trouble, press):
    scene = await SCENES[press.scene](stage)
    button, owner = Button(stage, scene, press), scene.owner
    channel = scene.card.channel_id
    before = jobs(stage)
    pressed = await asyncio.gather(*(button.press(owner) for _ in range(2)))
    for answer in pressed:
        await friendly(owner, channel, answer)
    forms = [answer for answer in pressed if answer.kind == "modal"]
    assert bool(forms) == (press.opens is not None)
    for answer in await asyncio.gather(*(button.fill(owner, form) for form in forms)):
        await friendly(owner, channel, answer)
    assert jobs(stage) - before <= press.jobs
    stranger = await stage.visitor("Stranger")
    button.put_back(public=True)
    await asyncio.gather(button.whole(owner), button.whole(stranger))
    assert not trouble.take()


@EVERY
async def test_when_the_bot_its_message_or_all_behind_it_is_gone(stage, trouble, press):
    scene = await SCENES[press.scene](stage)
    button, owner = Button(stage, scene, press), scene.owner
    parts = button.custom_id.split(":")
    for unknown in ("zzzzzzzzzzzzzzzz", "0", "9999999999999999999", "all"):
        address = ":".join([*parts[:2], unknown, *parts[3:]])
        button.put_back(address)
        await button.whole(owner, address)
    assert not trouble.take(), "with an address that nobody gave out"
    await stage.restart(kill=True)
    button.put_back()
    answers = await button.whole(owner)
    assert len(answers) == (2 if press.opens else 1)
    assert not trouble.take(), "after the bot was killed"
    button.put_back()
    button.gone_in_the_middle()
    await button.whole(owner)
    assert not trouble.take(), "with its message deleted"
    stage.painter.release()
    with contextlib.suppress(TimeoutError):
        await stage.told(2)
    await asyncio.to_thread(emptied, stage)
    button.put_back()
    await button.whole(owner)
    assert not trouble.take(), "with everything gone"
