"""The button below a refusal, and the two that moderators answer it with."""

from __future__ import annotations

import logging

import aiohttp
import discord

from bot.domain.mentions import neutral
from bot.domain.model_rules import EVERYWHERE
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.appeals import Appeal, Appeals
from bot.storage.bans import Bans
from bot.storage.safety_events import SafetyEvent
from bot.studio.safety.audit import SafetyLog
from bot.studio.safety.who import is_safety_moderator
from bot.ui.buttons import button, in_layout
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import say

__all__ = ["APPEAL_VERBS", "AppealDesk"]

log = logging.getLogger(__name__)

APPEAL_VERBS = (Verb.APPEAL, Verb.APPEAL_DECIDE)
TEXT_CHARS = 1500
APPROVE, DENY = 1, 2


class AppealDesk:
    def __init__(self, client: discord.Client, appeals: Appeals, bans: Bans, audit: SafetyLog) -> None:
        self._client = client
        self._appeals = appeals
        self._bans = bans
        self._audit = audit

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `appeal_unknown`, `appeal_asked`, `appeal_unreachable`, `appeal_decided`,
        `moderators_only`, `button_unknown`."""
        appeal = await self._appeals.get(address.id)
        if appeal is None:
            raise UserFacingError("appeal_unknown")
        if address.verb == Verb.APPEAL:
            await self._ask(interaction, appeal)
        elif address.n in (APPROVE, DENY):
            await self._decide(interaction, appeal, approved=address.n == APPROVE)
        else:
            raise UserFacingError("button_unknown")

    async def _ask(self, interaction: Interaction, appeal: Appeal) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        if not await self._appeals.ask(appeal.id, interaction.user.id):
            raise UserFacingError("appeal_asked")
        channel = await self._audit.channel(appeal.guild_id)
        try:
            if channel is None:
                raise UserFacingError("appeal_unreachable")
            texts = self._audit.texts(appeal.guild_id)
            # The nonce makes a repeated send the same message, should its receipt be lost.
            await channel.send(
                view=appeal_card(appeal, texts, open_=True),
                nonce=appeal.id,
                allowed_mentions=discord.AllowedMentions.none(),
            )
        except (UserFacingError, discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.warning("appeal %s could not be brought to its moderators: %s", appeal.id, error)
            await self._appeals.unask(appeal.id)
            raise UserFacingError("appeal_unreachable") from error
        await say(interaction, texts_for(str(interaction.locale))("appeal.sent"))

    async def _decide(self, interaction: Interaction, appeal: Appeal, *, approved: bool) -> None:
        if interaction.guild_id != appeal.guild_id or not is_safety_moderator(interaction):
            raise UserFacingError("moderators_only")
        if not await self._appeals.decide(appeal.id, interaction.user.id, approved=approved):
            raise UserFacingError("appeal_decided")
        if approved and appeal.about == "ban":
            await self._bans.unban(appeal.guild_id, appeal.user_id)
        kind = "appeal_approved" if approved else "appeal_denied"
        await self._audit.record(SafetyEvent(kind, appeal.guild_id, appeal.user_id, interaction.user.id, {}, appeal.id))
        decided = await self._appeals.get(appeal.id) or appeal
        card = appeal_card(decided, self._audit.texts(appeal.guild_id), open_=False)
        await interaction.response.edit_message(view=card, allowed_mentions=discord.AllowedMentions.none())
        await self._tell(decided, approved=approved)

    async def _tell(self, appeal: Appeal, *, approved: bool) -> None:
        """By direct message: there is no interaction of theirs any more. Who takes none finds out by trying again."""
        texts = texts_for(appeal.locale)
        key = f"appeal.{'approved' if approved else 'denied'}_{appeal.about}"
        try:
            user = await self._client.fetch_user(appeal.user_id)
            await user.send(texts(key, text=neutral(_subject(appeal), 300)))
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.info("user %s could not be told of appeal %s: %s", appeal.user_id, appeal.id, error)


def appeal_card(appeal: Appeal, texts: Texts, *, open_: bool) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    view.stop()
    colour = 0x5865F2 if open_ else 0x23A55A if appeal.approved else 0xDA373C
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=colour)
    channel = f"<#{appeal.channel_id}>" if appeal.channel_id and appeal.guild_id != EVERYWHERE else "–"
    head = texts(f"appeal.card_{appeal.about}", user=f"<@{appeal.user_id}>", channel=channel)
    # A spoiler: whoever reads the channel need not read what was refused.
    box.add_item(discord.ui.TextDisplay(f"{head}\n||{neutral(_subject(appeal), TEXT_CHARS)}||"))
    if open_:
        box.add_item(discord.ui.TextDisplay("-# " + texts(f"appeal.meaning_{appeal.about}")))
        approve = button(
            Verb.APPEAL_DECIDE, appeal.id, texts("appeal.approve"), n=APPROVE, style=discord.ButtonStyle.success
        )
        deny = button(Verb.APPEAL_DECIDE, appeal.id, texts("appeal.deny"), n=DENY, style=discord.ButtonStyle.danger)
        row: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(in_layout(approve), in_layout(deny))
        box.add_item(row)
    else:
        key = "appeal.was_approved" if appeal.approved else "appeal.was_denied"
        box.add_item(discord.ui.TextDisplay(texts(key, by=f"<@{appeal.decided_by}>")))
    view.add_item(box)
    return view


def _subject(appeal: Appeal) -> str:
    return appeal.text.partition(": ")[2] if appeal.about == "ban" else appeal.text
