"""The page, in a real browser."""

import re

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
async def page(playground, open_page):
    return await open_page(playground.endpoints.page, channel="studio")


async def test_a_newcomers_first_minutes(page, bot, playground):
    from playwright.async_api import expect

    box = page.get_by_test_id("composer")
    messages = page.get_by_test_id("message")
    assert "key=" not in page.url
    await expect(page.get_by_test_id("banner")).to_be_hidden()

    # Plain text, and nothing of it is markup.
    await box.fill("<img src=x onerror=alert(1)> **bold** <t:0:R> [x](javascript:alert(1))")
    await box.press("Enter")
    await expect(messages.last.locator("strong")).to_have_text("bold")
    assert await messages.last.locator(".text img, .text a").count() == 0
    await expect(messages.last).to_contain_text("<img src=x onerror=alert(1)>")

    # The command menu, by keyboard.
    await box.press_sequentially("/imag")
    await expect(page.get_by_test_id("suggestion")).to_have_count(1)
    await box.press("Enter")
    await expect(box).to_have_value("/imagine prompt: ")
    await expect(page.get_by_test_id("option-chip")).to_have_count(8)

    # A missing option is said at the spot, and the text stays.
    await box.press("Enter")
    await expect(page.get_by_test_id("composer-problem")).to_contain_text("This is needed")
    await box.fill("/imagine prompt: x steps: many")
    await box.press("Enter")
    await expect(page.get_by_test_id("composer-problem")).to_contain_text("steps: Give a whole number.")
    await expect(box).to_have_value("/imagine prompt: x steps: many")
    await box.fill("/imagine prompt: x, Steps: many, Seed: none")
    await expect(page.get_by_test_id("composer-problem")).to_be_hidden()

    # Autocomplete, then the whole command.
    await box.fill("")
    await box.press_sequentially("/imagine prompt: a red apple style: oil")
    await page.get_by_test_id("suggestion").filter(has_text="Oil Painting").wait_for()
    await box.press("ArrowDown")
    await box.press("Enter")
    await expect(box).to_have_value("/imagine prompt: a red apple style: Oil Painting ")
    await box.press("Enter")
    card = messages.filter(has_text="a red apple 20 7.0 oil painting")
    await expect(card.get_by_test_id("picture")).to_have_count(4)
    await expect(card).to_contain_text(re.compile(r"Member used\s*/imagine"))
    width = "Array.from(document.querySelectorAll('[data-testid=picture] img')).map((i) => i.naturalWidth)"
    await page.wait_for_function(f"{width}.every((w) => w === 64)")

    # Lightbox with alternative text.
    await card.get_by_label("picture 1.png").click()
    await expect(page.get_by_test_id("lightbox-image")).to_have_attribute("alt", "picture 1.png")
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_test_id("lightbox-image")).to_have_attribute("alt", "picture 2.png")
    await page.keyboard.press("Escape")

    # A form.
    await card.get_by_role("button", name="Edit").click()
    form = page.get_by_test_id("modal")
    await form.get_by_label("Prompt").fill("from the form")
    await form.get_by_role("button", name="Submit").click()
    await expect(form.get_by_role("alert").filter(has_text="This is needed")).to_be_visible()
    await form.get_by_label("Sampler", exact=True).click()
    await form.get_by_role("option", name="DDIM").click()
    await form.get_by_text("large").click()
    await form.get_by_role("button", name="Submit").click()
    await expect(form).to_have_count(0)
    await messages.filter(has_text="from the form|['DDIM']").wait_for()

    # An ephemeral answer, dismissed; a reaction; a live edit.
    await card.get_by_role("button", name="Reroll").click()
    whisper = messages.filter(has_text="Only you can see this")
    await whisper.get_by_test_id("dismiss").click()
    await expect(whisper).to_have_count(0)
    # What begins further down than one looks is announced.
    await page.set_viewport_size({"width": 1280, "height": 400})
    async with page.expect_event("console", lambda line: line.text == "scrolled"):
        await page.locator("#scroll").evaluate(
            "(e) => { e.addEventListener('scroll', () => console.log('scrolled'), { once: true }); e.scrollTop = 0; }"
        )
    await card.get_by_role("button", name="Reroll").dispatch_event("click")
    await page.get_by_test_id("newer").click()
    await expect(whisper).to_be_in_viewport()
    await expect(page.get_by_test_id("newer")).to_be_hidden()
    await whisper.get_by_test_id("dismiss").click()
    await page.set_viewport_size({"width": 1280, "height": 800})
    await card.hover()
    await card.get_by_test_id("react").click()
    await page.get_by_role("button", name="⭐").click()
    await expect(card.get_by_test_id("reaction")).to_have_attribute("aria-pressed", "true")
    assert ("reaction", "⭐", playground.world.people["Member"]) in bot.seen
    await card.get_by_role("button", name="U1").click()
    await expect(messages.filter(has_text="bigger").get_by_test_id("picture")).to_have_count(1)

    # Selects.
    await box.fill("/choose")
    await box.press("Enter")
    classic = messages.filter(has_text="classic")
    await classic.get_by_test_id("select").nth(2).click()
    await page.get_by_role("option", name="#after-dark").click()
    await messages.filter(has_text="chose ['after-dark']").wait_for()

    # A file for an option.
    await box.fill("/imagine prompt: with a file")
    await page.get_by_test_id("file-input").set_input_files(
        {"name": "p.png", "mimeType": "image/png", "buffer": b"12345"}
    )
    await expect(page.locator("[data-option=picture]")).to_contain_text("p.png")
    await box.press("Enter")
    await messages.filter(has_text="with a file 20 7.0 - 5").wait_for()

    # Another person, another language.
    await page.get_by_test_id("user-switch").click()
    await page.get_by_test_id("user-Admin").click()
    await expect(box).to_have_attribute("placeholder", re.compile("Escribe en #studio"))
    await box.press_sequentially("/ima")
    await expect(page.get_by_test_id("suggestion")).to_contain_text("Dibuja una imagen")
    await expect(page.locator("html")).to_have_attribute("lang", "es-ES")
    await box.fill("")

    # A button nobody answers.
    await (
        messages.filter(has_text="a red apple")
        .or_(messages.filter(has_text="with a file"))
        .last.get_by_role("button", name="Slow")
        .click()
    )
    await page.get_by_test_id("failure").filter(has_text="La aplicación no ha respondido").wait_for()

    # The bot goes away and says so; a phone sees the same.
    await bot.close()
    await expect(page.get_by_test_id("banner")).to_contain_text("volverá solo")
    await page.set_viewport_size({"width": 390, "height": 844})
    await expect(page.get_by_test_id("side")).not_to_be_in_viewport()
    await page.get_by_test_id("menu").click()
    await expect(page.get_by_test_id("channel-after-dark")).to_be_in_viewport()
    await page.get_by_test_id("channel-after-dark").click()
    await expect(page.get_by_test_id("channel-title")).to_have_text("after-dark")
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
