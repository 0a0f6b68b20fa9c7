"""The pages of the /setup wizard. Each is drawn anew from what is stored, so it can be left and come back to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast

import discord

from bot.domain.mentions import spoken
from bot.i18n import LANGUAGES, Texts, texts_for
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Address, Verb, encode
from bot.ui.selects import select_row

__all__ = [
    "ADULT_OFF", "ADULT_ON", "DRAW_IN", "LIMITS", "NEWS_IN", "STEPS", "SetupFacts", "setup_card",
    "welcome_card",
]  # fmt: skip

STEPS = ("permissions", "places", "content", "people", "machine", "end")
LIMITS = 20
"""A number of `setup` that is no step: opens what /limits opens."""
DRAW_IN, NEWS_IN = 1, 2
ADULT_ON, ADULT_OFF = 1, 2
COLOUR = 0x5865F2
MANY = 25
_CHANNELS = [
    discord.ChannelType.text, discord.ChannelType.voice, discord.ChannelType.forum, discord.ChannelType.media,
]  # fmt: skip
_Row = discord.ui.ActionRow[discord.ui.LayoutView]


@dataclass(frozen=True, slots=True)
class SetupFacts:
    """Everything that the pages show."""

    guild_id: int
    missing_here: Sequence[str]
    """Permissions, by discord.py's names."""
    missing_server: Sequence[str]
    member: bool
    """False: only the commands are here, the bot itself is not in the server."""
    channel_id: int | None
    invite: str
    draw_in: Collection[int]
    adult_in: Collection[int]
    age_restricted: Collection[int]
    classifier: str | None
    limited: bool
    """Some limit is set."""
    language: str | None
    news_in: int | None
    checks: Sequence[str]
    """Lines about the machine, as a server's admin may read them."""
    finished: bool


def setup_card(facts: SetupFacts, step: int, texts: Texts, note: str = "") -> discord.ui.LayoutView:
    """`note` is what was just done."""
    step = min(max(step, 0), len(STEPS) - 1)
    page = STEPS[step]
    view = discord.ui.LayoutView(timeout=None)
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=COLOUR)
    head = texts("setup.head", n=step + 1, of=len(STEPS), title=texts(f"setup.{page}_title"))
    box.add_item(discord.ui.TextDisplay(head))
    _PAGES[page](box, facts, texts)
    if note:
        box.add_item(discord.ui.TextDisplay(f"✅ {note}"))
    box.add_item(_navigation(facts.guild_id, step, texts))
    view.add_item(box)
    return view


def welcome_card(texts: Texts) -> discord.ui.LayoutView:
    """What the members read, in the server's language."""
    view = discord.ui.LayoutView(timeout=None)
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=COLOUR)
    box.add_item(discord.ui.TextDisplay(texts("setup.welcome")))
    view.add_item(box)
    return view


_Box = discord.ui.Container[discord.ui.LayoutView]


def _permissions(box: _Box, facts: SetupFacts, texts: Texts) -> None:
    def named(names: Sequence[str]) -> str:
        return ", ".join(f"**{texts(f'permission.{name}')}**" for name in names)

    lines: list[str] = []
    if not facts.member:
        lines.append("❌ " + texts("setup.not_member"))
    elif not facts.missing_here and not facts.missing_server:
        lines.append("✅ " + texts("setup.permissions_good"))
    if facts.member and facts.missing_server:
        lines.append("❌ " + texts("setup.permissions_server", names=named(facts.missing_server)))
        lines.append("-# → " + texts("setup.permissions_server_fix"))
    here = [name for name in facts.missing_here if name not in facts.missing_server]
    if facts.member and here:
        channel = f"<#{facts.channel_id}>"
        lines.append("❌ " + texts("setup.permissions_here", names=named(here), channel=channel))
        lines.append("-# → " + texts("setup.permissions_here_fix", channel=channel))
    lines.append("-# " + texts("setup.permissions_hint"))
    box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    if not facts.member or facts.missing_server:
        link: discord.ui.Button[discord.ui.LayoutView] = discord.ui.Button(
            label=texts("setup.invite"), url=facts.invite
        )
        box.add_item(discord.ui.ActionRow(link))


def _places(box: _Box, facts: SetupFacts, texts: Texts) -> None:
    box.add_item(discord.ui.TextDisplay(texts("setup.places_text")))
    box.add_item(_channel_list(facts.guild_id, DRAW_IN, texts("setup.places_pick"), facts.draw_in, at_most=MANY))
    said = ", ".join(f"<#{one}>" for one in sorted(facts.draw_in)) or texts("setup.places_everywhere")
    box.add_item(discord.ui.TextDisplay(texts("setup.places_now", channels=said)))


