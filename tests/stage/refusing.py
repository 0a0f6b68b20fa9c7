"""What every refusal has in common: its sentence reaches whoever asked, alone, and nothing has changed by it."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import discord

from bot.i18n import load_language
from bot.playground.person import Answer, SeenMessage

if TYPE_CHECKING:
    from tests.stage.stage import Stage
    from tests.stage.visitor import StageVisitor

__all__ = ["offered", "press", "refused", "says", "unchanged"]


def says(key: str, text: str, language: str = "en") -> bool:
    """Whether this is the sentence of `error.<key>`, whatever values fill it."""
    texts = load_language(language)
    named = [f"error.{key}{form}" for form in ("", ".one", ".other") if f"error.{key}{form}" in texts]
    assert named, f"there is no error.{key}"
    return any(re.fullmatch(_pattern(texts[name]), text.strip(), re.DOTALL) for name in named)


def _pattern(template: str) -> str:
    parts = re.split(r"(?<!\{)\{\w+\}(?!\})", template)
    return ".+".join(re.escape(part.replace("{{", "{").replace("}}", "}")) for part in parts)


async def refused(
    member: StageVisitor, answer: Answer, key: str, channel: str = "general", language: str = "en"
) -> str:
    """Asserts that exactly `error.<key>` is said, to this person only, and that no public answer stays; returns it."""
    assert answer.kind in ("message", "deferred", "update", "deferred_update"), (
        f"instead of {key} the bot answered {answer}"
    )
    since = int(answer.interaction_id)
    private = await member.wait_for_message(
        channel, lambda m: int(m.id) > since and m.ephemeral and not m.loading and m.text.strip()
    )
    assert says(key, private.text, language), f"instead of {key}: {private.text}"
    if answer.message_id not in (None, private.id):
        public = await member.message(channel, answer.message_id)
        if public is not None and int(public.id) > since and not public.ephemeral:
            await member.gone(public, channel)
    return private.text


async def offered(
    stage: Stage, member: StageVisitor, verb: str, row_id: str, n: int | None = None, *, values: tuple[str, ...] = ()
) -> SeenMessage:
    """A card of some earlier time: its one button, or its list of `values`, has that address."""
    custom_id = f"v1:{verb}:{row_id}" + ("" if n is None else f":{n}")
    view = discord.ui.View(timeout=None)
    view.stop()  # its button is found by its address
    if values:
        options = [discord.SelectOption(label=value) for value in values]
        view.add_item(discord.ui.Select(custom_id=custom_id, options=options))
    else:
        view.add_item(discord.ui.Button(label="old", custom_id=custom_id))
    channel = stage.bot.get_channel(stage.channel_id("general"))
    assert isinstance(channel, discord.TextChannel)
    sent = await channel.send("an old card", view=view)
    return await member.shown(str(sent.id))


async def press(
    stage: Stage, member: StageVisitor, verb: str, row_id: str, n: int | None = None, *, values: tuple[str, ...] = ()
) -> Answer:
    """Presses a button of an old card, or chooses the first of its list."""
    card = await offered(stage, member, verb, row_id, n, values=values)
    return await (member.pick(card, verb, values[:1]) if values else member.press(card, verb))


@contextlib.asynccontextmanager
async def unchanged(stage: Stage, *but: str) -> AsyncGenerator[None]:
    """No row of any table, no picture and nothing that a worker was asked is different afterwards, except in the tables
    `but`."""
    await stage.told()
    before = _state(stage, but)
    yield
    await stage.told()
    after = _state(stage, but)
    different = {name: (before.get(name), after[name]) for name in after if before.get(name) != after[name]}
    assert not different, different


def _state(stage: Stage, but: tuple[str, ...]) -> dict[str, Any]:
    with contextlib.closing(sqlite3.connect(stage.settings.database_path, timeout=10)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        state: dict[str, Any] = {
            table: sorted(map(repr, connection.execute(f'SELECT * FROM "{table}"')))
            for table in tables
            if table not in but
        }
    state["files"] = sorted(str(path) for path in (stage.settings.data / "outputs").rglob("*") if path.is_file())
    state["assigned"] = len(stage.painter.assigned)
    return state
