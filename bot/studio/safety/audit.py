"""The record of moderation, and its copy in the server's audit channel. The record is written first; the copy follows,
later where the channel cannot be reached, and never holds up whoever is waiting for an answer."""

from __future__ import annotations

import asyncio
import logging
import time

import aiohttp
import discord

from bot.domain.mentions import neutral
from bot.i18n import Texts, texts_for
from bot.storage.safety_events import SafetyEvent, SafetyEvents
from bot.storage.server_rules import ServerRuleBook

__all__ = ["SafetyLog", "event_line"]

log = logging.getLogger(__name__)

AGAIN_S = 60.0
QUIET_S = 60.0
"""The same of the same person is written to the channel once in so long; the record has every one."""
QUIET_KEPT = 500


class SafetyLog:
    def __init__(self, client: discord.Client, events: SafetyEvents, rules: ServerRuleBook) -> None:
        self._client = client
        self._events = events
        self._rules = rules
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._said: dict[tuple[int, int, str], float] = {}

    def start(self) -> None:
        self._task = asyncio.create_task(self._post_forever(), name="audit-channel")
        self._wake.set()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def reaches(self, guild_id: int) -> bool:
        """Whether there is a channel in which moderators of that server would read something."""
        return self._rules.of(guild_id).audit_channel is not None

    async def record(self, event: SafetyEvent) -> None:
        """Never raises for a full disk or the like: a refusal is told whatever becomes of its record."""
        try:
            await self._events.add(event)
        except Exception:
            log.exception("what moderation did (%s in %s) could not be recorded", event.kind, event.guild_id)
        self._wake.set()

    async def channel(self, guild_id: int) -> discord.PartialMessageable | None:
        channel_id = self._rules.of(guild_id).audit_channel
        if channel_id is None:
            return None
        return self._client.get_partial_messageable(channel_id, guild_id=guild_id or None)

    def texts(self, guild_id: int) -> Texts:
        """In the language that the server is set to."""
        guild = self._client.get_guild(guild_id)
        return texts_for(str(guild.preferred_locale) if guild is not None else "en-US")

    async def _post_forever(self) -> None:
        await self._client.wait_until_ready()
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                done = await self._post_all()
            except Exception:
                log.exception("the audit channels stumbled; they go on")
                done = False
            if not done:
                asyncio.get_running_loop().call_later(AGAIN_S, self._wake.set)

    async def _post_all(self) -> bool:
        """Whether everything is posted that can be."""
        while events := await self._events.unposted():
            for event in events:
                try:
                    await self._post(event)
                except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
                    if not _will_not_be(error):
                        log.info("the audit channel of server %s: %s; it is tried again", event.guild_id, error)
                        return False
                    log.warning("the audit channel of server %s does not take this: %s", event.guild_id, error)
                await self._events.posted(event.id)
        return True

    async def _post(self, event: SafetyEvent) -> None:
        channel = await self.channel(event.guild_id)
        key = (event.guild_id, event.user_id, event.kind)
        if channel is None or self._too_often(key):
            return
        await channel.send(
            event_line(event, self.texts(event.guild_id)),
            nonce=f"audit{event.id}",
            allowed_mentions=discord.AllowedMentions.none(),
        )
        self._note(key)

    def _too_often(self, key: tuple[int, int, str]) -> bool:
        often = key[2].startswith(("refused", "withheld"))
        return often and time.monotonic() - self._said.get(key, -QUIET_S) < QUIET_S

    def _note(self, key: tuple[int, int, str]) -> None:
        now = time.monotonic()
        if len(self._said) > QUIET_KEPT:
            self._said = {old: at for old, at in self._said.items() if now - at < QUIET_S}
        self._said[key] = now


def _will_not_be(error: Exception) -> bool:
    """Whether trying again is no use, and would keep from others what comes after: a channel that is gone or closed, or
    a line that Discord does not take."""
    return isinstance(error, discord.HTTPException) and error.status in (400, 403, 404)


def event_line(event: SafetyEvent, texts: Texts) -> str:
    """One line about one event. Values are shown inert; a person is a mention, which pings nobody here."""
    values = {key: neutral(value, 300) for key, value in event.detail.items()}
    values |= {"user": _person(event.user_id, texts), "by": _person(event.done_by, texts)}
    key = f"audit.{event.kind}"
    try:
        said = texts(key, **values)
    except KeyError:  # of another version, or emptied because its person asked to be forgotten
        said = texts("audit.other", kind=event.kind, user=values["user"])
    return f"{said} · <t:{int(event.at)}:R>"


def _person(user_id: int | None, texts: Texts) -> str:
    return f"<@{user_id}>" if user_id else texts("audit.nobody")
