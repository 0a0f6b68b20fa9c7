"""The one door for new jobs: what is refused, and what a user is told beside the card."""

from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace

import discord
import pytest

from bot.delivery.machine import Machine
from bot.domain.ids import UserId
from bot.domain.imagine import ImagineOptions, build_imagine
from bot.domain.job import Action
from bot.domain.limits import Limits
from bot.errors import ContentRefusedError, UserFacingError
from bot.i18n import LANGUAGES, texts_for
from bot.storage.database import open_database
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.studio.intake import Intake
from bot.studio.notes import told
from cogs.imagine import Imagine
from gpu_worker.protocol.messages import ModelFact
from tests.contract.farm import new_job

FACTS = (ModelFact(kind="checkpoint", name="m", family="sd1", native_px=512),)


@pytest.fixture
async def jobs(tmp_path):
    database = await open_database(tmp_path / "pincel.sqlite")
    yield Jobs(database)
    await database.close()


class OpenGate:
    def require(self, *_):
        pass

    def require_units(self, *_):
        pass

    async def used(self, *_):
        pass


class NoPreferences:
    def get(self, where, key):
        return key.built_in


def intake_of(jobs, **parts):
    parts.setdefault("gate", OpenGate())
    parts.setdefault("preferences", NoPreferences())
    names = ("inputs", "dispatcher", "deliverer", "editor", "poster", "machine", "gate", "dynamic", "preferences")
    parts.setdefault("habits", OpenGate())
    given = {name: parts.get(name) for name in (*names, "habits", "private_jobs")}
    return Intake(jobs=jobs, limits=Limits(), **given)


def spec_of(prompt):
    return build_imagine(ImagineOptions(prompt), facts=FACTS, limits=Limits(), rng=Random(1)).spec


@pytest.mark.parametrize(
    "prompt",
    [
        'a schoolgirl, 12 years old --hires 2 --hires-prompt "lingerie"',
        'lingerie --hires 2 --hires-prompt "a schoolgirl, 12 years old"',
        "a schoolgirl, 12 years old\nSteps: 20, Denoising strength: 0.5, Hires upscale: 2, Hires prompt: lingerie",
    ],
)
async def test_all_texts_of_a_picture_are_judged_together(jobs, prompt):
    spec = spec_of(prompt)
    assert spec.hires.prompt
    with pytest.raises(ContentRefusedError):
        await intake_of(jobs).begin(interaction_of([]), spec, Action.IMAGINE)


def interaction_of(said, error=None, number=8):
    async def send(text, **_):
        said.append(text)
        if error:
            raise error

    async def posted(**_):
        return SimpleNamespace(message_id=7)

    return SimpleNamespace(
        user=SimpleNamespace(id=5), channel_id=6, channel=None, guild_id=None, locale="en-US",
        context=SimpleNamespace(dm_channel=True), message=None,
        id=number, token="t", filesize_limit=9,
        created_at=datetime.now(UTC), followup=SimpleNamespace(send=send),
        response=SimpleNamespace(is_done=lambda: False, send_message=posted),
    )  # fmt: skip


async def test_many_long_notes_do_not_break_the_answer(jobs, tmp_path, caplog):
    async def submit(new, _sheets):
        return await jobs.add(new)

    async def standings():
        return {}

    intake = intake_of(
        jobs,
        inputs=InputPictures(jobs._db, tmp_path / "inputs"),
        dispatcher=SimpleNamespace(submit=submit, standings=standings),
        deliverer=SimpleNamespace(answering=lambda *_: None, answered=lambda _: None),
        editor=SimpleNamespace(watch=lambda _: None),
        machine=SimpleNamespace(state=Machine(lambda: True, expected=True).state),
    )
    said = []
    await intake.begin(interaction_of(said), spec_of("a cat"), Action.IMAGINE, notes=["x" * 900] * 9)
    assert [len(text) for text in said] == [2000]
    refused = discord.HTTPException(SimpleNamespace(status=400, reason="bad"), "too long")
    await intake.begin(interaction_of(said, refused, 9), spec_of("a cat"), Action.IMAGINE, notes=["a note"])
    assert "could not be told" in caplog.text


def test_a_note_names_ten_at_most():
    text = "a cat\nSteps: 20, " + ", ".join(f"Odd key {n}: {'x' * 90}" for n in range(40))
    built = build_imagine(ImagineOptions(text), facts=FACTS, limits=Limits(), rng=Random(1))
    for language in LANGUAGES:
        assert all(len(note) < 1300 for note in told(built.notes, texts_for(language)))
    assert built.notes[-1].values["names"].endswith(", …")


async def test_a_full_queue_is_told_before_a_picture_is_fetched(jobs):
    for _ in range(Limits().max_queued_per_user):
        await jobs.add(replace(new_job("x"), user_id=UserId(5)))
    with pytest.raises(UserFacingError, match="queue_full"):
        await intake_of(jobs).require_room(UserId(5))
    await intake_of(jobs).require_room(UserId(6))
    # Whatever else the command needs is not there, so it ends before it asks for anything.
    names = SimpleNamespace(named=lambda _kind, value: value)
    cog = Imagine(SimpleNamespace(intake=intake_of(jobs), model_names=names))
    with pytest.raises(UserFacingError, match="queue_full"):
        await Imagine.imagine.callback(
            cog, SimpleNamespace(user=SimpleNamespace(id=5)), "a cat", image=SimpleNamespace(url="", size=1)
        )
