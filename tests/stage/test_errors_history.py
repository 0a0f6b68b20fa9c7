"""/history, exports, forgetting, drafts, shelves and word boards that refuse, or whose rest is gone."""

import asyncio

from bot.studio import tag_board
from bot.studio.history import exporting
from tests.stage.pictures_given import picture
from tests.stage.refusing import press, refused, unchanged
from tests.stage.visitor import verbs


async def history(person, channel="general", **options):
    return await person.shown(await person.slash(channel, "history", options), channel=channel)


async def test_members_pictures_are_for_admins_of_that_server(stage):
    member, other = await stage.visitor(), await stage.visitor("Visitor")
    async with unchanged(stage):
        options = {"member": other.user_id}
        await refused(member, await member.slash("general", "history", options), "history_members_not_allowed")
        await refused(member, await member.slash("dm", "history", options), "history_members_need_server", "dm")


async def test_an_admin_neither_exports_nor_deletes_what_is_others(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    await admin.set_locale("en-US")
    await member.imagine(count=1)
    card = await history(admin, member=member.user_id)
    (desk,) = stage.rows("SELECT id FROM history_desks")
    async with unchanged(stage):
        await refused(admin, await press(stage, admin, "historyexport", desk["id"]), "history_not_yours")
    assert card.media
    stage.discord.guilds[stage.guild_id].owner_id = int(member.user_id)
    role = stage.discord.create_role(stage.guild_id, "Keeper", permissions=1 << 5)
    stage.discord.add_member_role(stage.guild_id, int(admin.user_id), role.id)
    async with unchanged(stage):
        await refused(admin, await press(stage, admin, "historydelete", desk["id"], 1), "history_nothing_chosen")


async def test_pictures_that_are_gone_meanwhile(stage):
    member = await stage.visitor()
    await member.imagine(count=1)
    card = await history(member)
    for path in (stage.settings.data / "outputs").rglob("*.png"):
        path.unlink()
    (image,) = stage.rows("SELECT id FROM images")
    await member.pick(card, "historyopen", [image["id"]])
    opened = await member.shown(card.id, lambda m: "historypicture" in verbs(m))
    (desk,) = stage.rows("SELECT id FROM history_desks")
    async with unchanged(stage):
        await refused(member, await press(stage, member, "historypicture", desk["id"], 2), "picture_file_gone")
        await refused(member, await press(stage, member, "historydelete", desk["id"], 1), "history_nothing_chosen")
    await asyncio.to_thread(stage.execute, "UPDATE images SET pruned_at = 1")
    async with unchanged(stage):
        await refused(member, await press(stage, member, "historyexport", desk["id"]), "export_empty")
    await asyncio.to_thread(stage.execute, "UPDATE images SET deleted_at = 1")
    async with unchanged(stage):
        await refused(member, await member.press(opened, "historypicture", 2), "history_picture_gone")


async def test_exports(stage, monkeypatch):
    member, other = await stage.visitor(), await stage.visitor("Visitor")
    await member.imagine(count=1)
    card = await history(member)
    monkeypatch.setattr(exporting, "DISK_LEFT_BYTES", 1 << 62)
    async with unchanged(stage):
        await refused(member, await member.press(card, "historyexport"), "export_disk")
    monkeypatch.undo()
    packed = await member.shown(await member.press(card, "historyexport"), lambda m: "Packed" in m.text)
    assert packed.ephemeral
    (export,) = stage.rows("SELECT id FROM exports")
    async with unchanged(stage, "exports"):
        await refused(other, await press(stage, other, "exportpart", export["id"], 1), "export_unknown")
        await refused(member, await press(stage, member, "exportpart", export["id"], 7), "export_part_gone")
        stage.fault("POST", r"^/webhooks/", 413, code=40005)
        await refused(member, await press(stage, member, "exportpart", export["id"], 1), "export_part_large")
    await asyncio.to_thread(stage.execute, "UPDATE exports SET state = 'waiting'")
    async with unchanged(stage):
        await refused(member, await member.press(card, "historyexport"), "export_busy")


async def test_forgetting_needs_the_word(stage):
    member = await stage.visitor()
    card = await member.shown(await member.slash("general", "forget-me"))
    async with unchanged(stage):
        await refused(member, await member.fill(await member.press(card, "forget"), {"word": "no"}), "forget_word")


async def test_a_board_of_tags_that_is_full(stage, monkeypatch):
    await stage.studio.tag_book.refresh()
    member = await stage.visitor()
    card = await member.shown(await member.slash("general", "tags", {"search": "long hair"}))
    monkeypatch.setattr(tag_board, "PROMPT_CHARS_MAX", 3)
    values = [option["value"] for item in card.components() for option in item.get("options") or ()]
    value = next(value for value in values if "long" in value)
    async with unchanged(stage):
        await refused(member, await member.pick(card, "tagspick", [value]), "tags_long")


async def test_drafts(stage):
    member = await stage.visitor()
    card = await member.shown(await press(stage, member, "tweak", member.job(await member.imagine(count=1))["id"]))
    stage.painter.hold()
    await member.press(card, "draw")
    await stage.painter.asked(2)
    await refused(member, await member.press(card, "draw"), "tweak_waiting")
    assert len(stage.rows("SELECT id FROM jobs")) == 2
    stage.painter.release()
    mask = {"mask": ("m.png", picture())}
    async with unchanged(stage):
        await refused(member, await member.fill(await member.press(card, "advanced", 8), {}, mask), "tweak_mask_alone")
