"""/png-info and the menus "Picture info" and "Save as style": of our cards, of anybody's pictures, and of none."""

import asyncio

import discord
import pytest
from simcord.backend.models import Overwrite
from simcord.enums import OverwriteType

from tests.stage.pictures_given import INFOTEXT, picture
from tests.stage.visitor import verbs


async def info(member, data, **options):
    answer = await member.slash("general", "png-info", options, attachments={"image": ("lamp.png", data)})
    return await member.shown(answer)


async def test_what_stands_in_a_file(stage):
    member = await stage.visitor()
    card = await info(member, picture(INFOTEXT))
    assert card.ephemeral
    for part in ("a lighthouse at night", "fog", "Steps: 12", "512×768", "lamp.png"):
        assert part in card.text
    panel = await member.shown(await member.press(card, "usefound"))
    assert panel.ephemeral
    drawn = await member.drawn(await member.press(panel, "draw"))
    spec = member.spec(drawn)
    assert (spec["prompt"], spec["negative_prompt"], spec["seed"]) == ("a lighthouse at night", "fog", 99)
    assert (spec["width"], spec["height"], spec["steps"], spec["count"]) == (512, 768, 12, 1)


async def test_it_names_models_that_are_not_here(stage):
    card = await info(await stage.visitor(), picture(INFOTEXT.replace("dreamy", "elsewhere")))
    assert "elsewhere" in card.text.split("Not installed here")[1]


async def test_a_text_that_is_too_long_for_the_card_comes_as_a_file(stage):
    member = await stage.visitor()
    card = await info(member, picture(INFOTEXT.replace("a lighthouse", "a lighthouse, " * 400)))
    (url,) = card.media
    assert (await member.download(url)).decode().endswith("Version: v1.10.1")


async def test_a_silent_picture(stage):
    card = await info(await stage.visitor(), picture())
    assert "does not say how it was made" in card.text
    assert "usefound" not in verbs(card)


@pytest.mark.parametrize("data", [b"no picture", picture(INFOTEXT)[:90]])
async def test_what_is_no_picture_says_nothing_either(stage, data):
    assert "does not say how it was made" in (await info(await stage.visitor(), data)).text


async def test_ours_by_id_file_name_and_link(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="a red apple", count=2, seed=5)
    first, second = member.images(card)
    link = f"https://discord.com/channels/{stage.guild_id}/{card.channel_id}/{card.id}"
    for name in (second["id"], f"{second['job_id']}-2", f"{second['job_id']}-2.png", f"{link} #2"):
        shown = await member.shown(await member.slash("general", "png-info", {"picture": name}))
        assert "Seed: 6" in shown.text
        assert second["id"] in shown.text
    assert "Seed: 5" in (await member.shown(await member.slash("general", "png-info", {"picture": link}))).text
    found = await member.autocomplete("general", "png-info", "picture", {"picture": "apple"})
    assert [choice["value"] for choice in found] == [first["id"], second["id"]]


async def test_what_is_not_theirs_to_see(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    card = await admin.imagine("general", prompt="a secret", count=1)
    image = admin.images(card)[0]["id"]
    hidden = Overwrite(stage.guild_id, OverwriteType.ROLE, deny=discord.Permissions(view_channel=True).value)
    place = stage.discord.create_channel(stage.guild_id, "hidden", overwrites=[hidden]).id
    await asyncio.wait_for(_known(stage, place), 60)
    await asyncio.to_thread(stage.execute, "UPDATE jobs SET channel_id = ?", place)
    assert "not yours to see" in await member.told(await member.slash("general", "png-info", {"picture": image}))
    assert image in (await admin.shown(await admin.slash("general", "png-info", {"picture": image}))).text
    await asyncio.to_thread(stage.execute, "UPDATE jobs SET channel_id = ?", stage.channel_id("studio"))
    assert image in (await member.shown(await member.slash("general", "png-info", {"picture": image}))).text
    await asyncio.to_thread(stage.execute, "UPDATE jobs SET guild_id = 2")
    assert "not yours to see" in await member.told(await member.slash("general", "png-info", {"picture": image}))


async def _known(stage, channel_id):
    while stage.bot.get_channel(channel_id) is None:
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "name", ["nothing", "aaaaaaaaaaaaaaaa", "https://discord.com/channels/1/2/3", "x" * 300, "../.."]
)
async def test_a_name_that_nothing_has(stage, name):
    member = await stage.visitor()
    assert "I know no picture" in await member.told(await member.slash("general", "png-info", {"picture": name}))


