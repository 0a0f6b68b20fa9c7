"""Pictures as prompts, from the command to the worker and back."""

import hashlib

import pytest

from gpu_worker.protocol.messages import ModelFact
from tests.stage.painter import FACTS
from tests.stage.pictures_given import picture

ADAPTERS = (
    ModelFact(kind="controlnet", name="ip-adapter_sd15", family="sd1", variant="ip_adapter"),
    ModelFact(kind="controlnet", name="ip-adapter_xl", family="sdxl", variant="ip_adapter"),
    ModelFact(kind="annotator", name="clip-h", variant="clip_vision"),
)
RED, BLUE = picture(size=(64, 64), Title="red"), picture(size=(96, 64), Title="blue")


@pytest.fixture
async def blender(make_stage):
    stage = await make_stage()
    stage.painter.facts = (*FACTS, *ADAPTERS)
    await stage.painter.announce()
    return stage


def given(*pictures):
    return {f"image{n}": (f"{n}.png", data) for n, data in enumerate(pictures, 1)}


def read(stage, wish):
    """The pictures that the worker was handed, and their weights."""
    return [(hashlib.sha256(stage.painter.input(p.image)).hexdigest(), round(p.weight, 3)) for p in wish.pictures]


def digest(data):
    return hashlib.sha256(data).hexdigest()


async def test_two_pictures_become_one(blender):
    member = await blender.visitor()
    answer = await member.slash(
        "general", "blend", {"shares": "3:1", "strength": 0.8, "count": 1, "seed": 5}, attachments=given(RED, BLUE)
    )
    card = await member.drawn(answer)
    assert "Blend" in card.text
    spec = blender.painter.specs[-1]
    assert spec.prompt == "best quality, high quality"
    assert spec.image_prompts.adapter == "ip-adapter_sd15"
    assert read(blender, spec.image_prompts) == [(digest(RED), 0.6), (digest(BLUE), 0.2)]
    # The next one reads the same pictures, which are kept as long as the card is there.
    again = await member.drawn(await member.press(card, "reroll"))
    assert read(blender, blender.painter.specs[-1].image_prompts) == read(blender, spec.image_prompts)
    assert blender.painter.specs[-1].seed != 5
    assert again.text


async def test_a_picture_beside_the_words_of_imagine(blender):
    member = await blender.visitor()
    answer = await member.slash(
        "general", "imagine", {"prompt": "a boat --iw 0.5", "checkpoint": "photo-xl", "count": 1},
        attachments={"image_prompt": ("red.png", RED)},
    )  # fmt: skip
    await member.drawn(answer)
    spec = blender.painter.specs[-1]
    assert (spec.prompt, spec.image_prompts.adapter) == ("a boat", "ip-adapter_xl")
    assert read(blender, spec.image_prompts) == [(digest(RED), 0.5)]


async def test_both_kinds_of_pictures_at_once(blender):
    member = await blender.visitor()
    answer = await member.slash(
        "general", "imagine", {"prompt": "a boat", "count": 1},
        attachments={"image": ("blue.png", BLUE), "image_prompt": ("red.png", RED)},
    )  # fmt: skip
    await member.drawn(answer)
    spec = blender.painter.specs[-1]
    assert spec.kind == "img2img"
    assert digest(blender.painter.input(spec.image)) == digest(BLUE)
    assert read(blender, spec.image_prompts) == [(digest(RED), 0.8)]


async def test_the_menu_of_a_message_with_one_of_ours(blender):
    member = await blender.visitor()
    card = await member.imagine(prompt="a harbour", count=1)
    form = await member.context_menu(card, "Use as image prompt")
    drawn = await member.drawn(await member.fill(form, {"prompt": "in winter", "strength": "1,2"}))
    spec = blender.painter.specs[-1]
    assert (spec.prompt, spec.image_prompts.pictures[0].weight) == ("in winter", 1.2)
    assert spec.image_prompts.pictures[0].image.sha256 == blender.rows("SELECT sha256 FROM images")[0]["sha256"]
    assert "Blend" in drawn.text
    bad = await member.fill(await member.context_menu(card, "Use as image prompt"), {"strength": "much"})
    assert "no strength for pictures" in await member.told(bad)


async def test_a_card_of_four_is_asked_which(blender):
    member = await blender.visitor()
    card = await member.imagine(prompt="a harbour", count=4)
    info = await member.context_menu(card, "Use as image prompt")
    shown = await member.shown(info, until=lambda m: "As prompt" in m.labels)
    form = await member.press(shown, "findprompt")
    assert form.kind == "modal"


async def test_without_weights_it_says_so_and_keeps_nothing(make_stage):
    stage = await make_stage()
    member = await stage.visitor()
    for name, options, files in (
        ("blend", {}, given(RED, BLUE)),
        ("imagine", {"prompt": "a boat"}, {"image_prompt": ("red.png", RED)}),
    ):
        told = await member.told(await member.slash("general", name, options, attachments=files))
        assert "No IP-Adapter is installed" in told
    card = await member.imagine(prompt="a harbour", count=1)
    told = await member.told(await member.context_menu(card, "Use as image prompt"))
    assert "No IP-Adapter is installed" in told
    assert not [file for file in stage.settings.data.rglob("inputs/*/*") if file.is_file()]


@pytest.mark.parametrize(
    ("options", "files", "words"),
    [
        ({"shares": "1:2:3"}, (RED, BLUE), "each of the 2 pictures counts, for example 2:1"),
        ({"adapter": "ip-adaptor"}, (RED, BLUE), "Did you mean: ip-adapter"),
        ({"adapter": "ip-adapter_xl"}, (RED, BLUE), "fits this checkpoint's base model"),
    ],
)
async def test_what_cannot_be_blended(blender, options, files, words):
    member = await blender.visitor()
    told = await member.told(await member.slash("general", "blend", options, attachments=given(*files)))
    assert words in told
    assert not blender.painter.specs


async def test_what_is_no_picture_is_told_and_nothing_is_kept(blender):
    member = await blender.visitor()
    await member.slash("general", "blend", {}, attachments=given(RED, b"no picture"))
    told = await member.wait_for_message("general", lambda m: "2.png" in m.text)
    assert told.ephemeral
    assert not blender.painter.specs
    assert not [file for file in blender.settings.data.rglob("inputs/*/*") if file.is_file()]


async def test_a_worker_that_lost_its_eyes_is_told_as_such(blender):
    member = await blender.visitor()
    blender.painter.fail("missing_model", annotator="x", reason="no_image_encoder", controlnet="ip-adapter")
    answer = await member.slash("general", "blend", {"count": 1}, attachments=given(RED, BLUE))
    card = await member.shown(answer, until=lambda m: "did not work" in m.text or "sees with" in m.text)
    assert "“ip-adapter” sees with is not installed" in card.text
