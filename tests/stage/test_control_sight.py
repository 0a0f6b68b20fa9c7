"""Nobody is shown what somebody else gave as control: not by maps, not on desks, however they draw on from it."""

import io

import pytest
from PIL import Image

from bot.domain.named_models import models_of
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ControlUnit, Txt2Img
from tests.stage.matrix_scenes import changed
from tests.stage.painter import FACTS, Drawn
from tests.stage.pictures_given import picture
from tests.stage.refusing import press, refused, unchanged
from tests.stage.test_control import BLUE, CONTROLS, POSE, RED, back, control, digest, draw, opened_desk, seen
from tests.stage.visitor import verbs


@pytest.fixture
async def led(make_stage):
    stage = await make_stage()
    stage.painter.facts = (*FACTS, *CONTROLS)
    stage.painter.tasks = (*stage.painter.tasks, "preprocess")
    stage.painter.answers["preprocess"] = lambda spec: [Drawn(picture(size=(64, 96)), 64, 96, 0, "") for _ in spec.maps]
    await stage.painter.announce()
    return stage


async def desk_of(member, panel):
    """Its only unit's page."""
    await member.press(panel, "control")
    desk = await member.shown(panel.id, lambda m: "controlopen" in verbs(m))
    await member.press(desk, "control", 0)
    return await member.shown(desk.id, lambda m: "controlpick" in verbs(m))


async def tweaked(member, card):
    more = await member.shown(await member.press(card, "more"))
    return await member.shown(await member.press(more, "tweak"))


# --- maps -------------------------------------------------------------------------------------------------------------


async def test_maps_of_a_given_picture_are_for_its_giver_alone(led):
    member, other = await led.visitor(), await led.visitor("Other")
    card = await member.drawn(await control(member, {"count": 1, "type": "OpenPose", "preprocessor": "none"}))
    async with unchanged(led):
        await refused(other, await other.press(await other.shown(card.id), "maps"), "maps_hidden")
    maps = await member.drawn(await member.press(card, "maps"))
    assert maps.ephemeral
    assert digest(led.painter.input(led.painter.specs[-1].image)) == digest(RED)


async def test_drawing_on_from_it_shows_nobody_more(led):
    member, other = await led.visitor(), await led.visitor("Other")
    card = await member.drawn(await control(member, {"count": 1, "type": "OpenPose", "preprocessor": "none"}))
    image = member.images(card)[0]["id"]
    anew = await other.drawn(await other.press(await other.shown(card.id), "reroll"))
    large = await other.drawn(await press(led, other, "upscale", image))
    for made in (anew, large):
        async with unchanged(led):
            await refused(other, await other.press(made, "maps"), "maps_hidden")
        page = await desk_of(other, await tweaked(other, made))
        assert "cannot be shown here" in page.text
        assert not page.attachments
        await refused(other, await other.press(page, "controldo", 3), "control_picture_hidden")
    # Whoever gave it draws on from there, and sees it.
    back_again = await member.drawn(await member.press(await member.shown(anew.id), "reroll"))
    assert (await member.drawn(await member.press(back_again, "maps"))).ephemeral


async def test_a_picture_of_ones_own_in_anothers_request_is_seen(led):
    member, other = await led.visitor(), await led.visitor("Other")
    card = await member.drawn(await control(member, {"count": 1}))
    page = await desk_of(other, await tweaked(other, await other.shown(card.id)))
    form = await other.press(page, "controlopen", 1)
    await other.fill(form, {}, {"image": ("b.png", BLUE)})
    page = await other.shown(page.id, lambda m: bool(m.attachments))
    mine = await other.drawn(await other.press(await back(other, page), "draw"))
    assert (await other.drawn(await other.press(mine, "maps"))).ephemeral
    assert digest(led.painter.input(led.painter.specs[-1].image)) == digest(BLUE)
    async with unchanged(led):
        await refused(member, await member.press(await member.shown(mine.id), "maps"), "maps_hidden")


