"""The list of styles where it has more than one page."""

from bot.studio.styles.cards import PAGE


async def test_two_pages_are_turned_there_and_back(stage):
    member = await stage.visitor()
    for number in range(PAGE):  # with those that Pincel brings, two pages
        await member.told(await member.slash("general", "style save", {"name": f"Ink {number:02}", "prompt": "ink"}))
    shown = await member.shown(await member.slash("general", "style list"))
    assert "Ink 00" in shown.text
    assert {"Next", "Back"} & set(shown.labels) == {"Next"}
    turned = await member.shown(await member.press(shown, "stylelist", 1), lambda m: "Ink 00" not in m.text)
    back = await member.shown(await member.press(turned, "stylelist", 0), lambda m: "Ink 00" in m.text)
    assert back.labels == shown.labels
