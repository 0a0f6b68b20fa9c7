"""Panels, lists and forms of the real bot, pressed in a real browser: the bot of the stage behind the page."""

import io
import re

import pytest
from PIL import Image

from bot.domain.safety.rules import Shown
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.safety import Looked
from tests.stage.painter import FACTS
from tests.stage.pictures_given import picture

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SMALL = {"width": 64, "height": 64, "steps": 4, "count": 1}


class Seen:
    """What a test presses on a page."""

    def __init__(self, page):
        self.page = page
        self.messages = page.get_by_test_id("message")
        self.form = page.get_by_test_id("modal")

    def message(self, text):
        return self.messages.filter(has_text=text).last

    async def press(self, message, label):
        await message.get_by_role("button", name=label, exact=True).click()

    async def pick(self, message, which, *labels):
        """Chooses in the list that shows or is called `which`."""
        await message.get_by_test_id("select").filter(has_text=which).click()
        for label in labels:
            await self.page.get_by_test_id("option").filter(has_text=label).first.click()
        if await self.page.get_by_test_id("option").count():
            await self.page.keyboard.press("Escape")

    async def submit(self):
        await self.form.get_by_test_id("modal-submit").click()
        await self.form.wait_for(state="detached")

    async def command(self, text):
        box = self.page.get_by_test_id("composer")
        await box.fill(text)
        await box.press("Enter")


@pytest.fixture
async def seen(stage, open_page):
    return Seen(await open_page(stage.playground.endpoints.page))


@pytest.fixture
async def expect():
    from playwright.async_api import expect

    return expect


@pytest.fixture
async def card(stage):
    member = await stage.visitor()
    return await member.imagine(prompt="a red apple", seed=7, **SMALL)


async def test_the_tweak_panel_with_a_list_and_a_form(stage, seen, expect, card):
    await seen.press(seen.message("a red apple"), "More")
    more = seen.message("How it was made")
    await expect(more.locator("pre")).to_contain_text("Steps: 4, Sampler: DPM++ 2M")
    await expect(more.get_by_test_id("picture").locator("img")).to_have_js_property("naturalWidth", 64)
    await seen.press(more, "Tweak")
    panel = seen.message("Nothing is changed yet")
    await seen.pick(panel, "DPM++ 2M Karras", "Euler a")
    panel = seen.message("Changed:")
    await expect(panel).to_contain_text("Sampler DPM++ 2M Karras → Euler a")

    # Several of a list are one choice, made when it closes.
    await seen.pick(panel, "LoRAs: none", "inkwash")
    await expect(panel).to_contain_text("LoRA inkwash none → 1")

    await seen.press(panel, "Numbers")
    steps = seen.form.get_by_label("Steps")
    await expect(steps).to_have_value("4")
    await steps.fill("many")
    await seen.form.get_by_test_id("modal-submit").click()
    await seen.message("Steps").filter(has_text="many").wait_for()  # what is wrong is said, nothing is changed
    await seen.press(panel, "Numbers")
    await seen.form.get_by_label("Steps").fill("9")
    await seen.submit()
    await expect(panel).to_contain_text("Steps 4 → 9")
    await seen.press(panel, "Draw")
    await seen.messages.filter(has_text="Steps 4 → 9").get_by_test_id("picture").wait_for()
    drawn = stage.painter.specs[-1]
    assert (drawn.sampler, drawn.steps, drawn.seed) == ("Euler a", 9, 7)


