"""/settings on the stage: panels, forms, who may change what, and what a picture is drawn with then."""

import pytest

from bot.domain.preferences import CHECKPOINT, UPSCALER, VAE, Level
from bot.errors import UserFacingError
from bot.playground.seen import Refused
from bot.studio.settings_form import group_of, read_form
from tests.stage.refusing import refused
from tests.stage.visitor import verbs


async def form_of(person, card, group):
    return await person.press(card, "settingsopen", group)


async def panel(person, channel="general", **options):
    return await person.shown(await person.slash(channel, "settings", options), channel=channel)


async def test_a_value_says_whose_word_it_is_and_a_picture_is_drawn_with_it(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    server = await panel(admin, level="server")
    await admin.fill(await form_of(admin, server, 1), {"steps": "7", "cfg": "4,5", "count": "1", "size": "512x768"})
    assert "Pasos: **7** · *fijado aquí*" in (await admin.message("general", server.id)).text

    mine = await panel(member)
    assert "Steps: **7** · *this server*" in mine.text
    assert "Sampler: **as the checkpoint has it** · *default*" in mine.text
    await member.fill(await form_of(member, mine, 1), {"steps": "9", "negative": "blurry"})
    text = (await member.message("general", mine.id)).text
    assert "Steps: **9** · *set here*" in text
    assert "2 settings were changed" in text
    assert "CFG scale: **4.5** · *this server*" in text

    card = await member.imagine()
    spec = member.spec(card)
    assert (spec["steps"], spec["cfg_scale"], spec["count"], spec["width"], spec["height"]) == (9, 4.5, 1, 512, 768)
    assert spec["negative_prompt"] == "blurry"
    typed = await member.imagine(negative="noise", steps=3)
    assert (member.spec(typed)["negative_prompt"], member.spec(typed)["steps"]) == ("noise", 3)


async def test_a_channel_goes_before_its_server_and_its_threads_follow(stage):
    admin = await stage.visitor("Admin")
    await admin.fill(await form_of(admin, await panel(admin, level="server"), 1), {"steps": "7"})
    await admin.fill(await form_of(admin, await panel(admin, "studio", level="channel"), 1), {"steps": "8"})
    assert "Pasos: **8** · *<#" in (await panel(admin, "studio")).text
    assert "Pasos: **7** · *este servidor*" in (await panel(admin)).text
    assert "Pasos: **8** · *<#" in (await panel(admin, "Colour tests")).text, "a thread of studio"
    await admin.fill(await form_of(admin, await panel(admin, "Colour tests", level="channel"), 1), {"steps": "6"})
    assert "Pasos: **6** · *<#" in (await panel(admin, "Colour tests")).text
    assert "Pasos: **8** · *<#" in (await panel(admin, "studio")).text


async def test_of_two_forms_at_once_the_second_takes_nothing_back(stage):
    admin = await stage.visitor("Admin")
    card = await panel(admin, level="server")
    first, second = await form_of(admin, card, 1), await form_of(admin, card, 1)
    await admin.fill(first, {"steps": "7"})
    await refused(admin, await admin.fill(second, {"cfg": "5"}), "setting_changed", language="es")
    assert [tuple(row) for row in stage.rows("SELECT key, value FROM preferences")] == [("steps", "7")]


async def test_everything_can_be_taken_back_after_a_question(stage):
    member = await stage.visitor()
    card = await panel(member)
    assert "settingsreset" not in verbs(card), "there is nothing to take back"
    await member.fill(await form_of(member, card, 0), {"remix": "on", "previews": "off"})
    card = await member.message("general", card.id)
    assert "Remix: **on** · *set here*" in card.text
    await member.press(card, "settingsreset")
    card = await member.message("general", card.id)
    assert "Remix: **on**" in card.text
    await member.press(card, "settingsreset", 1)
    card = await member.message("general", card.id)
    assert "Remix: **off** · *default*" in card.text
    assert stage.rows("SELECT * FROM preferences") == []


async def test_a_language_that_was_chosen_goes_before_that_of_discord(stage):
    member = await stage.visitor()
    card = await panel(member)
    await member.fill(await form_of(member, card, 3), {"language": "es"})
    assert "Tus ajustes" in (await member.message("general", card.id)).text
    assert "trabajos" in await member.told(await member.slash("general", "queue"))
    drawn = await member.imagine(count=1)
    assert member.job(drawn)["locale"].startswith("es")
    assert "estilo" in await member.told(await member.slash("general", "style show", {"name": "nothing"}))
    await stage.restart()
    assert "trabajos" in await member.told(await member.slash("general", "queue"))
    card = await panel(member)
    await member.fill(await form_of(member, card, 3), {"language": "-"})
    assert "Your settings" in (await member.message("general", card.id)).text


@pytest.mark.parametrize("level", ["channel", "server"])
async def test_who_may_not_manage_the_server_changes_only_their_own(stage, level):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    assert "may manage this server" in await member.told(await member.slash("general", "settings", {"level": level}))
    card = await panel(admin, level=level)
    with pytest.raises(Refused):
        await member.press(card, "settingsopen", 1)  # they do not even see it
    assert "settings" not in verbs(await panel(member))


async def test_the_operator_speaks_for_everywhere_and_direct_messages_too(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    await admin.fill(await form_of(admin, await panel(admin, level="operator"), 1), {"steps": "5"})
    await admin.fill(await form_of(admin, await panel(admin, level="server"), 1), {"steps": "7"})
    assert "Steps: **7** · *this server*" in (await panel(member)).text
    assert "Steps: **5** · *the operator*" in (await panel(member, "dm")).text
    await refused(member, await member.slash("dm", "settings", {"level": "server"}), "server_only", "dm")


async def test_a_model_that_is_gone_is_passed_over_and_said(stage):
    member = await stage.visitor()
    for key in (CHECKPOINT, VAE, UPSCALER):
        await stage.studio.preferences.put(Level.USER, int(member.user_id), key, "long gone")
    text = (await panel(member)).text
    assert text.count("cannot be used here, so it is passed over") == 3
    card = await member.imagine(count=1, hires=1.5)
    assert "long gone" not in str(member.spec(card))


async def test_previews_that_the_operator_switched_off_are_off(make_stage):
    stage = await make_stage(previews=False)
    member = await stage.visitor()
    card = await panel(member)
    await member.fill(await form_of(member, card, 0), {"previews": "on"})
    assert "Previews: **off** · *the operator*" in (await member.message("general", card.id)).text


async def test_nobody_but_an_operator_speaks_for_everywhere(make_stage):
    stage = await make_stage(operators=frozenset({1}))
    admin = await stage.visitor("Admin")
    assert "operador" in await admin.told(await admin.slash("general", "settings", {"level": "operator"}))


async def test_a_number_out_of_range_and_a_model_that_is_not_there_are_told_and_nothing_is_kept(stage):
    member = await stage.visitor()
    card = await panel(member)
    form = await form_of(member, card, 1)
    answer = await member.fill(form, {"steps": "900", "cfg": "5"})
    assert "from 1 to 150" in await refused(member, answer, "setting_number")
    assert stage.rows("SELECT * FROM preferences") == []


async def test_a_server_model_is_the_one_of_model_admin(stage):
    admin = await stage.visitor("Admin")
    name = stage.studio.models.names("checkpoint")[0]
    card = await panel(admin, level="server")
    await admin.fill(await form_of(admin, card, 2), {"checkpoint": name, "clip_skip": "2"})
    assert [tuple(row) for row in stage.rows("SELECT checkpoint, clip_skip FROM model_defaults")] == [(name, 2)]
    card = await admin.message("general", card.id)
    await admin.fill(await form_of(admin, card, 2), {"checkpoint": "-"})
    assert [tuple(row) for row in stage.rows("SELECT checkpoint, clip_skip FROM model_defaults")] == [(None, 2)]
    assert len(stage.rows("SELECT * FROM model_audit WHERE action = 'defaults'")) == 2


def test_what_no_list_offers_is_not_taken():
    """As a client sends it that is not Discord's."""
    with pytest.raises(UserFacingError, match="setting_value"):
        read_form({"size": "huge"}, group_of(1), Level.USER, facts=(), checkpoint=None)
