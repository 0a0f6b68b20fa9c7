"""The one door for new jobs: what is refused, and what a user is told beside the card."""

from random import Random
from types import SimpleNamespace

import pytest

from bot.domain.imagine import ImagineOptions, build_imagine
from bot.domain.job import Action
from bot.domain.limits import Limits
from bot.errors import ContentRefusedError
from bot.storage.database import open_database
from bot.storage.jobs import Jobs
from bot.studio.intake import Intake
from gpu_worker.protocol.messages import ModelFact

FACTS = (ModelFact(kind="checkpoint", name="m", family="sd1", native_px=512),)


@pytest.fixture
async def jobs(tmp_path):
    database = await open_database(tmp_path / "pincel.sqlite")
    yield Jobs(database)
    await database.close()


def intake_of(jobs, **parts):
    names = ("inputs", "dispatcher", "deliverer", "editor", "poster", "machine")
    return Intake(jobs=jobs, limits=Limits(), **{name: parts.get(name) for name in names})


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
        await intake_of(jobs).begin(SimpleNamespace(user=SimpleNamespace(id=5)), spec, Action.IMAGINE)
