"""/style on the stage: every command and button, who may what, and what pictures are drawn with."""

import asyncio
import json

import pytest

from bot.domain.model_rules import Where
from bot.domain.style_codes import find_code
from bot.studio.wardrobe import Recognised
from tests.stage.refusing import refused
from tests.stage.visitor import verbs

CSV = 'name,prompt,negative_prompt\nInk,"ink of {prompt}, black",photo\nHall,in a hall,\n,x,y\n@all,x,y\n'


async def save(person, name, prompt="{prompt}, oil", **options):
    return await person.slash("general", "style save", {"name": name, "prompt": prompt, **options})


async def show(person, name, channel="general"):
    return await person.shown(await person.slash(channel, "style show", {"name": name}), channel=channel)


def attached(message):
    return [file["filename"] for file in message.raw["attachments"]]


async def again(person, card):
    return await person.message("general", card.id)


async def test_several_styles_are_applied_in_their_order_and_completed(stage):
    member = await stage.visitor()
    await save(member, "Ink", "ink of {prompt}", negative="photo", steps=6)
    await save(member, "Hall", "in a hall", steps=8)
    rows = await member.autocomplete("general", "imagine", "style", {"prompt": "a cat", "style": "Ink, hal"})
    assert rows[0]["value"] == "Ink, Hall"
    empty = await member.autocomplete("general", "imagine", "style", {"prompt": "a cat", "style": ""})
    assert (empty[0]["value"], empty[-1]["value"]) == ("Hall", "None")
    card = await member.imagine(prompt="a cat", style="ink,hall", count=1)
    spec = member.spec(card)
    assert (spec["prompt"], spec["negative_prompt"], spec["steps"]) == ("ink of a cat, in a hall", "photo", 8)
    other = await member.imagine(prompt="a cat", style="Hall, Photo@pincel", count=1, negative="dog")
    assert member.spec(other)["prompt"].startswith("RAW photo, a cat, in a hall, 8k uhd")
    assert member.spec(other)["negative_prompt"].startswith("dog, (deformed iris")
    told = await member.told(await member.slash("general", "imagine", {"prompt": "a cat", "style": "Ink, Holl"}))
    assert "Did you mean “Hall”" in told


async def test_a_usual_style_is_there_without_being_named(stage):
    member = await stage.visitor()
    await save(member, "Ink", "ink of {prompt}")
    card = await show(member, "ink")
    await member.press(card, "styleusual", 1)
    assert member.spec(await member.imagine(prompt="a cat", count=1))["prompt"] == "ink of a cat"
    assert member.spec(await member.imagine(prompt="a cat", style="none", count=1))["prompt"] == "a cat"
    settings = await member.shown(await member.slash("general", "settings", {}))
    assert "Styles: **Ink** · *set here*" in settings.text
    await member.slash("general", "style delete", {"name": "Ink"})
    begun = await member.slash("general", "imagine", {"prompt": "a cat", "count": 1})
    assert member.spec(await member.drawn(begun))["prompt"] == "a cat"
    await member.wait_for_message("general", lambda m: "are gone and were left out: Ink" in m.text)


async def test_a_changed_style_keeps_its_versions_and_old_pictures_their_texts(stage):
    member = await stage.visitor()
    await save(member, "Ink", "ink of {prompt}")
    old = await member.imagine(prompt="a cat", style="Ink", count=1, seed=5)
    card = await show(member, "Ink")
    assert "styleversions" not in verbs(card)
    await member.fill(await member.press(card, "styleedit"), {"prompt": "pencil of {prompt}", "name": "Pencil"})
    card = await again(member, card)
    assert "version 2" in card.text
    assert "Pencil" in card.text
    await member.press(card, "styleversions")
    card = await again(member, card)
    await member.pick(card, "styleversion", ["1"])
    card = await again(member, card)
    assert "ink of {prompt}" in card.text
    await member.press(card, "stylerestore", 1)
    card = await again(member, card)
    assert "version 3" in card.text
    assert "ink of {prompt}" in card.text
    rerolled = await member.drawn(await member.press(old, "reroll"))
    assert member.spec(rerolled)["prompt"] == "ink of a cat"