async def test_what_was_opened_from_a_pictures_info_shows_nothing_given(led):
    member, other = await led.visitor(), await led.visitor("Other")
    card = await member.drawn(await control(member, {"count": 1}))
    info = await other.shown(await other.context_menu(await other.shown(card.id), "Picture info"))
    panel = await other.shown(await other.press(info, "usefound"), lambda m: "control" in verbs(m))
    page = await desk_of(other, panel)
    assert not page.attachments
    drawn = await draw(other, page)
    assert seen(led, led.painter.specs[-1].control[0]) == digest(RED)
    await refused(other, await other.press(drawn, "maps"), "maps_hidden")


async def test_what_comes_of_a_forgotten_request_shows_nothing_given(led):
    member, other = await led.visitor(), await led.visitor("Other")
    card = await member.drawn(await control(member, {"count": 1}))
    anew = await other.drawn(await other.press(await other.shown(card.id), "reroll"))
    info = await other.shown(await other.context_menu(await other.shown(card.id), "Picture info"))
    panel = await other.shown(await other.press(info, "usefound"), lambda m: "control" in verbs(m))
    for table in ("jobs", "drafts"):  # as /forget-me does
        await changed(led, f"UPDATE {table} SET parent_id = NULL")
    assert not (await desk_of(other, panel)).attachments
    async with unchanged(led):
        await refused(other, await other.press(anew, "maps"), "maps_hidden")


async def test_a_text_brings_no_picture_that_somebody_else_gave(led):
    member, other = await led.visitor(), await led.visitor("Other")
    card = await member.drawn(await control(member, {"count": 1, "seed": 4}))
    await other.drawn(await other.press(await other.shown(card.id), "reroll"))
    infotext = led.rows("SELECT infotext FROM images ORDER BY rowid DESC")[0]["infotext"]
    await other.drawn(await other.slash("general", "imagine", {"prompt": infotext.replace("\n", " ")}))
    assert led.painter.specs[-1].control == ()


async def test_maps_of_a_drawn_picture_follow_that_picture(led):
    member, other = await led.visitor(), await led.visitor("Other")
    for private in (False, True):
        card = await member.imagine(prompt=f"a harbour{' --private' if private else ''}", count=1)
        more = await member.shown(await member.press(card, "more"))
        page = await member.shown(await member.press(more, "asunit"), lambda m: "controlpick" in verbs(m))
        panel = await back(member, page)
        answer = await member.press(panel, "draw", 2 if private else None)  # for everybody
        drawn = await member.drawn(answer)
        assert not drawn.ephemeral
        if private:
            async with unchanged(led):
                await refused(other, await other.press(await other.shown(drawn.id), "maps"), "maps_hidden")
        else:
            maps = await other.drawn(await other.press(await other.shown(drawn.id), "maps"))
            assert not maps.ephemeral


async def test_a_map_of_a_given_picture_is_adjusted_by_its_giver_alone(led):
    member, other = await led.visitor(), await led.visitor("Other")
    made = await member.drawn(
        await member.slash("general", "preprocess", {"preprocessor": "canny"}, {"image": ("a.png", RED)})
    )
    form = await other.press(await other.shown(made.id), "mapadjust")
    async with unchanged(led):
        await refused(other, await other.fill(form, {"preprocessor": "none"}), "maps_hidden")
    form = await member.press(made, "mapadjust")
    await member.drawn(await member.fill(form, {"a": "20"}))
    assert led.painter.specs[-1].threshold_a == 20


# --- desks open whatever was given ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "cut off"])
async def test_the_desk_opens_with_whatever_was_given(led, kind):
    out = io.BytesIO()
    noise = Image.effect_noise((64, 96), 80).convert("RGB")
    noise.save(out, "GIF" if kind == "GIF" else "JPEG")
    data = out.getvalue() if kind == "GIF" else out.getvalue()[: len(out.getvalue()) // 2]
    member = await led.visitor()
    desk = await opened_desk(led, member, image=data)
    assert "ControlNet 0" in desk.text
    assert bool(desk.attachments) == (kind == "GIF")


async def test_a_disabled_annotator_counts_in_drawings_too():
    fact = ModelFact(kind="annotator", name="body_pose_model")
    unit = ControlUnit(model=POSE, preprocessor="openpose")
    spec = Txt2Img(prompt="a", checkpoint="dreamy", width=64, height=64, seed=1, control=(unit,))
    assert ("annotator", "body_pose_model") in models_of(spec, (fact,))
