"""Publish, and the original: what somebody drew for their own eyes goes to its channel, and files go out as drawn."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Sequence
from dataclasses import replace

import discord

from bot.delivery.cards import filename
from bot.delivery.deliver import Deliverer
from bot.delivery.ladder import DEFAULT_LIMIT_BYTES, Rung, Upload, climb_down
from bot.delivery.ping import where_of_job
from bot.delivery.post import Card, TooLargeError
from bot.domain.ids import JobId, MessageId
from bot.domain.job import Image, Job, JobStatus
from bot.domain.model_rules import Where
from bot.domain.safety.rules import Shown
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.images import Images, MissingPictureError
from bot.storage.jobs import Jobs
from bot.storage.private_jobs import PrivateJobs
from bot.studio.intake import Intake
from bot.studio.safety.results import PictureJudge
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb

__all__ = ["PUBLISHING_VERBS", "Publishing"]

log = logging.getLogger(__name__)

PUBLISHING_VERBS = (Verb.PUBLISH, Verb.ORIGINAL)
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
        if address.verb == Verb.PUBLISH:
            await self._publish(interaction, job)
        else:
            await self._original(interaction, job)

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

    # --- original -----------------------------------------------------------------------------------------------------

    async def _original(self, interaction: Interaction, job: Job) -> None:
        """The stored files, one message each so that each has the whole limit to itself; where even that is too small,
        the same pixels as lossless WebP."""
        if job.private and job.user_id != interaction.user.id:
            raise UserFacingError("original_not_yours")
        await self._intake.require_shown(job.task, where_of(interaction))
        await interaction.response.defer(ephemeral=True, thinking=True)
        texts = texts_for(str(interaction.locale))
        images = [image for image in await self._images.of_job(job.id) if not image.deleted]
        if not images:
            raise UserFacingError("original_gone")
        limit = interaction.filesize_limit or DEFAULT_LIMIT_BYTES
        shown = await self._judge.shown(images, where_of(interaction))
        plain = [image for image in images if shown[image.id] in (Shown.PLAIN, Shown.SPOILER)]
        if not plain:
            raise UserFacingError("original_veiled")
        for image in plain:
            try:
                data = await self._images.read(image)
            except MissingPictureError as error:
                raise UserFacingError("original_gone") from error
            spoiler = shown[image.id] is Shown.SPOILER
            await self._hand_out(interaction, job, image, data, limit, texts, spoiler=spoiler)

    async def _hand_out(
        self, interaction: Interaction, job: Job, image: Image, data: bytes, limit: int, texts: Texts, *, spoiler: bool
    ) -> None:
        for rung, uploads in await asyncio.to_thread(_lossless, data, image.infotext, limit):
            (upload,) = uploads
            name = filename(job, image.index, upload.suffix)
            file = discord.File(io.BytesIO(upload.data), name, spoiler=spoiler)
            note = texts("private.original_here" if rung is Rung.PNG else "private.original_webp")
            try:
                await interaction.followup.send(note, file=file, ephemeral=True)
                return
            except discord.HTTPException as error:
                if error.status != 413 and error.code != _TOO_LARGE:
                    raise
        raise UserFacingError("original_too_large")


def _lossless(data: bytes, infotext: str, limit: int) -> Sequence[tuple[Rung, list[Upload]]]:
    """The forms that keep every pixel and fit, the original first. Blocks."""
    found: list[tuple[Rung, list[Upload]]] = []
    if len(data) <= limit:
        found.append((Rung.PNG, [Upload(data, ".png")]))
    smaller = climb_down([data], [infotext], min(limit, len(data) - 1))
    if smaller[0] is Rung.WEBP:
        found.append(smaller)
    return found