async def test_a_style_saved_from_a_picture_shows_it_and_a_picture_tells_its_version(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="ink of a cat, black", count=1)
    more = await member.shown(await member.press(card, "more"))
    form = await member.press(more, "style")
    await member.fill(form, {"name": "Ink", "prompt": "ink of {prompt}, black"})
    shown = await show(member, "Ink")
    assert attached(shown) == ["style.webp"]
    await member.press(shown, "stylelist", 0)
    assert attached(await again(member, shown)) == []
    await save(member, "Ink", "pencil of {prompt}", replace=True)
    where = Where(user_id=int(member.user_id))
    found = await stage.studio.wardrobe.recognised(where, member.spec(card)["prompt"], "")
    assert found == [Recognised("Ink", 1, 2)]
    told = await member.shown(await member.context_menu(card, "Picture info"))
    assert "Style Ink, version 1; the newest is version 2." in told.text


async def test_deleting_is_taken_back_by_a_button(stage):
    member = await stage.visitor()
    await save(member, "Ink")
    card = await member.shown(await member.slash("general", "style delete", {"name": "Ink"}))
    assert "is no style called" in await member.told(await member.slash("general", "style show", {"name": "Ink"}))
    await stage.restart()
    await member.press(card, "styleundo")
    assert "It is back" in (await again(member, card)).text
    await member.press(await again(member, card), "styledelete")
    assert "styleundo" in verbs(await again(member, card))


async def test_a_file_is_shown_before_it_is_kept_and_says_what_was_refused(stage):
    member = await stage.visitor()
    await save(member, "Ink", "another ink")
    files = {"file": ("styles.csv", ("\ufeff" + CSV).encode())}
    await member.slash("general", "style import", {}, attachments=files)
    card = await member.wait_for_message("general", lambda m: "styleimport" in verbs(m))
    assert "2 styles that can be kept" in card.text
    assert "2 cannot be kept" in card.text
    assert "needs a name" in card.text
    report = await member.wait_for_message("general", lambda m: attached(m) == ["refused-styles.txt"])
    assert report.ephemeral
    assert len(stage.rows("SELECT * FROM styles")) == 1
    first, second = await asyncio.gather(*(member.press(card, "styleimport", 2) for _ in range(2)))
    assert {first.kind, second.kind} == {"update", "message"}, "pressed twice, kept once"
    text = (await again(member, card)).text
    assert "1 new style was kept" in text
    assert "1 got a new version" in text
    assert "ink of {prompt}, black" in (await show(member, "Ink")).text


async def test_an_import_outlives_a_restart_and_can_be_left_alone(stage):
    member = await stage.visitor()
    for choice, kept in ((3, 0), (1, 2)):
        files = {"file": ("styles.csv", CSV.encode())}
        answer = await member.slash("general", "style import", {}, attachments=files)
        card = await member.shown(answer)
        await stage.restart(kill=True)
        await member.press(card, "styleimport", choice)
        assert len(stage.rows("SELECT * FROM styles")) == kept
    assert stage.rows("SELECT * FROM style_imports") == []


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"x" * (2 * 2**20 + 1), "too large"), (b"\x89PNG\r\n", "cannot be read"), (b"a,b\n1,2\n", "needs the columns")],
)
async def test_a_file_that_is_none_is_told(stage, data, said):
    member = await stage.visitor()
    answer = await member.slash("general", "style import", {}, attachments={"file": ("styles.csv", data)})
    assert said in await member.told(answer)
    assert stage.rows("SELECT * FROM style_imports") == []


