"""Refusals that need something to have changed between two steps: rights, channels, files, other people's turns."""

import asyncio
import io
from types import SimpleNamespace

import discord
import pytest
from PIL import Image

from bot.catalogue import load_catalogue
from bot.errors import UserFacingError
from bot.storage import style_proposals
from bot.studio.styles.trade import _bytes_of
from tests.e2e.model_files import lora_file
from tests.gpu_worker.language.test_models import write
from tests.stage.refusing import press, refused, unchanged
from tests.stage.visitor import finished, verbs


async def english(stage):
    admin = await stage.visitor("Admin")
    await admin.set_locale("en-US")
    return admin


async def test_publishing_too_early_and_from_a_place_that_is_lost(stage):
    member = await stage.visitor()
    stage.painter.hold()
    await member.slash("studio", "imagine", {"prompt": "a pear --private", "count": 1})
    await stage.painter.asked(1)
    (job,) = stage.rows("SELECT id FROM jobs")
    await refused(member, await press(stage, member, "publish", job["id"]), "publish_not_ready")
    await asyncio.to_thread(stage.execute, "UPDATE jobs SET token_expires_at = 1")
    stage.painter.release()
    card = await member.wait_for_message("dm", finished)
    stage.discord.delete_channel(stage.channel_id("studio"))
    async with unchanged(stage):
        await refused(member, await member.press(card, "publish"), "publish_not_there", "dm")


async def test_a_channel_that_the_bot_does_not_know(stage):
    admin = await english(stage)
    channel = stage.channel_id("studio")
    stage.bot.get_guild(stage.guild_id)._channels.pop(channel)
    async with unchanged(stage):
        for command in ("starboard channel", "settings"):
            answer = await admin.slash("general", command, {"channel": str(channel)})
            await refused(admin, answer, "channel_unseen")


async def test_an_admin_who_moderates_no_messages(stage):
    keeper, member = await stage.visitor("Keeper"), await stage.visitor()
    role = stage.discord.create_role(
        stage.guild_id, "Keepers", permissions=discord.Permissions(manage_guild=True).value
    )
    stage.discord.add_member_role(stage.guild_id, int(keeper.user_id), role.id)
    await member.imagine(count=1)
    (image,) = stage.rows("SELECT id FROM images")
    card = await keeper.shown(await keeper.slash("general", "history", {"member": member.user_id}))
    await keeper.pick(card, "historyopen", [image["id"]])
    await keeper.shown(card.id, lambda m: "Go to its message" in m.text)
    (desk,) = stage.rows("SELECT id FROM history_desks")
    async with unchanged(stage):
        await refused(keeper, await press(stage, keeper, "historydelete", desk["id"], 4), "history_not_moderator")


async def test_an_export_is_handed_out_only_where_its_pictures_may_be_seen(stage, monkeypatch):
    member = await stage.visitor()
    await member.imagine(count=1)
    card = await member.shown(await member.slash("general", "history"))
    await member.shown(await member.press(card, "historyexport"), lambda m: "Packed" in m.text)
    while not stage.rows("SELECT 1 FROM exports WHERE told"):  # noted after its message is there
        await asyncio.sleep(0.01)
    (export,) = stage.rows("SELECT id FROM exports")

    async def veiled(image_ids, where):
        return frozenset(image_ids)

    monkeypatch.setattr(stage.studio.intake, "veiled", veiled)
    async with unchanged(stage):
        await refused(member, await press(stage, member, "exportpart", export["id"], 1), "export_elsewhere")


async def test_a_description_that_saw_nothing(stage):
    member = await stage.visitor()
    job = member.job(await member.imagine(count=1))["id"]
    async with unchanged(stage):
        for verb in ("useseen", "drawtags", "edittags"):
            await refused(member, await press(stage, member, verb, job), "nothing_seen")