async def test_an_upload_in_a_form(stage, seen, expect, card):
    await seen.press(seen.message("a red apple"), "More")
    await seen.press(seen.message("How it was made"), "Tweak")
    panel = seen.message("Nothing is changed yet")
    await seen.press(panel, "Start from a picture")
    given = picture(size=(64, 64))
    upload = seen.form.locator("input[type=file]").first
    await upload.set_input_files({"name": "mine.png", "mimeType": "image/png", "buffer": given})
    await seen.form.get_by_text("Crop and resize").click()  # a radio button
    await seen.form.get_by_label("Denoising strength").fill("0.4")
    await seen.submit()
    panel = seen.message("Changed:")
    await expect(panel).to_contain_text("Picture added")
    await seen.press(panel, "Draw for me alone")
    own = seen.message("Only you see this")
    await expect(own.get_by_test_id("picture")).to_have_count(1)
    drawn = stage.painter.specs[-1]
    assert (drawn.kind, drawn.denoising_strength, drawn.resize_mode) == ("img2img", 0.4, "Crop and resize")
    with Image.open(io.BytesIO(stage.painter.input(drawn.image))) as kept, Image.open(io.BytesIO(given)) as sent:
        assert kept.convert("RGB").tobytes() == sent.convert("RGB").tobytes()

    # The private card turns into a public one.
    await expect(own).to_have_class("message ephemeral")
    await seen.press(own, "Publish")
    await expect(seen.messages.filter(has_text="Only you see this")).to_have_count(0)
    await expect(seen.messages.filter(has=seen.page.get_by_test_id("picture")).last).to_have_class("message")


async def test_a_list_with_a_search(stage, seen, expect, card):
    many = tuple(ModelFact(kind="checkpoint", name=f"model-{n:03d}", family="sd1", native_px=512) for n in range(60))
    stage.painter.facts = (*FACTS, *many)
    await stage.painter.announce()
    await seen.press(seen.message("a red apple"), "More")
    await seen.press(seen.message("How it was made"), "Tweak")
    panel = seen.message("Nothing is changed yet")
    await seen.pick(panel, "dreamy", "Search …")
    await seen.form.get_by_role("textbox").fill("model-05")
    await seen.submit()
    await panel.get_by_test_id("select").first.click()
    await expect(seen.page.get_by_test_id("option").filter(has_text="model-05")).to_have_count(10)
    await seen.page.get_by_test_id("option").filter(has_text="model-057").click()
    await expect(seen.message("Changed:")).to_contain_text("Model dreamy → model-057")
    # The list knows what is chosen now.
    await expect(seen.message("Changed:").get_by_test_id("select").first).to_have_text("model-057")


async def test_a_settings_panel(stage, seen, expect):
    await seen.command("/settings")
    panel = seen.message("Your settings")
    await expect(panel).to_contain_text("Only you can see this")
    await seen.press(panel, "Habits")
    group = seen.form.get_by_role("radiogroup", name="Remix")
    await expect(group.get_by_role("radio").first).to_be_checked()
    await group.get_by_text("on", exact=True).click()
    await seen.submit()
    await expect(panel).to_contain_text("Remix: on · set here")
    await seen.press(panel, "Picture")
    await seen.form.get_by_label("Steps").fill("6")
    await seen.submit()
    await expect(panel).to_contain_text("Steps: 6 · set here")
    await seen.command("/imagine prompt: a tree")
    await seen.message("a tree").get_by_test_id("picture").first.wait_for()
    assert stage.painter.specs[-1].steps == 6
    # Taking back asks first.
    await seen.press(panel, "Take all of these back")
    await seen.press(panel, "Yes, take them all back")
    await expect(panel).not_to_contain_text("set here")


async def test_history_is_for_ones_own_eyes(stage, seen, expect, card):
    member = await stage.visitor()
    await member.imagine(prompt="a green pear", seed=9, **SMALL)
    await seen.command("/history")
    pages = seen.message("Your pictures")
    await expect(pages.get_by_test_id("picture")).to_have_count(2)
    widths = "(images) => images.length === 2 && images.every((image) => image.naturalWidth > 0)"
    await expect(pages.locator("img[alt*=apple]")).to_have_count(1)
    assert await pages.locator(".gallery img").evaluate_all(widths)
    await seen.press(pages, "Search")
    await seen.form.get_by_role("textbox").first.fill("pear")
    await seen.submit()
    await expect(pages.get_by_test_id("picture")).to_have_count(1)
    await seen.pick(pages, "Open a picture", "a green pear")
    one = seen.message("seed 9")
    await seen.press(one, "Favourite")
    await expect(one).to_contain_text("⭐")
    await seen.press(one, "Delete")
    await seen.press(seen.message("Delete for good?"), "Delete")
    await seen.press(seen.message("The files go"), "Bring back")
    await expect(seen.messages.filter(has_text="The files go")).to_have_count(0)
    # All of it is for one person alone, and goes when it is dismissed.
    whispers = seen.messages.filter(has_text="Only you can see this")
    there = await whispers.count()
    assert await seen.messages.count() == there + 2
    for left in reversed(range(there)):
        await whispers.last.get_by_test_id("dismiss").click()
        await expect(whispers).to_have_count(left)


