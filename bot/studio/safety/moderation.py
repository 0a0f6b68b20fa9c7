"""What stands behind /moderation: bans, a server's words, and the record."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable

import discord

from bot.domain.content import judge
from bot.domain.mentions import neutral, spoken
from bot.domain.model_rules import EVERYWHERE
from bot.domain.safety.rules import ServerRules
from bot.domain.safety.words import MAX_ENTRIES, first_hit, normal_entry
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.bans import Ban, Bans
from bot.storage.safety_events import SafetyEvent, SafetyEvents
from bot.storage.server_rules import ServerRuleBook
from bot.studio.safety.amounts import when
from bot.studio.safety.audit import SafetyLog, event_line
from bot.studio.safety.who import is_safety_moderator
from bot.studio.stewards import Stewards
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import say

__all__ = ["MODERATION_VERBS", "Moderation", "read_duration"]

MODERATION_VERBS = (Verb.BAN_LIST, Verb.SAFETY_LOG)
PAGE = 10
WORDS_SHOWN_CHARS = 1800
_DURATION = re.compile(r"(\d{1,4}) ?(m|min|h|d|w|mo)", re.IGNORECASE)
_SECONDS = {"m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800, "mo": 2_592_000}


def read_duration(text: str) -> float:
    """Seconds of `30m`, `12h`, `7d`, `2w`, `1mo`. Raises UserFacingError (`duration_unreadable`)."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        raise UserFacingError("duration_unreadable", text=spoken(text))
    return int(found[1]) * float(_SECONDS[found[2].lower()])


