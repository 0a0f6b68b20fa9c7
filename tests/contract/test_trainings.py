"""Trainings across the boundary: they yield, go on after any death, and what they saved arrives once."""

from __future__ import annotations

import asyncio
import collections
import sys
from pathlib import Path

from bot.domain.ids import ChannelId, JobId, UserId, new_job_id
from bot.domain.job import Action, JobStatus, Lane, NewJob, NewTraining
from bot.storage.database import open_database
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.storage.trainings import Trainings
from gpu_worker.language.training.parameters import Parameters
from gpu_worker.protocol.specs import Train, TrainDataset, TrainImage, TrainSubset
from tests.contract.farm import Farm, open_farm
from tests.contract.kits import KILL, KITS
from tests.contract.test_bot_deaths import BOT

STEPS = 60


async def new_training(inputs: InputPictures) -> NewJob:
    ref = await inputs.keep(b"somebody's picture", "image/png")
    subset = TrainSubset(name="10_a", num_repeats=10, images=(TrainImage(image=ref),))
    spec = Train(
        checkpoint="m1", output_name="mychar", datasets=(TrainDataset(subsets=(subset,)),),
        parameters=Parameters(seed=1, max_train_steps=STEPS),
    )  # fmt: skip
    return NewJob(
        id=new_job_id(), action=Action.TRAIN, user_id=UserId(1), channel_id=ChannelId(5), task=spec,
        lane=Lane.TRAINING, training=NewTraining("set", "character"),
    )  # fmt: skip


async def at_step(root: Path, step: int) -> None:
    async with asyncio.timeout(30):
        while f"step {step} mychar\n" not in ((root / "journal").read_text() if (root / "journal").exists() else ""):
            await asyncio.sleep(0.01)


async def check_whole(farm: Farm, job: JobId, *, again: int) -> None:
    """All steps were made, and no more than `again` of them twice; every saved file is there, and whole."""
    await farm.settled(["w1"])
    made = collections.Counter(line for line in farm.journal().elements() if line.startswith("step "))
    assert len(made) == STEPS
    assert sum(made.values()) - STEPS <= again
    files = await Trainings(farm.database, farm.root / "trainings").files(job)
    assert [(file.name, file.step) for file in files] == [
        ("mychar-step00000025", 25), ("mychar-step00000050", 50), ("mychar", STEPS)
    ]  # fmt: skip
    assert [file.path.read_bytes() for file in files] == [b"mychar after %d steps" % file.step for file in files]


async def test_training_makes_way_and_goes_on_after_its_worker_was_killed(farm):
    new = await new_training(InputPictures(farm.database, farm.root / "inputs"))
    job, _ = await farm.dispatcher.submit(new)
    await at_step(farm.root, 10)
    picture = await farm.submit("label:now")
    await farm.ended([picture])
    assert farm.journal()["paused mychar"] == 1
    assert farm.journal()["end mychar"] == 0
    await at_step(farm.root, 20)
    assert farm.kit.signal(farm.transport, "w1", KILL)
    await at_step(farm.root, 30)
    await farm.dispatcher.pause(job, UserId(1))
    async with asyncio.timeout(30):
        while (await farm.job(job)).status is not JobStatus.QUEUED:
            await asyncio.sleep(0.01)
    await farm.dispatcher.resume(job)
    await farm.ended([job])
    done = await farm.job(job)
    assert (done.status, done.crashes) == (JobStatus.DONE, 0)
    assert sorted(name for _, name in farm.seen.saves) == ["mychar", "mychar-step00000025", "mychar-step00000050"]
    await check_whole(farm, job, again=1)


async def test_training_goes_on_after_its_bot_was_killed(tmp_path, kit):
    database = await open_database(tmp_path / "pincel.sqlite")
    new = await new_training(InputPictures(database, tmp_path / "inputs"))
    await Jobs(database).add(new)
    await database.close()
    name = next(name for name, known in KITS.items() if known is kit)
    bot = await asyncio.create_subprocess_exec(sys.executable, str(BOT), str(tmp_path), name, "w1")
    try:
        await at_step(tmp_path, 27)
    finally:
        bot.kill()
        await bot.wait()
    async with open_farm(tmp_path, kit) as farm:
        await farm.ended([new.id])
        found = await farm.job(new.id)
        assert (found.status, found.crashes) == (JobStatus.DONE, 0)
        rows = await farm.database.all("SELECT outcome FROM attempts ORDER BY attempt", ())
        # A worker that outlives its bot has nobody to pause for.
        assert [row["outcome"] for row in rows] == (["done"] if kit.outlives_bots else ["paused", "done"])
        await check_whole(farm, new.id, again=0)
