"""/upscale: by an upscaler alone, or with new detail; of our pictures and of anybody's."""

import asyncio

import pytest

from tests.stage.painter import FACTS
from tests.stage.pictures_given import INFOTEXT, picture
from tests.stage.visitor import verbs


async def upscale(member, data=None, **options):
    files = {"image": ("a.png", data or picture())}
    return await member.slash("general", "upscale", options, attachments=files)


async def test_an_upscaler_alone(stage):
    member = await stage.visitor()
    card = await member.drawn(await upscale(member, picture(INFOTEXT)))
    (spec,) = stage.painter.specs
    assert (spec.kind, spec.upscaler, spec.scale) == ("upscale", "4x-sharp", 2)
    (image,) = member.images(card)
    assert (image["width"], image["height"], image["infotext"]) == (192, 128, INFOTEXT)
    assert "192×128" in card.text
    assert "4x-sharp" in card.text
    shown = await member.shown(await member.press(card, "info"))
    assert "a lighthouse at night" in shown.text


async def test_once_more_from_its_card_with_the_form(stage):
    member, ann = await stage.visitor(), await stage.visitor("Ann")
    card = await member.drawn(await upscale(member))
    form = await ann.press(card, "enlarge")
    larger = await ann.drawn(await ann.fill(form, {"upscaler": "Lanczos", "factor": "3"}))
    (image,) = ann.images(larger)
    assert (image["width"], image["height"]) == (96 * 6, 64 * 6)
    assert str(ann.job(larger)["user_id"]) == ann.user_id
    assert ann.job(larger)["source_image_id"] == member.images(card)[0]["id"]
    assert f"<@{member.user_id}>" in larger.text


async def test_a_picture_of_ours_with_new_detail(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="a red apple", count=2, seed=40, width=256, height=128)
    second = member.images(card)[1]
    answer = await member.slash(
        "general", "upscale", {"picture": second["id"], "denoise": 0.3, "factor": 1.5, "upscaler": "Lanczos"}
    )
    drawn = await member.drawn(answer)
    spec = stage.painter.specs[-1]
    assert (spec.prompt, spec.seed, spec.count) == ("a red apple", 41, 1)
    assert (spec.hires.scale, spec.hires.upscaler, spec.hires.denoising_strength) == (1.5, "Lanczos", 0.3)
    assert spec.hires.source.image.sha256 == second["sha256"]
    assert (member.images(drawn)[0]["width"], member.images(drawn)[0]["height"]) == (384, 192)
    assert member.job(drawn)["source_image_id"] == second["id"]


async def test_anybodys_picture_with_new_detail_after_its_own_words(stage):
    member = await stage.visitor()
    await member.drawn(await upscale(member, picture(INFOTEXT, size=(100, 70)), denoise=0.4))
    (spec,) = stage.painter.specs
    assert (spec.prompt, spec.negative_prompt, spec.seed) == ("a lighthouse at night", "fog", 99)
    assert (spec.width, spec.height) == (96, 64)
    assert stage.painter.input(spec.hires.source.image)


async def test_a_prompt_of_ones_own(stage):
    member = await stage.visitor()
    await member.drawn(await upscale(member, denoise=0.4, prompt="a teal wall"))
    assert stage.painter.specs[-1].prompt == "a teal wall"
    await member.drawn(await upscale(member, picture(INFOTEXT), denoise=0.4, prompt="a tower"))
    assert stage.painter.specs[-1].prompt == "a tower"


async def test_the_given_picture_stays_as_long_as_its_card(stage):
    member = await stage.visitor()
    card = await member.drawn(await upscale(member, denoise=0.4, prompt="a teal wall"))
    (kept,) = [path for path in stage.settings.inputs_dir.rglob("*") if path.is_file()]
    await stage.restart()
    assert kept.exists()
    await member.press(card, "delete")
    await member.gone(card)
    assert not kept.exists()


async def test_the_menu(stage):
    member = await stage.visitor()
    message = await member.message("general", await member.say("general", "", {"files[0]": ("x.png", picture())}))
    form = await member.context_menu(message, "Upscale")
    assert form.kind == "modal"
    await stage.restart(kill=True)
    card = await member.drawn(await member.fill(form, {"factor": "4"}))
    assert member.images(card)[0]["width"] == 384


async def test_faces(stage):
    stage.painter.facts = (
        *FACTS, *(type(FACTS[0])(kind="face", name=name) for name in ("GFPGANv1.4", "detection_Resnet50_Final")),
    )  # fmt: skip
    await stage.painter.announce()
    member = await stage.visitor()
    await member.drawn(await upscale(member, faces="GFPGAN"))
    assert (stage.painter.specs[-1].gfpgan_visibility, stage.painter.specs[-1].codeformer_visibility) == (1, 0)


async def test_two_upscalers_and_weights_of_faces(stage):
    stage.painter.facts = (
        *FACTS, *(type(FACTS[0])(kind="face", name=name) for name in ("codeformer-v0.1.0", "detection_Resnet50_Final")),
    )  # fmt: skip
    await stage.painter.announce()
    member = await stage.visitor()
    options = {
        "upscaler_2": "Nearest", "blend": 0.25, "faces": "CodeFormer", "face_visibility": 0.5, "face_weight": 0.75,
    }  # fmt: skip
    card = await member.drawn(await upscale(member, **options))
    spec = stage.painter.specs[-1]
    assert (spec.upscaler, spec.upscaler_2, spec.visibility_2) == ("4x-sharp", "Nearest", 0.25)
    assert (spec.codeformer_visibility, spec.codeformer_weight, spec.gfpgan_visibility) == (0.5, 0.75, 0)
    assert "Nearest" in card.text