async def test_neither_option(stage):
    member = await stage.visitor()
    assert "Which picture?" in await member.told(await member.slash("general", "png-info", {}))


# --- menus ---------------------------------------------------------------------------------------------------------


async def test_the_menu_on_a_card_of_ours_shows_each_picture(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    card = await admin.imagine(count=3, seed=20)
    shown = await member.shown(await member.context_menu(card, "Picture info"))
    assert "Seed: 20" in shown.text
    await member.pick(shown, "find", ["2"])
    shown = await member.shown(shown.id, lambda m: "Seed: 22" in m.text)
    panel = await member.shown(await member.press(shown, "usefound"))
    drawn = await member.drawn(await member.press(panel, "draw"))
    assert member.spec(drawn)["seed"] == 22
    assert str(member.job(drawn)["user_id"]) == member.user_id


async def test_the_menu_on_anybodys_message(stage):
    ann, member = await stage.visitor("Ann"), await stage.visitor()
    files = {
        "files[0]": ("a.png", picture(INFOTEXT)),
        "files[1]": ("notes.txt", b"x"),
        "files[2]": ("b.png", picture()),
    }
    message_id = await ann.say("general", "look", files)
    message = await member.message("general", message_id)
    shown = await member.shown(await member.context_menu(message, "Picture info"))
    assert "a lighthouse" in shown.text
    await member.pick(shown, "find", ["1"])
    await member.shown(shown.id, lambda m: "b.png" in m.text and "does not say" in m.text)


async def test_a_message_without_a_picture(stage):
    member = await stage.visitor()
    message = await member.message("general", await member.say("general", "hello"))
    for menu in ("Picture info", "Upscale", "Describe", "Save as style"):
        assert "no picture in this message" in await member.told(await member.context_menu(message, menu))


async def test_a_card_whose_pictures_were_deleted(stage):
    member = await stage.visitor()
    card = await member.imagine(count=1)
    shown = await member.shown(await member.context_menu(card, "Picture info"))
    await asyncio.to_thread(stage.execute, "UPDATE images SET deleted_at = 1")
    assert "no record of this picture" in await member.told(await member.press(shown, "findenlarge"))


async def test_save_as_style_from_our_card_and_from_anybodys_picture(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="ink, waves", count=1, steps=9)
    form = await member.context_menu(card, "Save as style")
    assert form.kind == "modal"
    message = await member.message(
        "general", await member.say("general", "", {"files[0]": ("a.png", picture(INFOTEXT))})
    )
    shown = await member.shown(await member.context_menu(message, "Save as style"))
    form = await member.press(shown, "stylefound")
    assert form.kind == "modal"
    assert "lamp" in await member.told(await member.fill(form, {"name": "lamp"}))
    (row,) = stage.rows("SELECT * FROM style_versions")
    assert "a lighthouse at night" in str(dict(row))


async def test_it_leads_on_after_a_restart_and_for_nobody_else(stage):
    ann, member = await stage.visitor("Ann"), await stage.visitor()
    card = await member.imagine(count=1, seed=31)
    shown = await member.shown(await member.context_menu(card, "Picture info"))
    await stage.restart(kill=True)
    panel = await member.shown(await member.press(shown, "usefound"))
    assert panel.ephemeral
    await asyncio.to_thread(stage.execute, "UPDATE finds SET user_id = ?", int(ann.user_id))
    assert "no longer know" in await member.told(await member.press(shown, "usefound"))
    await asyncio.to_thread(stage.execute, "UPDATE finds SET user_id = ?, created_at = 5", int(member.user_id))
    assert "no longer know" in await member.told(await member.press(shown, "usefound"))


async def test_in_spanish(stage):
    admin = await stage.visitor("Admin")
    card = await admin.imagine(count=1)
    menus = [row["name"] for row in (await admin.commands("general"))["message"]]
    assert "Datos de la imagen" in str(menus) or "Picture info" in str(menus)
    shown = await admin.shown(await admin.context_menu(card, "Picture info"))
    assert "Cómo se hizo" in shown.text
