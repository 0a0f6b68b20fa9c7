"""Pictures that members gave: kept as long as something needs them, and no longer."""

import asyncio
import contextlib
import hashlib
import time
from dataclasses import replace

import pytest

from bot.domain.ids import ImageId, UserId
from bot.domain.job import Action, Image, JobStatus, Lane, NewTraining
from bot.storage.datasets import Datasets, NewPicture
from bot.storage.drafts import KEPT_S, Drafts
from bot.storage.images import Images, MissingPictureError
from bot.storage.inputs import InputPictures, given_pictures
from gpu_worker.language.training.parameters import DatasetRules, Parameters, SubsetRules
from gpu_worker.protocol.specs import Img2Img, Mask, Train, TrainDataset, TrainImage, TrainSubset
from tests.contract.farm import new_job


@pytest.fixture
def inputs(database, tmp_path):
    return InputPictures(database, tmp_path / "inputs")


def spec_of(ref, mask=None):
    return Img2Img(
        prompt="x", checkpoint="m", width=64, height=64, seed=1, image=ref, mask=Mask(image=mask) if mask else None
    )


async def added(jobs, spec, **columns):
    new = replace(new_job("x"), task=spec, **columns)
    await jobs.add(new)
    return new.id


async def drew(database, job_id, name):
    picture = Image(ImageId(name), job_id, 0, f"{name}.png", "0" * 64, "image/png", 64, 64, 9, 1, "", Action.IMAGINE)
    async with database.write() as tx:
        await Images(database, database).add_in(tx, [picture])
    return picture.id


def there(inputs, ref):
    return inputs._path(ref.sha256).is_file()


async def test_a_job_that_waits_or_failed_needs_its_picture_until_its_card_is_deleted(inputs, jobs):
    ref, mask = await inputs.keep(b"picture", "image/png"), await inputs.keep(b"mask", "image/png")
    waiting = await added(jobs, spec_of(ref, mask))
    failed = await added(jobs, spec_of(ref))
    await jobs.transition(failed, (JobStatus.QUEUED,), JobStatus.FAILED)
    for job_id in (failed, waiting):
        await inputs.discard_unused(given_pictures(spec_of(ref, mask)))
        assert there(inputs, ref)
        assert there(inputs, mask)
        await jobs.set_deleted(job_id)
    await inputs.discard_unused(given_pictures(spec_of(ref, mask)))
    assert not there(inputs, ref)
    assert not there(inputs, mask)


async def test_a_draft_needs_its_picture_for_a_week(inputs, database, monkeypatch):
    ref = await inputs.keep(b"picture", "image/png")
    drafts = Drafts(database)
    draft = await drafts.add(UserId(5), Action.EDIT, spec_of(ref))
    await inputs.discard_unused([ref])
    assert there(inputs, ref)
    assert await inputs.sweep() == 0
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + KEPT_S + 1)
    assert await drafts.get(draft.id) is None
    (old,) = await drafts.drop_old()
    await inputs.discard_unused(given_pictures(old))
    assert not there(inputs, ref)
    assert await drafts.drop_old() == []


async def test_what_an_enlargement_came_from_is_needed_by_it(inputs, jobs, database):
    ref = await inputs.keep(b"picture", "image/png")
    first = await added(jobs, spec_of(ref))
    second = await added(
        jobs, new_job("x").task, action=Action.UPSCALE, source_image_id=await drew(database, first, "a")
    )
    third = await added(
        jobs, new_job("x").task, action=Action.UPSCALE, source_image_id=await drew(database, second, "b")
    )
    for job_id in (first, second):
        await jobs.set_deleted(job_id)
        await inputs.discard_unused([ref])
        assert there(inputs, ref)
    assert await inputs.sweep() == 0
    await jobs.set_deleted(third)
    await inputs.discard_unused([ref])
    assert not there(inputs, ref)


async def test_a_sweep_leaves_what_is_needed_alone(inputs, jobs, tmp_path):
    kept, lost, held = [await inputs.keep(name, "image/png") for name in (b"kept", b"lost", b"held")]
    await added(jobs, spec_of(kept))
    (tmp_path / "inputs" / "ab").mkdir(exist_ok=True)
    half = tmp_path / "inputs" / "ab" / "x.1234.part"
    half.write_bytes(b"half")
    async with inputs.holding([held]):
        assert await inputs.sweep() == 1
    assert (there(inputs, kept), there(inputs, lost), there(inputs, held)) == (True, False, True)
    assert not half.exists()


def training_of(refs):
    subset = TrainSubset(name="1_x", rules=SubsetRules(), images=tuple(TrainImage(image=ref) for ref in refs))
    return Train(
        checkpoint="m", output_name="x", datasets=(TrainDataset(rules=DatasetRules(), subsets=(subset,)),),
        parameters=Parameters(seed=1),
    )  # fmt: skip


async def test_a_data_set_that_goes_takes_its_pictures_but_for_those_that_are_needed(
    inputs, jobs, database, monkeypatch
):
    refs = [await inputs.keep(b"%d" % n, "image/png") for n in range(20)]
    training = replace(
        new_job("x"), task=training_of(refs[:8]), action=Action.TRAIN, lane=Lane.TRAINING,
        training=NewTraining(dataset_id="d", preset="character"),
    )  # fmt: skip
    await jobs.add(training)
    await added(jobs, spec_of(refs[8]))
    datasets = Datasets(database)
    other = await datasets.create(UserId(5), "other", guild_id=None, consent_at=1.0)
    (folder,) = await datasets.folders(other.id)
    await datasets.add_pictures(folder.id, [NewPicture(refs[9], 9, 9, 0, "p", None)], room_bytes=999)
    asked, one = [], database.one
    monkeypatch.setattr(database, "one", lambda *args: asked.append(args) or one(*args))
    async with inputs.holding(refs[10:12]):
        await inputs.discard_unused(refs)
    assert [ref for ref in refs if there(inputs, ref)] == refs[:12]
    assert len(asked) <= 9  # not for each of those that nothing mentions
    # The training is over, and what it needed goes: nobody takes it out any more.
    assert await inputs.discard_taught() == 0
    await jobs.transition(training.id, (JobStatus.QUEUED,), JobStatus.CANCELLED, finished_at=time.time())
    assert await inputs.discard_taught() == 8
    assert [ref for ref in refs if there(inputs, ref)] == refs[8:12]


async def test_what_a_request_under_way_takes_is_not_removed_under_it(inputs):
    ref = await inputs.keep(b"picture", "image/png")

    async def taken(number):
        with contextlib.suppress(UserWarning):
            async with inputs.keeping(b"picture", "image/png") as mine:
                assert await inputs.read(mine) == b"picture"
                await asyncio.sleep(0)
                assert await inputs.read(mine) == b"picture"
                if number % 2:
                    raise UserWarning("refused")

    async def removed():
        for _ in range(20):
            await inputs.discard_unused([ref])
            await asyncio.sleep(0)

    await asyncio.gather(*(taken(number) for number in range(20)), removed())


async def test_a_damaged_file_is_replaced(inputs):
    ref = await inputs.keep(b"picture", "image/png")
    inputs._path(ref.sha256).write_bytes(b"pictur?")
    with pytest.raises(MissingPictureError):
        await inputs.read(ref)
    again = await inputs.keep(b"picture", "image/png")
    assert await inputs.read(again) == b"picture"
    assert again.sha256 == hashlib.sha256(b"picture").hexdigest()
