"""/model-admin through the playground, with real files: as the operator, who sits at it."""

import io

import pytest
from PIL import Image

from bot.playground.seen import Refused
from tests.e2e.model_files import listed, lora_file
from tests.e2e.product import Product


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Ten LoRAs, one file that is none, and the demo checkpoint with a worker."""
    product = Product(tmp_path_factory.mktemp("shop"))
    loras = product.data / "models" / "loras"
    for number in range(10):
        lora_file(loras / f"brush {number}.safetensors", words=(f"stroke{number}",))
    (loras / "broken.safetensors").write_bytes(b"\xff\0\0\0\0\0\0\0{")
    yield listed(product.start(), 11)
    product.stop()


@pytest.fixture
async def operator(shop):
    async with shop.person("Admin") as visitor:
        await visitor.set_locale("en-US")
        yield visitor


async def file_id(person, name, command="info"):
    rows = await person.autocomplete("general", f"model-admin {command}", "model", {"model": name})
    return next(row["value"] for row in rows if row["name"].startswith(name))


async def admin(person, command, place="general", **options):
    """The answer that only this person sees, whole."""
    answer = await person.slash(place, f"model-admin {command}", options)
    return await person.shown(place, answer.message_id, lambda m: m.text and not m.loading, 20)


async def loras(person, typed="", channel="general"):
    rows = await person.autocomplete(channel, "imagine", "lora", {"lora": typed})
    return [row["value"] for row in rows if ":" not in row["value"]]  # a whole name is offered with weights, too


async def test_members_do_not_get_the_command(shop):
    async with shop.person("Member") as member:
        with pytest.raises(Refused, match="unknown"):
            await member.slash("general", "model-admin audit")
        names = {row["name"] for row in (await member.commands("general"))["slash"]}
        assert {"models", "loras"} <= names
        assert not any(name.startswith("model-admin") for name in names)


async def test_the_commands_have_spanish_names(shop):
    async with shop.person("Admin") as person:
        await person.set_locale("es-ES")
        labels = {row["name"]: row["label"] for row in (await person.commands("general"))["slash"]}
        assert labels["model-admin add"] == "admin-modelos añadir"
        assert labels["models"] == "modelos"
        await person.set_locale("en-US")


async def test_remove_and_undo(shop, operator):
    id_ = await file_id(operator, "brush 0", "remove")
    path = shop.data / "models" / "loras" / "brush 0.safetensors"
    card = await admin(operator, "remove", model=id_)
    assert "“brush 0” is removed" in card.text
    assert not path.exists()
    assert "brush 0" not in await loras(operator, "brush")
    answer = await operator.slash("general", "imagine", {"prompt": "x", "lora": "brush 0"})
    assert "Did you mean" in await operator.told(answer)
    await operator.click(card, "Undo")
    await operator.shown("general", card.id, lambda m: "is back" in m.text, 20)
    assert path.exists()
    assert "brush 0" in await loras(operator, "brush")


async def test_rename_note_preview_info(shop, operator):
    id_ = await file_id(operator, "brush 1")
    assert "now called “ink 1”" in (await admin(operator, "rename", model=id_, name="ink 1")).text
    assert (shop.data / "models" / "loras" / "ink 1.safetensors").exists()
    taken = await admin(operator, "rename", model="ink 1", name="brush 2")
    assert "another file called" in taken.text
    assert "is saved" in (await admin(operator, "note", model="ink 1", text="for *water* @everyone")).text
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "green").save(picture, "PNG")
    answer = await operator.slash(
        "general", "model-admin preview", {"model": "ink 1"}, {"image": ("p.png", picture.getvalue())}
    )
    await operator.shown("general", answer.message_id, lambda m: "is saved" in m.text, 20)
    answer = await operator.slash("general", "model-admin preview", {"model": "ink 1"}, {"image": ("p.png", b"no")})
    await operator.shown("general", answer.message_id, lambda m: "cannot read this picture" in m.text, 20)
    card = await admin(operator, "info", model="ink 1")
    assert "stroke1" in card.text
    assert "water" in card.text
    assert "@everyone" not in card.text
    assert len(card.media) == 1
    assert "Test" in card.labels
    assert "no note" in (await admin(operator, "note", model="ink 1")).text
    answer = await operator.slash("general", "model-admin preview", {"model": "ink 1"})
    assert "no picture" in await operator.told(answer)


async def test_unknown_and_damaged(operator):
    assert "Did you mean: brush" in (await admin(operator, "info", model="brsh 3")).text
    card = await admin(operator, "info", model="broken")
    assert "damaged" in card.text
    assert "Test" not in card.labels
    assert "cannot be drawn with" in (await admin(operator, "test", model="broken")).text


async def test_a_disabled_model_vanishes_and_is_refused(shop, operator):
    assert "is disabled in this server" in (await admin(operator, "disable", model="brush 4")).text
    async with shop.person("Member") as member:
        assert "brush 4" not in await loras(member, "brush")
        for options in ({"lora": "brush 4"}, {"prompt": "x <lora:brush 4:1>"}):
            answer = await member.slash("general", "imagine", {"prompt": "x", **options})
            assert "not enabled here" in await member.told(answer)
        # In direct messages this server's word means nothing.
        assert "brush 4" in await loras(member, "brush", "dm")
    rules = await admin(operator, "rules", model="brush 4")
    assert "🚫 brush 4 · in this server" in rules.text.replace("*", "")
    assert "is enabled in this server" in (await admin(operator, "enable", model="brush 4")).text
    assert "brush 4" in await loras(operator, "brush")
    assert "1 rule" in (await admin(operator, "rules", model="brush 4", clear=True)).text
    assert "There are no rules" in (await admin(operator, "rules", model="brush 4")).text
    assert "Whose rules" in (await admin(operator, "rules", clear=True)).text


async def test_rules_of_channels_roles_and_everywhere(shop, operator):
    boot = await operator.boot()
    studio = next(row["id"] for row in boot["channels"] if row["name"] == "studio")
    await admin(operator, "disable", model="brush 5", channel=studio)
    assert "brush 5" in await loras(operator, "brush")
    assert "brush 5" not in await loras(operator, "brush", "studio")
    assert "brush 5" not in await loras(operator, "brush", "Colour tests")
    role = next(id_ for id_, name in boot["roles"].items() if name == "Moderator")
    await admin(operator, "disable", model="brush 6")
    await admin(operator, "enable", model="brush 6", role=role)
    async with shop.person("Moderator") as moderator, shop.person("Member") as member:
        assert "brush 6" in await loras(moderator, "brush")
        assert "brush 6" not in await loras(member, "brush")
    assert "one rule" in (await admin(operator, "enable", model="brush 6", role=role, everywhere=True)).text
    assert "disabled everywhere" in (await admin(operator, "disable", model="brush 7", everywhere=True)).text
    assert "brush 7" not in await loras(operator, "brush", "dm")
    assert "taken back, too" in (await admin(operator, "enable", model="brush 7")).text
    assert "brush 7" in await loras(operator, "brush", "dm")


async def test_old_cards_obey_new_rules(shop, operator):
    card = await operator.begin(prompt="an old card", lora="brush 8", count=1, steps=2)
    await admin(operator, "disable", model="brush 8")
    failed_or_done = await operator.shown("general", card, lambda m: "Cancel" not in m.labels)
    button = "Reroll" if "Reroll" in failed_or_done.labels else "Try again"
    assert "not enabled here" in await operator.told(await operator.click(failed_or_done, button))
    await admin(operator, "enable", model="brush 8")


async def test_defaults_of_server_and_channel(shop, operator):
    shown = await admin(operator, "defaults", clip_skip=2)
    assert "Clip skip: 2" in shown.text.replace("*", "")
    async with shop.person("Member") as member:
        assert member.spec(await member.begin(prompt="a", count=1, steps=1))["clip_skip"] == 2
        assert member.spec(await member.begin(prompt="b --clip-skip 1", count=1, steps=1))["clip_skip"] == 1
        boot = await operator.boot()
        studio = next(row["id"] for row in boot["channels"] if row["name"] == "studio")
        await admin(operator, "defaults", clip_skip=3, channel=studio)
        assert member.spec(await member.begin("studio", prompt="c", count=1, steps=1))["clip_skip"] == 3
        assert member.spec(await member.begin(prompt="d", count=1, steps=1))["clip_skip"] == 2
        assert "Did you mean" in (await admin(operator, "defaults", checkpoint="pincl")).text
        shown = await admin(operator, "defaults", checkpoint="pincel-demo", vae="None")
        assert "pincel-demo" in shown.text
        assert member.spec(await member.begin(prompt="e", count=1, steps=1))["vae"] == "None"
        await admin(operator, "defaults", clear=True)
        await admin(operator, "defaults", clear=True, channel=studio)
        spec = member.spec(await member.begin("studio", prompt="f", count=1, steps=1))
        assert (spec["clip_skip"], spec["vae"]) == (1, "Automatic")
    assert "about one server" in (await admin(operator, "defaults", "dm", clip_skip=2)).text


async def test_favourites_stand_first(operator):
    assert "now stands first" in (await admin(operator, "favourite", model="brush 9")).text
    assert (await loras(operator))[0] == "brush 9"
    assert "no longer recommended" in (await admin(operator, "favourite", model="brush 9", on=False)).text


async def test_a_test_render_carries_enable(shop, operator):
    await admin(operator, "disable", model="pincel-demo", everywhere=True)
    assert "not enabled here" in (await refused_imagine(operator, checkpoint="pincel-demo"))
    answer = await operator.slash("general", "model-admin test", {"model": "pincel-demo"})
    card = await operator.shown("general", answer.message_id)
    assert len(card.media) == 1
    assert card.labels == ("Enable", "Delete")
    async with shop.person("Member") as member:
        assert "Only admins" in await member.told(await member.click(card, "Enable"))
    assert "is enabled" in await operator.told(await operator.click(card, "Enable"))
    assert operator.spec(await operator.begin(prompt="x", count=1, steps=1))["checkpoint"] == "pincel-demo"


async def refused_imagine(person, **options):
    return await person.told(await person.slash("general", "imagine", {"prompt": "x", **options}))


async def test_reports(shop, operator):
    card = await admin(operator, "audit")
    assert "Who did what" in card.text
    assert "removed" in card.text or "Next" in card.labels
    if "Next" in card.labels:
        await operator.click(card, "Next")
        await operator.shown("general", card.id, lambda m: "Back" in m.labels, 20)
    shown = await admin(operator, "unused", days=0)
    assert "Not used for 0 days" in shown.text
    assert "brush" in shown.text
    assert "There is none" in (await admin(operator, "unused", days=300)).text
    assert "All models together" in (await admin(operator, "disk")).text
    lora_file(shop.data / "models" / "loras" / "fresh.safetensors")
    answer = await operator.slash("general", "model-admin refresh")
    await operator.shown("general", answer.message_id, lambda m: "model files. New:" in m.text, 60)
    assert "fresh" in await loras(operator, "fresh")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "nothing to add"),
        ({"links": "https://a.example/x.safetensors, https://a.example/y.safetensors", "name": "z"}, "one file"),
        ({"links": "https://a.example/x.safetensors", "sha256": "abc"}, "no SHA-256"),
        ({"links": ",".join(f"https://a.example/{n}.safetensors" for n in range(11))}, "at most 10"),
    ],
)
async def test_what_cannot_be_added_says_why(operator, options, sentence):
    assert sentence in (await admin(operator, "add", **options)).text


async def test_what_the_catalogue_does_not_know(operator):
    assert "There is" in (await admin(operator, "install", name="no-such-thing-at-all")).text
