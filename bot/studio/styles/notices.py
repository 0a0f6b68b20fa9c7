"""Telling a member what became of their proposal: a direct message, where they take any."""

from __future__ import annotations

import logging

import aiohttp
import discord

from bot.domain.ids import UserId
from bot.domain.mentions import neutral
from bot.i18n import texts_for
from bot.storage.style_proposals import Proposal
from bot.storage.users import Users

__all__ = ["StyleNotices"]

log = logging.getLogger(__name__)


class StyleNotices:
    def __init__(self, client: discord.Client, users: Users) -> None:
        self._client = client
        self._users = users

    async def decided(self, proposal: Proposal, server: str) -> None:
        """`server` is its name. Whoever cannot be told still finds it in /style list."""
        texts = texts_for(await self._users.locale(UserId(proposal.user_id)))
        key = f"style.told_{proposal.state}"
        text = texts(key, name=neutral(proposal.style.name), server=neutral(server, 100))
        try:
            user = await self._client.fetch_user(proposal.user_id)
            await user.send(text)
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.info("user %s could not be told of their proposal: %s", proposal.user_id, error)
