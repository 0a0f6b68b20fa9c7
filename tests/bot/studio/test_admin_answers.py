"""Answers of the admin's desk: in time however long other changes take, and with the undo that can still be had."""

import asyncio

import pytest

from bot.storage.model_audit import Entry
from bot.ui.codec import Address, Verb
from tests.bot.studio.admin_rig import Talk, until


@pytest.mark.parametrize("command", ["remove", "rename", "note", "preview", "undo"])
async def test_discord_is_answered_before_a_long_change_of_other_files_ends(rig, command):
    desk = (await rig.start(2)).desk
    file, talk = rig.lora(), Talk()
    undo_id = await rig.library.remove(rig.lora(1).id)
    await rig.audit.add(removal(undo_id))
    ask = {
        "remove": lambda: desk.remove(talk, file.id),
        "rename": lambda: desk.rename(talk, file.id, "oil"),
        "note": lambda: desk.note(talk, file.id, "nice"),
        "preview": lambda: desk.preview(talk, file.id, None),
        "undo": lambda: desk.pressed(talk, Address(Verb.MODEL_UNDO, undo_id)),
    }[command]
    async with rig.library._editing._turn:  # the trash is emptied, say
        task = asyncio.create_task(ask())
        await until(lambda: talk.log == ["defer"])
    await task
    assert talk.log in (["defer", "send"], ["defer", "edit"])


def removal(undo_id):
    return Entry("remove", 10, 0, 1, name="ink", kind="lora", undo_id=undo_id)


@pytest.mark.parametrize("enabled", [True, False])
async def test_rules_are_deferred_too(rig, enabled):
    talk = Talk()
    desk = (await rig.start()).desk
    await desk.allow(talk, rig.lora().id, enabled=enabled, channel_id=None, role_id=None, everywhere=False)
    assert talk.log == ["defer", "send"]


async def test_the_log_undoes_a_removal_whose_answer_was_lost(rig):
    desk = (await rig.start(2)).desk
    await desk.remove(Talk(), rig.lora(0).id)
    await desk.remove(Talk(), rig.lora(1).id)
    await rig.audit.add(removal("0123456789"))  # whose trash was emptied
    await rig.reporting.audit(shown := Talk())
    assert shown.text.count("modelundo:") == 2
    assert "modelundo:0123456789" not in shown.text
    await rig.reporting.audit(other := Talk(user=3))  # an admin, and these are the operator's
    assert "modelundo" not in other.text
    entry = (await rig.audit.page(None, 0, 12))[0][1]
    await desk.pressed(pressed := Talk(), Address(Verb.MODEL_UNDO, entry.undo_id, 0))
    assert pressed.log == ["defer", "edit", "send"]
    assert pressed.text.count("modelundo:") == 1
    assert rig.lora(1).name in pressed.said[1]
