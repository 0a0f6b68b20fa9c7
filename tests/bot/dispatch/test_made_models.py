"""How a job on model files ends in the table: its file in the library once, whatever died between."""

import dataclasses

import pytest

from bot.dispatch.settle import MADE_BY, Settler
from bot.domain.ids import ChannelId, GuildId, JobId, UserId
from bot.domain.job import Action, JobStatus, Lane, NewJob, model_of, work_units
from bot.errors import UserFacingError
from bot.library import Library, LibraryFile
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.outbox import MODEL_MIME
from gpu_worker.protocol.specs import BakedLora, BakeSpec, ConvertSpec, MergeSpec

SPEC = ConvertSpec(output="small one", model="large", model_kind="vae", size_bytes=3 << 30, owner=22)
DATA = (2).to_bytes(8, "little") + b"{}"


class Transport:
    def __init__(self, folder):
        self.folder = folder

    async def fetch(self, done, output):
        return self.folder / output.blob


@pytest.fixture
async def library(database, tmp_path):
    return Library(database, models_dir=tmp_path / "models", demo_dir=tmp_path / "demo")


@pytest.fixture
def settler(database, tmp_path, library):
    jobs = Jobs(database)
    images = Images(database, tmp_path / "outputs")
    return Settler(database=database, jobs=jobs, images=images, transport=Transport(tmp_path), library=library)


@pytest.fixture
async def running(database):
    jobs = Jobs(database)
    new = NewJob(JobId("j" * 16), Action.CONVERT, UserId(7), ChannelId(5), SPEC, guild_id=GuildId(22), lane=Lane.BATCH)
    await jobs.add(new)
    return await jobs.claim(new.id, "w1", "boot")


def done(job, mime=MODEL_MIME):
    output = m.Output(
        blob="j.1.0.safetensors",
        size_bytes=len(DATA),
        sha256="0" * 64,
        mime=mime,
        width=0,
        height=0,
        seed=0,
        infotext="",
    )
    return m.Done(worker="w1", job=job.id, attempt=job.attempt, outputs=(output,), run_s=3)


async def test_the_file_goes_into_the_library_with_its_owner(settler, running, database, tmp_path, library):
    (tmp_path / "j.1.0.safetensors").write_bytes(DATA)
    assert await settler.settle(done(running), max_crashes=3) is JobStatus.DONE
    job = await Jobs(database).get(running.id)
    assert job.result.name == "small one"
    assert (job.result.kind, job.result.size_bytes) == ("vae", len(DATA))
    (file,) = library.files("vae")
    assert file.path == tmp_path / "models" / "vae" / "small one.safetensors"
    assert (file.added_by, file.added_in, file.source) == (7, 22, f"{MADE_BY}{job.id}")
    assert not (tmp_path / "j.1.0.safetensors").exists()


async def test_a_bot_that_died_between_the_move_and_the_commit(settler, running, database, tmp_path, library):
    (tmp_path / "j.1.0.safetensors").write_bytes(DATA)
    with database_that_dies(settler), pytest.raises(RuntimeError):
        await settler.settle(done(running), max_crashes=3)
    assert (await Jobs(database).get(running.id)).status is JobStatus.ASSIGNED
    reborn = Library(database, models_dir=tmp_path / "models", demo_dir=tmp_path / "demo")
    await reborn.load()
    settler._library = reborn
    assert await settler.settle(done(running), max_crashes=3) is JobStatus.DONE
    assert [file.name for file in reborn.files("vae")] == ["small one"]


def database_that_dies(settler):
    import contextlib

    @contextlib.contextmanager
    def dying():
        kept = settler._jobs.transition_in

        async def die(*arguments, **more):
            raise RuntimeError("killed")

        settler._jobs.transition_in = die
        yield
        settler._jobs.transition_in = kept

    return dying()


async def test_a_lost_or_cut_file_is_made_again(settler, running, database, tmp_path):
    assert await settler.settle(done(running), max_crashes=3) is JobStatus.QUEUED
    again = await Jobs(database).claim(running.id, "w1", "boot")
    (tmp_path / "j.1.0.safetensors").write_bytes(DATA[:-1])
    assert await settler.settle(done(again), max_crashes=3) is JobStatus.QUEUED
    third = await Jobs(database).claim(running.id, "w1", "boot")
    assert await settler.settle(done(third, mime="image/png"), max_crashes=3) is JobStatus.FAILED


async def test_cancelled_while_it_was_moved(settler, running, database, tmp_path, library, monkeypatch):
    (tmp_path / "j.1.0.safetensors").write_bytes(DATA)
    adopt = Library.adopt

    async def slowly(self, *arguments, **more):
        made = await adopt(self, *arguments, **more)
        await Jobs(database).transition(running.id, (JobStatus.ASSIGNED,), JobStatus.CANCELLED)
        return made

    monkeypatch.setattr(Library, "adopt", slowly)
    assert await settler.settle(done(running), max_crashes=3) is None
    assert not library.files("vae")
    assert not (tmp_path / "models" / "vae" / "small one.safetensors").exists()


async def test_a_full_disk_is_tried_again(settler, running, database, tmp_path, monkeypatch):
    (tmp_path / "j.1.0.safetensors").write_bytes(DATA)

    async def full(self, *arguments, **more) -> LibraryFile:
        raise UserFacingError("library_disk", name="x")

    monkeypatch.setattr(Library, "adopt", full)
    with pytest.raises(OSError, match="does not take"):
        await settler.settle(done(running), max_crashes=3)
    monkeypatch.undo()
    assert await settler.settle(done(running), max_crashes=3) is JobStatus.DONE


async def test_a_job_of_files_comes_back_as_it_was(database):
    jobs = Jobs(database)
    specs = [
        SPEC, MergeSpec(output="o", first="a", second="b", multiplier=0.25),
        BakeSpec(output="o", checkpoint="a", loras=(BakedLora(name="l", unet=-0.5),)),
    ]  # fmt: skip
    for number, spec in enumerate(specs):
        new = NewJob(JobId(f"{number}" * 16), Action.MERGE, UserId(1), ChannelId(2), spec, lane=Lane.BATCH)
        await jobs.add(new)
        job = await jobs.get(new.id)
        assert job.task == job.files == spec
        assert job.model == f"task:{spec.kind}"
        with pytest.raises(UserFacingError) as caught:
            _ = job.spec
        assert caught.value.key == "job_draws_nothing"
    assert work_units(SPEC) == 3
    assert model_of(SPEC) == "task:convert"
    assert dataclasses.is_dataclass(job)
