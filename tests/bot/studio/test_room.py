"""How much a server may still add: its files, what is on its way, what waits to be made, and what lies in the trash."""

from types import SimpleNamespace

import pytest

from bot.domain.ids import ChannelId, JobId, UserId
from bot.domain.job import Action, JobStatus, Lane, NewJob
from bot.domain.stewards import Steward
from bot.downloads import Download, DownloadWish
from bot.errors import UserFacingError
from bot.library import Arrival
from bot.storage.jobs import Jobs
from bot.studio.model_admin.room import Room
from bot.ui.codec import Address, Verb
from gpu_worker.protocol.specs import ConvertSpec, MergeSpec, Txt2Img
from tests.bot.studio.admin_rig import GUILD, Talk
from tests.bot.studio.library_files import model_file
from tests.e2e.model_files import lora_bytes

ADMIN, OPERATOR = Steward(1, GUILD, operator=False), Steward(2, GUILD, operator=True)


def room(files, coming=(), making=(), trash=(), quota_gb=1.0, budget_gb=None):
    async def jobs():
        return [SimpleNamespace(files=spec) for spec in making]

    async def trash_sizes():
        return trash

    def find(kind, name):
        return next((file for file in files if (file.kind, file.name) == (kind, name)), None)

    library = SimpleNamespace(files=lambda: files, find=find, trash_sizes=trash_sizes)
    return Room(library, lambda: coming, jobs, quota_gb=quota_gb, budget_gb=budget_gb)


def download(owner, total):
    return Download("d", DownloadWish("x", asked_in=owner), "downloading", total_bytes=total)


async def test_a_server_is_held_to_its_quota_and_the_operator_is_not():
    full = room([model_file(added_in=GUILD, size_bytes=10**9)])
    with pytest.raises(UserFacingError, match="quota_full"):
        await full.require(ADMIN)
    assert (await full.require(OPERATOR)).quota is None
    half = room([model_file(added_in=GUILD, size_bytes=6 * 10**8)])
    await half.require(ADMIN, 3 * 10**8)
    with pytest.raises(UserFacingError, match="quota_full"):
        await half.require(ADMIN, 5 * 10**8)
    with pytest.raises(UserFacingError, match="quota_full"):
        await room([], quota_gb=0).require(ADMIN)


async def test_what_is_under_way_counts_but_not_against_itself():
    own, other = download(GUILD, 4 * 10**8), download(20, 9 * 10**8)
    counted = room([model_file(added_in=GUILD, size_bytes=10**8)], [own, other])
    assert (await counted.of(ADMIN)).own == 5 * 10**8
    assert await counted.allowance(own.wish) == 9 * 10**8
    assert await counted.allowance(DownloadWish("new", asked_in=GUILD)) == 5 * 10**8
    assert await counted.allowance(DownloadWish("new", asked_in=None)) is None


async def test_files_that_wait_to_be_made_count_as_large_as_their_first_source():
    files = [
        model_file("a", "checkpoint", size_bytes=3 * 10**8), model_file("b", "checkpoint", size_bytes=5 * 10**8),
    ]  # fmt: skip
    merge = MergeSpec(output="x", first="a", second="b", owner=GUILD, size_bytes=8 * 10**8)
    gone = ConvertSpec(output="y", model="gone", owner=GUILD, size_bytes=2 * 10**8)
    other = ConvertSpec(output="z", model="b", owner=20, size_bytes=5 * 10**8)
    found = await room(files, making=[merge, gone, other]).of(ADMIN)
    assert (found.own, found.all) == (5 * 10**8, 18 * 10**8)
    with pytest.raises(UserFacingError, match="quota_full"):
        await room(files, making=[merge, merge, merge]).require(ADMIN, 2 * 10**8)


async def test_the_trash_counts_and_is_told_apart():
    found = room([], trash=[(GUILD, 10**9), (20, 4 * 10**9), (None, 10**9)])
    of_server, of_operator = await found.of(ADMIN), await found.of(OPERATOR)
    assert (of_server.own, of_server.trash, of_server.all) == (10**9, 10**9, 6 * 10**9)
    assert (of_operator.own, of_operator.trash) == (10**9, 6 * 10**9)
    with pytest.raises(UserFacingError, match="quota_full"):
        await found.require(ADMIN)


async def test_a_spent_budget_stops_servers_alone():
    spent = room([model_file(size_bytes=3 * 10**9)], budget_gb=2)
    with pytest.raises(UserFacingError, match="budget_full"):
        await spent.require(ADMIN)
    assert (await spent.require(OPERATOR)).over_budget


# --- the trash is emptied ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("user", "deleted"), [(3, 1), (1, 2)])  # an admin of the server, and the operator
async def test_emptying_the_trash_makes_room_for_whose_it_was(rig, user, deleted):
    desk = (await rig.start()).reporting
    (rig.data / "new.safetensors").write_bytes(lora_bytes("new"))
    theirs = await rig.library.adopt(Arrival(rig.data / "new.safetensors", "lora", "new", added_by=3, added_in=GUILD))
    for file in (rig.lora(), theirs):
        await rig.library.remove(file.id)
    assert sorted((owner or 0, size > 2000) for owner, size in await rig.library.trash_sizes()) == [
        (0, True), (GUILD, True),
    ]  # fmt: skip
    await desk.disk(shown := Talk(user=user))
    id_ = "0" if user == 1 else str(GUILD)
    assert f"trashempty:{id_}'" in shown.text
    await desk.pressed(pressed := Talk(user=user), Address(Verb.TRASH_EMPTY, id_))
    assert f"{deleted} removed file" in pressed.text
    assert "trashempty" not in pressed.text
    assert len(await rig.library.trash_sizes()) == 2 - deleted
    entries, _ = await rig.audit.page(None, 0, 12)
    assert [(entry.action, entry.detail) for entry in entries] == [("empty", str(deleted))]


async def test_waiting_jobs_that_make_files_are_found(rig):
    jobs = Jobs((await rig.start()).database)
    specs = (
        ConvertSpec(output="y", model="a"), MergeSpec(output="x", first="a", second="b"),
        Txt2Img(prompt="p", width=64, height=64, seed=1, checkpoint="task"),
    )  # fmt: skip
    for number, spec in enumerate(specs):
        await jobs.add(NewJob(JobId(f"f{number}"), Action.CONVERT, UserId(1), ChannelId(2), spec, lane=Lane.BATCH))
    assert [job.id for job in await jobs.waiting_files()] == ["f0", "f1"]
    await jobs.transition(JobId("f1"), (JobStatus.QUEUED,), JobStatus.CANCELLED)
    assert [job.id for job in await jobs.waiting_files()] == ["f0"]