def _content(box: _Box, facts: SetupFacts, texts: Texts) -> None:
    lines = [texts("setup.content_text")]
    if facts.classifier is None:
        lines.append("⚠️ " + texts("setup.classifier_none"))
    else:
        lines.append("✅ " + texts("setup.classifier", name=spoken(facts.classifier)))
    if facts.adult_in:
        lines.append(texts("setup.adult_in", channels=", ".join(f"<#{one}>" for one in sorted(facts.adult_in)[:MANY])))
    else:
        lines.append(texts("setup.adult_nowhere"))
    if not facts.age_restricted:
        lines.append("-# " + texts("setup.no_age_restricted"))
    box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    address = str(facts.guild_id)
    row: list[AddressButton] = []
    if facts.age_restricted and set(facts.age_restricted) - set(facts.adult_in):
        row.append(button(Verb.SETUP_ADULT, address, texts("setup.adult_on"), n=ADULT_ON, emoji="🔞"))
    if facts.adult_in:
        row.append(button(Verb.SETUP_ADULT, address, texts("setup.adult_off"), n=ADULT_OFF))
    row.append(button(Verb.SETUP, address, texts("setup.limits"), n=LIMITS, emoji="⏱️"))
    limits = texts("setup.limits_some" if facts.limited else "setup.limits_none")
    box.add_item(discord.ui.TextDisplay(limits))
    box.add_item(discord.ui.ActionRow(*map(in_layout, row)))


def _people(box: _Box, facts: SetupFacts, texts: Texts) -> None:
    box.add_item(discord.ui.TextDisplay(texts("setup.language_text")))
    rows = [(language, texts_for(language)("setup.language_name"), "") for language in LANGUAGES]
    box.add_item(
        select_row(Verb.SETUP_LANGUAGE, str(facts.guild_id), texts("setup.language_pick"), rows, facts.language)
    )
    box.add_item(discord.ui.TextDisplay(texts("setup.news_text")))
    chosen = [facts.news_in] if facts.news_in is not None else []
    box.add_item(_channel_list(facts.guild_id, NEWS_IN, texts("setup.news_pick"), chosen, at_most=1))


def _machine(box: _Box, facts: SetupFacts, texts: Texts) -> None:
    box.add_item(discord.ui.TextDisplay("\n".join([texts("setup.machine_text"), *facts.checks])))


def _end(box: _Box, facts: SetupFacts, texts: Texts) -> None:
    box.add_item(discord.ui.TextDisplay(texts("setup.end_text")))
    test = button(
        Verb.SETUP_TEST, str(facts.guild_id), texts("setup.test"), style=discord.ButtonStyle.success, emoji="🎨"
    )
    box.add_item(discord.ui.ActionRow(in_layout(test)))
    if facts.finished:
        box.add_item(discord.ui.TextDisplay("-# " + texts("setup.finished")))


_PAGES = {
    "permissions": _permissions,
    "places": _places,
    "content": _content,
    "people": _people,
    "machine": _machine,
    "end": _end,
}


def _navigation(guild_id: int, step: int, texts: Texts) -> _Row:
    address = str(guild_id)
    row: list[AddressButton] = []
    if step > 0:
        row.append(button(Verb.SETUP, address, texts("setup.back"), n=step - 1, emoji="◀️"))
    row.append(button(Verb.SETUP, address, texts("setup.again"), n=step, emoji="🔄"))
    if step + 1 < len(STEPS):
        primary = discord.ButtonStyle.primary
        row.append(button(Verb.SETUP, address, texts("setup.next"), n=step + 1, style=primary, emoji="▶️"))
    return discord.ui.ActionRow(*map(in_layout, row))


def _channel_list(guild_id: int, n: int, placeholder: str, chosen: Collection[int], *, at_most: int) -> _Row:
    select: discord.ui.ChannelSelect[discord.ui.LayoutView] = discord.ui.ChannelSelect(
        custom_id=encode(Verb.SETUP_CHANNELS, str(guild_id), n),
        placeholder=placeholder[:150],
        min_values=0,
        max_values=at_most,
        channel_types=_CHANNELS if n == DRAW_IN else [discord.ChannelType.text],
        default_values=[
            discord.SelectDefaultValue(id=one, type=discord.SelectDefaultValueType.channel)
            for one in sorted(chosen)[:at_most]
        ],
    )
    item = AddressButton(cast("Any", select), Address(Verb.SETUP_CHANNELS, str(guild_id), n))
    return discord.ui.ActionRow(in_layout(item))
