"""Publish: what somebody drew for their own eyes goes to its channel."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import discord

from bot.delivery.deliver import Deliverer
from bot.delivery.ladder import DEFAULT_LIMIT_BYTES
from bot.delivery.ping import where_of_job
from bot.delivery.post import Card, TooLargeError
from bot.domain.ids import JobId, MessageId
from bot.domain.job import Job, JobStatus
from bot.domain.model_rules import Where
from bot.domain.safety.rules import Shown
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.private_jobs import PrivateJobs
from bot.studio.intake import Intake
from bot.studio.safety.results import PictureJudge
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address

__all__ = ["Publishing"]

log = logging.getLogger(__name__)

_TOO_LARGE = 40005


class Publishing:
    def __init__(
        self,
        *,
        client: discord.Client,
        jobs: Jobs,
        images: Images,
        deliverer: Deliverer,
        intake: Intake,
        judge: PictureJudge,
        private_jobs: PrivateJobs,
    ) -> None:
        self._private = private_jobs
        self._judge = judge
        self._client = client
        self._jobs = jobs
        self._images = images
        self._deliverer = deliverer
        self._intake = intake

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError."""
        job = await self._jobs.get(JobId(address.id))
        if job is None:
            raise UserFacingError("job_unknown")
        await self._publish(interaction, job)

    # --- publish ------------------------------------------------------------------------------------------------------

    async def _publish(self, interaction: Interaction, job: Job) -> None:
        """The channel's rules are asked again: they may be others than when it was drawn, and for everybody's eyes."""
        if job.user_id != interaction.user.id:
            raise UserFacingError("not_your_picture")
        if not job.private:
            raise UserFacingError("published_already")
        await interaction.response.defer()
        await self._deliverer.over(job.id)  # its card is seen a moment before it is written down
        found = await self._jobs.get(job.id)
        if found is None or found.status is not JobStatus.DELIVERED:
            raise UserFacingError("publish_not_ready")
        here = interaction.channel_id == job.channel_id
        where = where_of(interaction) if here else await self._where_there(interaction, job)
        await self._intake.require_shown(job.task, where)
        images = [image for image in await self._images.of_job(job.id) if not image.deleted]
        shown = await self._judge.shown(images, where)
        if all(shown[image.id] is Shown.BLOCK for image in images):
            raise UserFacingError("publish_withheld")
        if not await self._private.start_publishing(job.id):
            raise UserFacingError("published_already")
        try:
            message_id = await self._sent(interaction, job, here=here)
            await self._private.published(job.id, message_id)
        except BaseException:
            await asyncio.shield(self._private.stay_private(job.id))
            raise
        await self._say_so(interaction, job, message_id)

    async def _where_there(self, interaction: Interaction, job: Job) -> Where:
        """Pressed in a direct message: whoever publishes must be able to write there still."""
        channel = self._client.get_channel(job.channel_id)
        guild = getattr(channel, "guild", None)
        if not isinstance(channel, discord.abc.GuildChannel | discord.Thread) or not isinstance(guild, discord.Guild):
            raise UserFacingError("publish_not_there")
        try:
            member = guild.get_member(job.user_id) or await guild.fetch_member(job.user_id)
        except discord.HTTPException as error:
            raise UserFacingError("publish_not_there") from error
        allowed = channel.permissions_for(member)
        thread = isinstance(channel, discord.Thread)
        if not allowed.view_channel or not (allowed.send_messages_in_threads if thread else allowed.send_messages):
            raise UserFacingError("publish_not_there")
        return replace(where_of_job(job, self._client), role_ids=frozenset(role.id for role in member.roles))

    async def _sent(self, interaction: Interaction, job: Job, *, here: bool) -> MessageId:
        """As a message of the bot's, whose nonce keeps a repeated one from being a second; where it may not write, and
        this is the place, as a follow-up, which needs no permission of ours."""
        shown = replace(job, private=False)
        limit = min(self._deliverer.limit_bytes(shown), interaction.filesize_limit or DEFAULT_LIMIT_BYTES)
        channel = self._client.get_partial_messageable(job.channel_id, guild_id=job.guild_id)

        async def send(card: Card) -> MessageId:
            try:
                try:
                    sent = await channel.send(view=card.view, files=list(card.files()), nonce=job.id)
                except (discord.Forbidden, discord.NotFound):
                    if not here:
                        raise
                    sent = await interaction.followup.send(
                        view=card.view, files=list(card.files()), ephemeral=False, wait=True
                    )
            except (discord.Forbidden, discord.NotFound) as error:
                raise UserFacingError("publish_forbidden") from error
            except discord.HTTPException as error:
                if error.status == 413 or error.code == _TOO_LARGE:
                    raise TooLargeError from error
                raise
            return MessageId(sent.id)

        return await self._deliverer.show(shown, limit, send)

    async def _say_so(self, interaction: Interaction, job: Job, message_id: MessageId) -> None:
        """On the card that was private: with no buttons, since everything goes on at the published one."""
        place = job.guild_id if job.guild_id is not None else "@me"
        link = f"https://discord.com/channels/{place}/{job.channel_id}/{message_id}"
        view = discord.ui.LayoutView(timeout=None)
        view.stop()
        view.add_item(discord.ui.TextDisplay(texts_for(str(interaction.locale))("private.published", link=link)))
        pressed = interaction.message.id if interaction.message is not None else None
        try:
            await interaction.edit_original_response(view=view, attachments=[])
            if pressed != job.message_id and job.message_id is not None and job.grant is not None:
                # Pressed behind "More": the card itself, as long as its own token reaches it.
                card = discord.Webhook.partial(interaction.application_id, job.grant.token, client=self._client)
                await card.edit_message(job.message_id, view=view, attachments=[])
        except discord.HTTPException as error:
            log.info("job %s: its private card could not be changed (%s)", job.id, error)