async def refused(stage, member, data=None, **options):
    """Nothing is left for everybody, and its asker reads why."""
    before = {message.id for message in await member.messages("general")}
    await upscale(member, data, **options)
    told = await member.wait_for_message("general", lambda one: one.ephemeral and one.id not in before)
    after = [message for message in await member.messages("general") if message.id not in before]
    assert [message.id for message in after] == [told.id]
    assert [path for path in stage.settings.inputs_dir.rglob("*") if path.is_file()] == []
    return told.text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"upscaler": "5x-sharp"}, "Did you mean"),
        ({"upscaler": "Latent"}, "no upscaler called"),
        ({"faces": "GFPGAN"}, "models for it are missing"),
        ({"denoise": 0.3}, "New detail needs words"),
        ({"denoise": 0.3, "prompt": "a naked child"}, "under age"),
        ({"denoise": 0.3, "prompt": "x", "factor": 8}, "between 1 and 4"),
        ({"prompt": "a wall"}, "Add `denoise`"),
        ({"denoise": 0.3, "prompt": "x", "upscaler_2": "Nearest"}, "neither a second upscaler"),
        ({"upscaler_2": "5x-sharp"}, "Did you mean"),
    ],
)
async def test_what_is_refused(stage, options, sentence):
    member = await stage.visitor()
    assert sentence in await refused(stage, member, **options)
    assert stage.painter.assigned == []


@pytest.mark.parametrize(
    ("size", "options", "sentence"),
    [
        ((2000, 1000), {"factor": 8}, "a factor of at most 2.89"),
        ((2100, 2000), {"denoise": 0.3, "prompt": "x", "factor": 1}, "cannot be enlarged any further"),
    ],
)
async def test_too_large(stage, size, options, sentence):
    assert sentence in await refused(stage, await stage.visitor(), picture(size=size), **options)


async def test_a_form_filled_wrongly(stage):
    member = await stage.visitor()
    card = await member.imagine(count=1)
    form = await member.context_menu(card, "Upscale")
    assert "is no number" in await member.told(await member.fill(form, {"denoise": "much"}))


async def test_a_picture_whose_file_is_gone(stage):
    member = await stage.visitor()
    card = await member.imagine(count=1)
    image = member.images(card)[0]
    (stage.settings.outputs_dir / image["path"]).unlink()
    answer = await member.slash("general", "upscale", {"picture": image["id"]})
    failed = await member.shown(answer, lambda one: "retry" in verbs(one))
    assert "not kept any more" in failed.text


async def test_an_address_that_discord_does_not_know_any_more(stage):
    member = await stage.visitor()
    message = await member.message("general", await member.say("general", "", {"files[0]": ("x.png", picture())}))
    form = await member.context_menu(message, "Upscale")
    stage.clock.advance(seconds=8 * 24 * 3600)
    await member.fill(form, {})
    await member.wait_for_message("general", lambda one: one.ephemeral and "could not be fetched" in one.text)


async def test_addresses_outside_discord_are_not_asked(stage):
    member = await stage.visitor()
    message = await member.message("general", await member.say("general", "", {"files[0]": ("x.png", picture())}))
    form = await member.context_menu(message, "Upscale")
    await asyncio.to_thread(
        stage.execute, "UPDATE finds SET content = replace(content, 'http://', 'http://elsewhere.')"
    )
    assert "does not come from Discord" in await member.told(await member.fill(form, {}))


async def test_a_full_line(make_stage):
    stage = await make_stage(max_queued_per_user=1)
    member = await stage.visitor()
    stage.painter.hold()
    await member.begin()
    await stage.painter.asked(1)
    assert "1" in await refused(stage, member)
    stage.painter.release()


async def test_too_large_for_discord(stage):
    stage.fault("PATCH", r"^/webhooks/", 413, code=40005, times=2)
    member = await stage.visitor()
    card = await member.drawn(await upscale(member))
    assert "Sent as" in card.text


async def test_what_is_done_with_a_given_picture_goes_on_from_it(stage):
    member = await stage.visitor()
    options = {"denoise": 0.4, "prompt": "a teal wall", "factor": 1.5}
    card = await member.drawn(await upscale(member, picture(size=(512, 256)), **options))
    source = stage.painter.specs[-1].hires.source.image.sha256
    again = await member.drawn(await member.press(card, "reroll"))
    assert stage.painter.specs[-1].hires.source.image.sha256 == source
    assert (member.images(again)[0]["width"], member.images(again)[0]["height"]) == (768, 384)
    form = await member.press(card, "edit")
    edited = await member.drawn(await member.fill(form, {"prompt": "a red wall"}))
    spec = stage.painter.specs[-1]
    assert (spec.prompt, spec.hires.source.image.sha256, spec.hires.scale) == ("a red wall", source, 1.5)
    varied = await member.drawn(await member.press(edited, "vary", 1))
    assert stage.painter.specs[-1].hires.source.image.sha256 == source
    assert len(member.images(varied)) == 4
    larger = await member.drawn(await member.press(edited, "upscale"))
    assert larger.media