async def test_a_style_goes_from_one_person_to_another_by_its_code(stage):
    ann, member = await stage.visitor("Ann"), await stage.visitor()
    await save(ann, "Ink", "ink of {prompt}", steps=9)
    await save(ann, "Hall", "in a hall")
    code = find_code(await ann.told(await ann.slash("general", "style share", {"names": "Ink, Hall"})))
    assert code is not None
    await member.slash("general", "style import", {"code": f"take this: {code}"})
    card = await member.wait_for_message("general", lambda m: "styleimport" in verbs(m))
    assert "2 new:** Ink, Hall" in card.text
    await member.press(card, "styleimport", 1)
    spec = member.spec(await member.imagine(prompt="a cat", style="Ink, Hall", count=1))
    assert (spec["prompt"], spec["steps"]) == ("ink of a cat, in a hall", 9)
    refused = await member.slash("general", "style import", {"code": code[:-3]})
    assert "no code of a style" in await member.told(refused)
    assert "either a file or a code" in await member.told(await member.slash("general", "style import", {}))


@pytest.mark.parametrize("file_format", ["csv", "json"])
async def test_everything_comes_out_again(stage, file_format):
    member = await stage.visitor()
    await save(member, "Ink", "one", steps=9)
    await save(member, "Ink", 'two, "quoted"', steps=9, replace=True)
    answer = await member.slash("general", "style export", {"format": file_format, "whose": "user"})
    card = await member.shown(answer)
    data = await member.download(card.media[0] if card.media else card.files[0])
    if file_format == "csv":
        assert data == b'\xef\xbb\xbfname,prompt,negative_prompt\r\nInk,"two, ""quoted""",\r\n'
        assert "no place for parameters" in card.text
    else:
        (row,) = json.loads(data)["styles"]
        assert (row["prompt"], row["parameters"]) == ('two, "quoted"', {"steps": 9})
        assert [version["prompt"] for version in row["versions"]] == ["one", 'two, "quoted"']


async def test_a_member_proposes_and_an_admin_decides(stage):
    member, admin = await stage.visitor(), await stage.visitor("Admin")
    told = await member.told(await save(member, "Ink", "ink of {prompt}", for_server=True))
    assert "Proposed" in told
    assert "espera" not in told
    assert "waits for an admin" in (await member.shown(await member.slash("general", "style list", {}))).text
    assert "Only people who may manage" in await member.told(await member.slash("general", "style review", {}))
    assert "1 propuesta te espera" in (await admin.shown(await admin.slash("general", "style list", {}))).text
    card = await admin.shown(await admin.slash("general", "style review", {}))
    assert "ink of {prompt}" in card.text
    first, second = await asyncio.gather(*(admin.press(card, "styledecide", 1) for _ in range(2)))
    assert {first.kind, second.kind} == {"update", "message"}
    assert "Alguien ya ha decidido" in await admin.told(first if first.kind == "message" else second)
    assert "es ahora un estilo de este servidor" in (await again(admin, card)).text
    await member.wait_for_message("dm", lambda m: "Your style **Ink** is one of the server" in m.text)
    listed = (await member.shown(await member.slash("general", "style list", {}))).text
    assert "it was approved" in listed
    assert "The server's" in listed
    assert member.spec(await member.imagine(prompt="a cat", style="Ink", count=1))["prompt"] == "ink of a cat"
    shown = await show(member, "Ink")
    assert "styledelete" not in verbs(shown)
    await member.press(shown, "stylecopy")
    assert "yours now" in (await again(member, shown)).text
    own = await show(member, "Ink@server")
    assert "The server's" in own.text


async def test_what_others_would_see_is_held_to_the_rules(stage):
    member = await stage.visitor()
    prompt = "nude child, {prompt}"
    told = await member.told(await save(member, "Bad", prompt, for_server=True))
    assert stage.rows("SELECT * FROM style_proposals") == []
    assert "Proposed" not in told


async def test_somebody_elses_and_shipped_styles_stay_as_they_are(stage):
    member, ann = await stage.visitor(), await stage.visitor("Ann")
    await save(ann, "Ink")
    assert "is no style called" in await member.told(await member.slash("general", "style show", {"name": "Ink"}))
    for command, options in (("delete", {}), ("rename", {"new_name": "Mine"})):
        answer = await member.slash("general", f"style {command}", {"name": "Photo"} | options)
        await refused(member, answer, "style_shipped")
    assert "means no style" in await member.told(await save(member, "none"))