class Moderation:
    def __init__(
        self,
        *,
        bans: Bans,
        rules: ServerRuleBook,
        events: SafetyEvents,
        audit: SafetyLog,
        stewards: Stewards,
        stop_jobs: Callable[[int, int, int], Awaitable[int]],
    ) -> None:
        """`stop_jobs` cancels what somebody has waiting in a place, for a moderator; returns how many."""
        self._stop_jobs = stop_jobs
        self._bans = bans
        self._rules = rules
        self._events = events
        self._audit = audit
        self._stewards = stewards

    # --- bans ---------------------------------------------------------------------------------------------------------

    async def ban(
        self, interaction: Interaction, user: discord.abc.User, reason: str, duration: str | None, *, everywhere: bool
    ) -> None:
        """Raises UserFacingError: `moderators_only`, `operators_only`, `ban_self`, `ban_higher`,
        `duration_unreadable`."""
        place = self._place(interaction, everywhere=everywhere)
        if user.id == interaction.user.id or user.bot:
            raise UserFacingError("ban_self")
        self._require_below(interaction, user)
        until = time.time() + read_duration(duration) if duration else None
        await self._bans.ban(Ban(place, user.id, reason, interaction.user.id, time.time(), until))
        stopped = await self._stop_jobs(user.id, place, interaction.user.id)
        detail = {"reason": reason}
        await self._audit.record(SafetyEvent("ban", place, user.id, interaction.user.id, detail))
        texts = texts_for(str(interaction.locale))
        values = {"user": f"<@{user.id}>", "reason": neutral(reason, 300)}
        if until is None:
            lines = [texts("moderation.banned", **values)]
        else:
            lines = [texts("moderation.banned_until", when=when(until), **values)]
        if stopped:
            lines.append(texts("moderation.stopped", n=stopped))
        await say(interaction, "\n".join(lines))

    async def unban(self, interaction: Interaction, user: discord.abc.User, *, everywhere: bool) -> None:
        """Raises UserFacingError: `moderators_only`, `operators_only`, `ban_none`."""
        place = self._place(interaction, everywhere=everywhere)
        if not await self._bans.unban(place, user.id):
            raise UserFacingError("ban_none")
        await self._audit.record(SafetyEvent("unban", place, user.id, interaction.user.id))
        await say(interaction, texts_for(str(interaction.locale))("moderation.unbanned", user=f"<@{user.id}>"))

    async def bans(self, interaction: Interaction) -> None:
        place = self._place(interaction, everywhere=False)
        await self._send(interaction, await self._ban_page(place, 0, texts_for(str(interaction.locale))))

    # --- words --------------------------------------------------------------------------------------------------------

    async def add_words(self, interaction: Interaction, typed: str) -> None:
        """Several at once, separated by commas. Raises UserFacingError: `word_empty`, `words_full`."""
        place = self._place(interaction, everywhere=False)
        entries = [entry for part in typed.split(",") if (entry := normal_entry(part))]
        if not entries:
            raise UserFacingError("word_empty")

        def change(rules: ServerRules) -> ServerRules:
            words = tuple(sorted({*rules.words, *entries}))
            if len(words) > MAX_ENTRIES:
                raise UserFacingError("words_full", limit=MAX_ENTRIES)
            return rules.model_copy(update={"words": words})

        await self._rules.change(place, change)
        await self._changed(interaction, place, "words_added", entries)

    async def remove_words(self, interaction: Interaction, typed: str) -> None:
        """Raises UserFacingError: `word_unknown`."""
        place = self._place(interaction, everywhere=False)
        entries = [entry for part in typed.split(",") if (entry := normal_entry(part))]
        gone = [entry for entry in entries if entry in self._rules.of(place).words]
        if not gone:
            raise UserFacingError("word_unknown", word=spoken(typed))
        await self._rules.change(
            place, lambda rules: rules.model_copy(update={"words": tuple(w for w in rules.words if w not in gone)})
        )
        await self._changed(interaction, place, "words_removed", gone)

    async def words(self, interaction: Interaction) -> None:
        place = self._place(interaction, everywhere=False)
        texts, words = texts_for(str(interaction.locale)), self._rules.of(place).words
        if not words:
            await say(interaction, texts("moderation.words_none"))
            return
        shown = neutral(", ".join(words), WORDS_SHOWN_CHARS)
        await say(interaction, texts("moderation.words_list", n=len(words), words=f"||{shown}||"))

    async def test_text(self, interaction: Interaction, text: str) -> None:
        """What the rules would say of a text, and for moderators which of the server's own entries it was."""
        place = self._place(interaction, everywhere=False)
        texts = texts_for(str(interaction.locale))
        category = (await asyncio.to_thread(judge, text)).category
        entries = (*self._rules.of(EVERYWHERE).words, *self._rules.of(place).words)
        hit = await asyncio.to_thread(first_hit, entries, text)
        lines = [texts(f"moderation.test_{category}" if category else "moderation.test_fine")]
        lines.append(
            texts("moderation.test_word", word=f"||{neutral(hit, 100)}||") if hit else texts("moderation.test_no_word")
        )
        await say(interaction, "\n".join(lines))

    def known_words(self, guild_id: int | None) -> list[str]:
        return list(self._rules.of(guild_id).words)

    # --- the record ---------------------------------------------------------------------------------------------------

    async def log(self, interaction: Interaction) -> None:
        place = self._place(interaction, everywhere=False)
        await self._send(interaction, await self._log_page(place, 0, texts_for(str(interaction.locale))))

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Pages. Raises UserFacingError: `moderators_only`, `operators_only`."""
        place, texts = self._place(interaction, everywhere=False), texts_for(str(interaction.locale))
        page = self._ban_page if address.verb == Verb.BAN_LIST else self._log_page
        await interaction.response.edit_message(view=await page(place, address.n or 0, texts))

    async def _log_page(self, place: int, number: int, texts: Texts) -> discord.ui.LayoutView:
        events, total = await self._events.page(place, number, PAGE)
        lines = [event_line(event, texts) for event in events] or [texts("moderation.log_empty")]
        return _paged(texts("moderation.log_title"), lines, Verb.SAFETY_LOG, number, total, texts)

    async def _ban_page(self, place: int, number: int, texts: Texts) -> discord.ui.LayoutView:
        bans, total = await self._bans.page(place, number, PAGE)
        lines: list[str] = []
        for ban in bans:
            ends = texts("moderation.ends", when=when(ban.until)) if ban.until else texts("moderation.for_good")
            by = f"<@{ban.banned_by}>" if ban.banned_by else texts("audit.nobody")
            lines.append(
                texts(
                    "moderation.ban_line", user=f"<@{ban.user_id}>", reason=neutral(ban.reason, 150), ends=ends, by=by
                )
            )
        title = texts("moderation.bans_title", n=total)
        return _paged(title, lines or [texts("moderation.bans_none")], Verb.BAN_LIST, number, total, texts)

    # --- who, and telling ---------------------------------------------------------------------------------------------

    def _place(self, interaction: Interaction, *, everywhere: bool) -> int:
        """The server, or everywhere for the operator. Raises UserFacingError: `moderators_only`, `operators_only`,
        `operator_alone`."""
        if everywhere or interaction.guild_id is None:
            if not self._stewards.is_operator(interaction):
                raise UserFacingError("operators_only" if interaction.guild_id is None else "operator_alone")
            return EVERYWHERE
        if not is_safety_moderator(interaction) and self._stewards.manages(interaction) is None:
            raise UserFacingError("moderators_only")
        return interaction.guild_id

    def _require_below(self, interaction: Interaction, user: discord.abc.User) -> None:
        """As in Discord itself, nobody acts on somebody of their own rank or a higher one."""
        by = interaction.user
        if self._stewards.is_operator(interaction) or not isinstance(user, discord.Member):
            return
        guild = user.guild
        if user.id == guild.owner_id:
            raise UserFacingError("ban_higher")
        if isinstance(by, discord.Member) and by.id != guild.owner_id and user.top_role >= by.top_role:
            raise UserFacingError("ban_higher")

    async def _changed(self, interaction: Interaction, place: int, kind: str, entries: list[str]) -> None:
        count = len(entries)
        detail = {"count": str(count)}
        await self._audit.record(SafetyEvent(kind, place, interaction.user.id, interaction.user.id, detail))
        texts = texts_for(str(interaction.locale))
        shown = ", ".join(neutral(entry, 60) for entry in entries[:20])
        await say(interaction, texts(f"moderation.{kind}", n=count, words=f"||{shown}||"))

    @staticmethod
    async def _send(interaction: Interaction, view: discord.ui.LayoutView) -> None:
        await interaction.response.send_message(
            view=view, ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
        )


def _paged(title: str, lines: list[str], verb: str, number: int, total: int, texts: Texts) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=0x5865F2)
    box.add_item(discord.ui.TextDisplay("\n".join([title, *lines])[:3900]))
    buttons: list[AddressButton] = []
    if number > 0:
        buttons.append(button(verb, "0", texts("moderation.newer"), n=number - 1))
    if (number + 1) * PAGE < total:
        buttons.append(button(verb, "0", texts("moderation.older"), n=number + 1))
    if buttons:
        row: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(*map(in_layout, buttons))
        box.add_item(row)
    view.add_item(box)
    return view
