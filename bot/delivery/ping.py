"""The ping when a picture is there, for whoever wants one: an edit pings nobody, so it is a message of its own."""

from __future__ import annotations

import logging

import aiohttp
import discord

from bot.delivery.post import Posted, Poster, Way
from bot.domain.job import Job
from bot.domain.model_rules import Where
from bot.domain.preferences import PING_WHEN_DONE
from bot.i18n import texts_for
from bot.storage.jobs import Jobs
from bot.storage.preferences import Preferences

__all__ = ["Pinger", "where_of_job"]

log = logging.getLogger(__name__)


def where_of_job(job: Job, client: discord.Client) -> Where:
    """Without roles, which nobody's preferences depend on."""
    channel = client.get_channel(job.channel_id)
    parent_id: int | None = getattr(channel, "parent_id", None) if isinstance(channel, discord.Thread) else None
    return Where(job.guild_id, job.channel_id, frozenset(), job.user_id, parent_id)


class Pinger:
    def __init__(self, *, client: discord.Client, jobs: Jobs, preferences: Preferences, poster: Poster) -> None:
        self._client = client
        self._jobs = jobs
        self._preferences = preferences
        self._poster = poster

    async def ping(self, job: Job, posted: Posted, *, failed: bool = False) -> None:
        """Once a job, and never anybody but its user. Never raises for trouble with Discord: the card is there."""
        if posted.way is Way.DIRECT:  # a new direct message rings by itself
            return
        if not self._preferences.get(where_of_job(job, self._client), PING_WHEN_DONE):
            return
        if not await self._jobs.start_pinging(job.id):
            return
        text = texts_for(job.locale)("ping.failed" if failed else "ping.done", user=f"<@{job.user_id}>")
        only_them = discord.AllowedMentions(
            everyone=False, roles=False, users=[discord.Object(job.user_id)], replied_user=False
        )
        try:
            if job.private or not await self._reply(job, posted, text, only_them):
                await self._follow_up(job, text, only_them)
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.info("job %s: its user could not be pinged (%s)", job.id, error)

    async def _reply(self, job: Job, posted: Posted, text: str, mentions: discord.AllowedMentions) -> bool:
        """False where the bot may not write there."""
        channel = self._client.get_partial_messageable(job.channel_id, guild_id=job.guild_id)
        reference = discord.MessageReference(
            message_id=posted.message_id, channel_id=job.channel_id, guild_id=job.guild_id, fail_if_not_exists=False
        )
        try:
            await channel.send(text, reference=reference, allowed_mentions=mentions, nonce=f"{job.id}p")
        except (discord.Forbidden, discord.NotFound):
            return False
        return True

    async def _follow_up(self, job: Job, text: str, mentions: discord.AllowedMentions) -> None:
        if job.grant is None or not self._poster.token_lives(job) or self._client.application_id is None:
            return
        webhook = discord.Webhook.partial(self._client.application_id, job.grant.token, client=self._client)
        webhook.type = discord.WebhookType.application  # which alone may send to one pair of eyes
        await webhook.send(text, ephemeral=job.private, allowed_mentions=mentions)
