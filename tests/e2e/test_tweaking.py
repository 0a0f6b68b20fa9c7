"""The panel of all parameters: its lists, its forms, what it says is different, and what it draws."""

import io
import json

import pytest
from PIL import Image as Pillow

from bot.domain.preferences import PRIVATE, REMIX
from bot.playground.person import Refused
from bot.studio.panel_lists import SEARCH, List
from gpu_worker.protocol import messages as m
from tests.stage.refusing import refused


def picture(width=256, height=128, colour="red", mode="RGB"):
    out = io.BytesIO()
    Pillow.new(mode, (width, height), colour).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
async def member(stage):
    return await stage.visitor()


def says(text):
    return lambda found: text in found.text


async def opened(member, **options):
    """A panel for somebody's picture."""
    options = {"prompt": "a cat, blue hat", "seed": 8, "count": 1, "steps": 20, "checkpoint": "dreamy", **options}
    card = await member.imagine(**options)
    answer = await member.fill(await member.press(card, "edit"), {"advanced": True})
    return card, await member.shown(answer)


def list_of(member, shown, which):
    address = member.address(shown, "pick", which)
    return next(item for item in shown.components() if item.get("custom_id") == address)


async def formed(member, shown, n, values=None, files=None, until=None):
    """The panel after one of its forms was sent; `until` where files are fetched first."""
    answer = await member.fill(await member.press(shown, "advanced", n), values, files)
    return await member.shown(answer, until)


async def test_changes_are_shown_drawn_and_offered_again(member):
    card, shown = await opened(member)
    assert shown.ephemeral
    assert "Nothing is changed yet" in shown.text
    shown = await formed(member, shown, 6, {"steps": "30", "size": "16:9"})
    assert "Steps 20 → 30" in shown.text
    assert "Size 512×512 → 704×384" in shown.text
    shown = await formed(member, shown, 5, {"prompt": "a cat, red hat"})
    assert "Prompt +“red hat” −“blue hat”" in shown.text
    drawn = await member.drawn(await member.press(shown, "draw"))
    spec = member.spec(drawn)
    assert (spec["steps"], spec["width"], spec["prompt"], spec["seed"]) == (30, 704, "a cat, red hat", 8)
    assert member.job(drawn)["parent_id"] == member.job(card)["id"]
    assert "Steps 20 → 30" in drawn.text
    assert "Prompt +“red hat” −“blue hat”" in drawn.text
    _, other = await opened(member, prompt="a dog", width=512, height=768)
    assert "As last time: Steps: 30, Size: 704x384" in json.dumps([*other.components()])
    other = await member.shown(await member.press(other, "revise", 2))
    assert "Steps 20 → 30" in other.text
    assert "a dog" in other.text
    other = await member.shown(await member.press(other, "revise", 1))
    assert "Nothing is changed yet" in other.text


async def test_lists_change_checkpoint_sampler_size_and_loras(member):
    _, shown = await opened(member)
    shown = await member.shown(await member.pick(shown, "pick", ["Euler a"], List.SAMPLER))
    assert "Sampler DPM++ 2M Karras → Euler a" in shown.text
    shown = await member.shown(await member.pick(shown, "pick", ["ar:2:3"], List.SIZE))
    assert "Size 512×512 → 384×576" in shown.text
    shown = await member.shown(await member.pick(shown, "pick", ["turn"], List.SIZE))
    assert "512×512 → 576×384" in shown.text
    shown = await member.shown(await member.pick(shown, "pick", ["inkwash"], List.LORAS))
    assert "LoRA inkwash none → 1" in shown.text
    shown = await formed(member, shown, 7, {"lora0": "0.4"})
    assert "LoRA inkwash none → 0.4" in shown.text
    refused = await member.pick(shown, "pick", ["photo-xl"], List.CHECKPOINT)
    assert "inkwash" in await member.told(refused)
    shown = await member.shown(await member.pick(shown, "pick", [], List.LORAS))
    shown = await member.shown(await member.pick(shown, "pick", ["photo-xl"], List.CHECKPOINT))
    assert "Model dreamy → photo-xl" in shown.text
    drawn = await member.drawn(await member.press(shown, "draw"))
    spec = member.spec(drawn)
    assert (spec["sampler"], spec["checkpoint"], spec["prompt"]) == ("Euler a", "photo-xl", "a cat, blue hat")


async def test_styles_are_put_on_and_taken_off(stage, member):
    await member.slash("general", "style save", {"name": "Ink", "prompt": "ink drawing", "negative": "photo"})
    await member.slash("general", "style save", {"name": "Wall", "prompt": "a poster of {prompt} on a wall"})
    _, shown = await opened(member, prompt="a cat")
    rows = {option["label"]: option["value"] for option in list_of(member, shown, List.STYLES)["options"]}
    ink, wall = rows["Ink"], rows["Wall"]
    shown = await member.shown(await member.pick(shown, "pick", [ink], List.STYLES))
    assert "Prompt +“ink drawing”" in shown.text
    assert "Negative prompt +“photo”" in shown.text
    shown = await member.shown(await member.pick(shown, "pick", [ink, wall], List.STYLES))
    assert {option["label"] for option in list_of(member, shown, List.STYLES)["options"] if option.get("default")} == {
        "Ink", "Wall"
    }  # fmt: skip
    shown = await member.shown(await member.pick(shown, "pick", [wall], List.STYLES))
    drawn = await member.drawn(await member.press(shown, "draw"))
    assert member.spec(drawn)["prompt"] == "a poster of a cat on a wall"
    assert member.spec(drawn)["negative_prompt"] == ""


