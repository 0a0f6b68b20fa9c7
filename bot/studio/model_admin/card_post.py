"""The ways of a download's card: edits while it is under way, and a message at its end."""

from __future__ import annotations

import logging
import time

import aiohttp
import discord

from bot.storage.download_cards import DownloadCard

__all__ = ["CardPost"]

log = logging.getLogger(__name__)

TOKEN_MARGIN_S = 20.0


class CardPost:
    def __init__(self, client: discord.Client) -> None:
        self._client = client

    async def edit(self, card: DownloadCard, view: discord.ui.LayoutView) -> None:
        """By token or by the bot's own; an edit that fails is no loss, for the end is told anew."""
        if card.message_id is None:
            return
        grant = card.grant
        try:
            if grant is not None and grant.expires_at - TOKEN_MARGIN_S > time.time():
                assert self._client.application_id is not None
                webhook = discord.Webhook.partial(self._client.application_id, grant.token, client=self._client)
                await webhook.edit_message(card.message_id, view=view)
            else:
                await self._channel(card).get_partial_message(card.message_id).edit(view=view)
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.info("card %s: an edit failed (%s)", card.id, error)

    async def send(self, card: DownloadCard, view: discord.ui.LayoutView) -> None:
        """Into its channel, else to its asker. Raises discord.HTTPException where it may work later."""
        nonce = f"{card.id}end"
        try:
            await self._channel(card).send(view=view, nonce=nonce)
        except discord.HTTPException as error:
            if not _final(error):
                raise
            log.info("card %s: its channel does not take it (%s)", card.id, error)
            try:
                user = await self._client.fetch_user(card.user_id)
                await user.send(view=view, nonce=nonce)
            except discord.HTTPException as again:
                if not _final(again):
                    raise
                log.warning("card %s: nobody could be told of its end (%s)", card.id, again)

    def _channel(self, card: DownloadCard) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(card.channel_id, guild_id=card.guild_id or None)


def _final(error: discord.HTTPException) -> bool:
    """The same again would get the same answer: closed, locked, gone, refused."""
    return 400 <= error.status < 500 and error.status != 429
