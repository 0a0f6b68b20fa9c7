"""Chromium for the page's tests: one browser a test, and any number of pages, each somebody's."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncGenerator
from typing import Any

import pytest

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
DESK, PHONE = (1280, 800), (390, 844)


class Opener:
    """`await open_page(address)`: a page of the playground, as Member unless said, in a session of its own."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self.problems: list[str] = []
        """What the browser's console complained of."""

    async def __call__(
        self, address: str, user: str = "Member", channel: str = "general", size: tuple[int, int] = DESK
    ) -> Any:
        phone = size == PHONE
        context = await self._browser.new_context(
            viewport={"width": size[0], "height": size[1]}, has_touch=phone, is_mobile=phone
        )
        page = await context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda line: self.problems.append(line.text) if line.type == "error" else None)
        await page.goto(address)
        await page.get_by_test_id("channel-studio").wait_for(state="attached")
        side = page.get_by_test_id("menu")
        if user != "Member":
            if phone:
                await side.click()
            await page.get_by_test_id("user-switch").click()
            async with page.expect_response(lambda response: "/page/commands" in response.url):
                await page.get_by_test_id(f"user-{user}").click()
        if phone and not await page.evaluate("document.body.classList.contains('side-open')"):
            await side.click()
        await page.get_by_test_id(f"channel-{channel}").click()
        await page.get_by_test_id("channel-title").filter(has_text=channel).wait_for()
        return page


@contextlib.asynccontextmanager
async def open_browser() -> AsyncGenerator[Opener]:
    """Fails at the end where a page had a fault; refusals are answered with 400, which the browser notes."""
    if BROWSER is None:
        pytest.skip("no Chromium or Chrome on this machine: the page's test is left out")
    from playwright.async_api import async_playwright

    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        opener = Opener(browser)
        yield opener
        await browser.close()
    assert [line for line in opener.problems if "status of 400" not in line] == []
