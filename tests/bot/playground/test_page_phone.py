"""Every panel on a phone: all of it within the screen, and nothing that can be pressed outside of it."""

import pytest

from tests.bot.playground.in_browser import PHONE

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SMALL = {"width": 64, "height": 64, "steps": 4}
LONG = "an " + "extraordinarily" * 12 + " long word, " + "and many more words " * 20
OUTSIDE = """() => {
  const wide = [...document.querySelectorAll('#messages *, dialog *, .popup, .panel *')].filter((element) => {
    const { left, right, width } = element.getBoundingClientRect();
    return width > 0 && (right > innerWidth + 1 || left < -1) && !element.closest('.chips, .above');
  });
  const named = wide.map((element) => `${element.tagName} ${element.className} ${element.textContent.slice(0, 60)}`);
  return [document.documentElement.scrollWidth, ...named];
}"""
COMMANDS = {
    "Member": [
        "help", "settings", "history", "tags", "style list", "style show name: Photo", "quota", "queue", "models",
        "loras", "wildcards list", "random count: 1", "repeat count: 2", f"imagine prompt: {LONG} count: 2",
        "imagine prompt: {red|blue} apple --combinatorial", "imagine prompt: a tree advanced: True", "forget-me",
    ],
    "Admin": [
        "limits", "moderation log", "moderation list", "moderation words list", "setup", "panel", "usage", "settings",
        "model-admin audit", "style review", "doctor", "history",
    ],
}  # fmt: skip


@pytest.fixture
async def phone(stage, open_page):
    async def enter(user):
        return await open_page(stage.playground.endpoints.page, user, size=PHONE)

    return enter


async def within(page):
    wide, *outside = await page.evaluate(OUTSIDE)
    assert (wide, outside) == (PHONE[0], [])


@pytest.mark.parametrize("user", ["Member", "Admin"])
async def test_every_answer_fits(stage, phone, user):
    member = await stage.visitor(user)
    await member.imagine(prompt=LONG, count=4, **SMALL)
    page = await phone(user)
    for command in COMMANDS[user]:
        before = await page.get_by_test_id("message").count()
        await page.get_by_test_id("composer").fill(f"/{command}")
        await within(page)
        await page.get_by_test_id("send").click()
        answer = page.get_by_test_id("message").nth(before)
        await answer.locator(".text, .embedded").first.wait_for()
        await within(page)


async def test_panels_lists_and_forms_fit(stage, phone):
    member = await stage.visitor()
    card = await member.imagine(prompt=LONG, count=2, **SMALL)
    page = await phone("Member")
    message = page.locator(f"#m{card.id}")
    messages = page.get_by_test_id("message")

    async def pressed(scope, label):
        await scope.get_by_role("button", name=label, exact=True).click()

    async def form(scope, label):
        await pressed(scope, label)
        await page.get_by_test_id("modal-submit").wait_for()
        await within(page)
        # The form's end can be reached, and its buttons are on the screen all the time.
        await page.locator("dialog .entry").last.scroll_into_view_if_needed()
        box = await page.get_by_test_id("modal-submit").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= PHONE[1]
        await page.keyboard.press("Escape")
        await page.get_by_test_id("modal").wait_for(state="detached")

    await form(message, "Edit")
    await pressed(message, "More")
    more = messages.filter(has_text="How it was made")
    await more.wait_for()
    await within(page)
    for label in ("Zoom…", "Upscale…", "Save as style"):
        await form(more, label)
    await pressed(more, "Region")
    await form(messages.filter(has_text="Choose the squares"), "Choose in a form")
    await pressed(more, "Tweak")
    panel = messages.filter(has_text="Nothing is changed yet")
    await panel.wait_for()
    for label in ("Prompt", "Numbers", "Start from a picture", "Second pass", "Seeds", "Model"):
        await form(panel, label)
    for number in range(await panel.get_by_test_id("select").count()):
        await panel.get_by_test_id("select").nth(number).click()
        await page.get_by_test_id("option").first.wait_for()
        await within(page)
        await page.keyboard.press("Escape")
