"""What /queue and /cancel say of trainings."""

from tests.stage.refusing import refused
from tests.stage.training_scenes import paused


async def test_a_training_is_listed_as_it_is_and_ends_only_where_it_is_named(stage):
    member, _ = await paused(stage)
    ((job_id,),) = stage.rows("SELECT id FROM jobs WHERE action = 'train'")
    shown = await member.shown(await member.slash("general", "queue"))
    assert "⏸️ training paused" in shown.text
    await refused(member, await member.slash("general", "cancel"), "cancel_training")
    assert [row["status"] for row in stage.rows("SELECT status FROM jobs WHERE action = 'train'")] == ["queued"]
    assert "Cancelled" in await member.told(await member.slash("general", "cancel", {"job": job_id}))
    assert [row["status"] for row in stage.rows("SELECT status FROM jobs WHERE action = 'train'")] == ["cancelled"]
    await refused(member, await member.slash("general", "cancel"), "nothing_to_cancel")