async def test_the_same_is_not_drawn_twice_by_pressing_twice(stage, member):
    _, shown = await opened(member, prompt="a cat")
    shown = await formed(member, shown, 6, {"steps": "9"})
    stage.painter.hold()
    first = await member.press(shown, "draw")
    assert "waits to be drawn already" in await member.told(await member.press(shown, "draw"))
    shown = await formed(member, shown, 6, {"steps": "10"})
    second = await member.press(shown, "draw")
    stage.painter.release()
    assert member.spec(await member.drawn(first))["steps"] == 9
    assert member.spec(await member.drawn(second))["steps"] == 10


async def test_more_models_than_a_list_holds_are_searched(stage, member):
    many = [m.ModelFact(kind="lora", name=f"style-{n:03}", family="sd1") for n in range(300)]
    stage.painter.facts = (*stage.painter.facts, *many)
    await stage.painter.announce()
    _, shown = await opened(member)
    form = await member.pick(shown, "pick", [SEARCH], List.LORAS)
    shown = await member.shown(await member.fill(form, {"text": "style-277"}))
    shown = await member.shown(await member.pick(shown, "pick", ["style-277"], List.LORAS))
    assert "LoRA style-277 none → 1" in shown.text
    form = await member.pick(shown, "pick", ["style-277", SEARCH], List.LORAS)
    shown = await member.shown(await member.fill(form, {"text": "zzzz"}))
    assert "Nothing like “zzzz”" in shown.text
    assert "style-277" in shown.text


async def test_a_prompt_with_more_loras_than_a_list_ticks_can_lose_some(stage, member):
    many = [m.ModelFact(kind="lora", name=f"style-{n:02}", family="sd1") for n in range(30)]
    stage.painter.facts = (*stage.painter.facts, *many)
    await stage.painter.announce()
    names = [fact.name for fact in many[:12]]
    _, shown = await opened(member, prompt="a cat " + " ".join(f"<lora:{name}:0.1>" for name in names))
    shown = await member.shown(await member.pick(shown, "pick", names[1:], List.LORAS))
    assert "LoRA style-00 0.1 → none" in shown.text
    more = await member.pick(shown, "pick", [*names[1:], "inkwash"], List.LORAS)
    assert "more than 8" in await refused(member, more, "tweak_too_many_loras")


async def test_a_picture_comes_and_goes_with_its_mask(stage, member):
    _, shown = await opened(member)
    await formed(member, shown, 8, {}, {"mask": ("m.png", picture(mode="L", colour=255))})
    await member.wait_for_message("general", lambda found: found.ephemeral and "Upload both" in found.text)
    shown = await formed(
        member, shown, 8, {"denoising_strength": "0.6"}, {"image": ("a.png", picture())}, says("added")
    )
    assert "Picture added" in shown.text
    assert "Denoising strength none → 0.6" in shown.text
    mask = {"mask": ("m.png", picture(mode="L", colour=255))}
    shown = await formed(member, shown, 8, {}, mask, says("Mask added"))
    assert "Mask added" in shown.text
    await formed(member, shown, 8, {}, {"mask": ("m.png", picture(64, 64, 255, "L"))})
    await member.wait_for_message("general", lambda found: found.ephemeral and "256" in found.text)
    drawn = await member.drawn(await member.press(shown, "draw"))
    spec = member.spec(drawn)
    assert (spec["kind"], spec["denoising_strength"], spec["width"] > spec["height"]) == ("img2img", 0.6, True)
    assert spec["mask"] is not None
    shown = await formed(member, shown, 8, {"keep": "no_mask"}, until=lambda found: "Mask" not in found.text)
    shown = await formed(member, shown, 8, {"keep": "no_picture"}, until=lambda found: "Picture" not in found.text)
    assert member.spec(await member.drawn(await member.press(shown, "draw")))["kind"] == "txt2img"


async def test_remix_opens_it_on_variations_and_rerolls(stage, member):
    card = await member.imagine(prompt="a cat", count=1)
    await stage.studio.preferences.put("user", int(member.user_id), REMIX, True)
    shown = await member.shown(await member.press(card, "reroll"))
    assert shown.ephemeral
    assert "Seed" in shown.text
    shown = await member.shown(await member.press(card, "vary", 2))
    assert "Variation none → 0.35" in shown.text
    shown = await formed(member, shown, 5, {"prompt": "a dog"})
    drawn = await member.drawn(await member.press(shown, "draw"))
    spec = member.spec(drawn)
    assert (spec["prompt"], len(spec["variations"]), member.job(drawn)["action"]) == ("a dog", 1, "vary_strong")


async def test_words_of_a_private_picture_do_not_show_on_what_everybody_sees(stage, member):
    await stage.studio.preferences.put("user", int(member.user_id), PRIVATE, True)
    _, shown = await opened(member, prompt="my secret")
    shown = await formed(member, shown, 5, {"prompt": "a cat"})
    assert "secret" in shown.text
    drawn = await member.drawn(await member.press(shown, "draw", 2))
    assert not drawn.ephemeral
    assert "secret" not in drawn.text


async def test_a_panel_works_after_a_restart_and_for_its_owner_alone(stage, member):
    _, shown = await opened(member)
    await stage.restart()
    member = await stage.visitor()
    shown = await member.shown(shown.id)
    shown = await formed(member, shown, 6, {"steps": "9"})
    assert "Steps 20 → 9" in shown.text
    other = await stage.visitor("Moderator")
    assert await other.message("general", shown.id) is None
    with pytest.raises(Refused):
        await other.press(shown, "draw")