async def test_a_job_that_was_begun_is_not_moved(stage):
    admin, member = await english(stage), await stage.visitor()
    stage.painter.hold()
    await member.begin()
    await stage.painter.asked(1)
    (job,) = stage.rows("SELECT id FROM jobs")
    await refused(admin, await press(stage, admin, "queuemove", job["id"], 1), "panel_job_started")
    stage.painter.release()


async def test_a_server_full_of_proposals(stage, monkeypatch):
    member = await stage.visitor()
    await member.told(await member.slash("general", "style save", {"name": "Ink", "prompt": "ink of {prompt}"}))
    monkeypatch.setattr(style_proposals, "WAITING_PER_SERVER", 0)
    async with unchanged(stage):
        answer = await member.slash("general", "style propose", {"name": "Ink"})
        await refused(member, answer, "proposals_full_server")


@pytest.fixture
async def shelved(make_stage, tmp_path):
    models = tmp_path / "stage" / "data" / "models"
    lora_file(models / "loras" / "ink.safetensors")
    (models / "loras" / "broken.safetensors").write_bytes(b"\x05\0\0\0\0\0\0\0{oops")
    (models / "taggers").mkdir()
    (models / "taggers" / "see.onnx").write_bytes(b"\x08" * 99)
    write(models / "annotators" / "lines.safetensors", {"a.weight": [2, 2]})
    stage = await make_stage()
    await stage.studio.library.refresh()
    return stage


async def test_files_that_nothing_is_made_of(shelved):
    admin = await english(shelved)
    missing = next(entry for entry in load_catalogue().entries if not entry.installable)
    async with unchanged(shelved):
        for command, options, key in (
            ("convert", {"model": "broken"}, "convert_unusable"),
            ("convert", {"model": "lines"}, "convert_kind"),
            ("install", {"name": missing.key}, "catalogue_unverified"),
        ):
            await refused(admin, await admin.slash("general", f"model-admin {command}", options), key)


async def test_a_kind_that_is_not_chosen_for_pictures(shelved):
    admin = await english(shelved)
    card = await admin.shown(await admin.slash("general", "models"))
    file = next(file for file in shelved.studio.library.files() if file.name == "lines")
    await admin.pick(card, "shelfopen", [file.id])
    await admin.shown(card.id, lambda m: "lines" in m.text and "shelfopen" not in verbs(m))
    (shelf,) = shelved.rows("SELECT id FROM model_shelves")
    async with unchanged(shelved):
        await refused(admin, await press(shelved, admin, "shelfuse", shelf["id"], 1), "model_not_for_pictures")


def white(size):
    out = io.BytesIO()
    Image.new("RGB", size, "white").save(out, "PNG")
    return out.getvalue()


async def test_a_mask_for_a_picture_that_is_not_kept_any_more(stage):
    member = await stage.visitor()
    options = {"prompt": "a cat", "count": 1}
    answer = await member.slash("general", "imagine", options, {"image": ("a.png", white((64, 64)))})
    job = member.job(await member.drawn(answer))["id"]
    card = await member.shown(await press(stage, member, "tweak", job))
    assert "draw" in verbs(card)
    for path in (stage.settings.data / "inputs").rglob("*"):
        if path.is_file():
            path.unlink()
    async with unchanged(stage):
        form = await member.press(card, "advanced", 8)
        answer = await member.fill(form, {}, {"mask": ("m.png", white((64, 64)))})
        await refused(member, answer, "tweak_source_gone")


async def test_files_that_discord_does_not_give(stage, tmp_path):
    """Deleted between the command and its fetching."""
    url = f"{stage.playground.endpoints.page}/attachments/1/2/gone.txt"
    gone = SimpleNamespace(url=url, filename="gone.txt", size=3)
    with pytest.raises(UserFacingError, match="attachment_gone"):
        await stage.studio.attachments.save(gone, tmp_path / "gone.txt")

    async def read():
        raise discord.NotFound(SimpleNamespace(status=404, reason="no"), {"code": 0, "message": "no"})

    with pytest.raises(UserFacingError, match="style_file_gone"):
        await _bytes_of(SimpleNamespace(size=3, read=read))