async def test_the_menu_of_a_message(stage, seen, expect, card):
    first = seen.page.locator(f"#m{card.id}")
    await first.click(button="right", position={"x": 300, "y": 60})
    menu = seen.page.get_by_role("menuitem")
    await expect(menu.filter(has_text="Picture info")).to_be_visible()
    await seen.page.keyboard.press("Escape")
    await expect(menu).to_have_count(0)
    await first.click(button="right", position={"x": 300, "y": 60})
    await menu.filter(has_text="Picture info").click()
    info = seen.message("used Picture info")
    await expect(info).to_contain_text("Only you can see this")
    await expect(info).to_contain_text("Seed: 7")
    # The same from the tools beside the message, as a form.
    await first.hover()
    await first.get_by_test_id("apps").click()
    await menu.filter(has_text="Upscale").click()
    await seen.pick(seen.form, "2 times", "4 times")
    await seen.submit()
    await seen.messages.filter(has_text="256×256").get_by_test_id("picture").wait_for()
    # A reaction from the menu, and an answer to a message that goes.
    await first.click(button="right", position={"x": 300, "y": 60})
    await seen.page.get_by_role("button", name="⭐").click()
    await expect(first.get_by_test_id("reaction")).to_have_attribute("aria-pressed", "true")
    await first.click(button="right", position={"x": 300, "y": 60})
    await menu.filter(has_text="Reply").click()
    await seen.command("what a fine apple")
    answer = seen.message("what a fine apple")
    await expect(answer.locator(".above")).to_contain_text("a red apple")
    await seen.press(first, "Delete")
    await expect(first).to_have_count(0)
    await seen.page.reload()
    await expect(answer.locator(".above")).to_have_text("The original message was deleted")


async def test_a_spoiler_is_shown_when_it_is_pressed(stage, seen, expect):
    async def change(rules):
        channels = frozenset({stage.channel_id("after-dark")})
        return await stage.studio.safety.rules.change(
            stage.guild_id, lambda found: found.model_copy(update={"adult_channels": channels, "adult_shown": rules})
        )

    await change(Shown.SPOILER)
    stage.painter.safety, stage.painter.look = "eyes", lambda spec, index: Looked(by="eyes", nude=0.9)
    await stage.painter.announce()
    await seen.page.get_by_test_id("channel-after-dark").click()
    await seen.command("/imagine prompt: a nude statue width: 64 height: 64 count: 1")
    shot = seen.message("a nude statue").get_by_test_id("picture")
    await expect(shot).to_have_class("shot veiled")
    await shot.click()
    await expect(shot).to_have_class("shot")
    await expect(seen.page.get_by_test_id("lightbox")).to_have_count(0)
    await shot.click()
    await expect(seen.page.get_by_test_id("lightbox-image")).to_have_attribute("alt", re.compile("a nude statue"))
    await seen.page.keyboard.press("Escape")
    # Text, too.
    await seen.command("||the end||")
    spoiler = seen.page.locator(".spoiler").last
    await spoiler.click()
    await expect(spoiler).to_have_class("spoiler shown")


async def test_the_desk_of_regions_shows_a_picture_that_follows_its_forms(stage, seen, expect):
    member = await stage.visitor()
    await member.imagine(prompt="a beach", seed=7, **SMALL)
    await seen.press(seen.message("a beach"), "More")
    await seen.press(seen.message("Upscale"), "Tweak")
    await seen.press(seen.message("Steps"), "Regions")
    desk = seen.message("Regions of the picture")
    await expect(desk).to_contain_text("No regions yet")
    await seen.pick(desk, "Layout", "Left | right")
    await expect(desk).to_contain_text("Region 2")
    picture = desk.get_by_role("img").first
    before = await picture.get_attribute("src")
    await seen.pick(desk, "Change a region", "Region 1")
    await seen.form.get_by_label("What is there").fill("a red fox")
    await seen.submit()
    await expect(desk).to_contain_text("a red fox")
    await expect(picture).not_to_have_attribute("src", before or "")
