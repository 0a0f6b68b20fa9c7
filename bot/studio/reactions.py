"""Reactions on a card do what its buttons do: 🔁 reroll, ⬆️ upscale, ❌ delete, ⭐ keep, ✉️ send me the original."""

from __future__ import annotations

import asyncio
import io
import logging

import discord

from bot.delivery.cards import filename
from bot.delivery.ladder import DEFAULT_LIMIT_BYTES, climb_down
from bot.domain.ids import ChannelId, GuildId, ImageId, JobId, MessageId, UserId
from bot.domain.job import Action, Image, Job
from bot.domain.mentions import neutral
from bot.domain.model_rules import Where
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.favourites import Favourites
from bot.storage.images import Images, MissingPictureError
from bot.storage.jobs import Jobs
from bot.storage.users import Users
from bot.studio.intake import Intake
from bot.studio.pressed import Pressed
from bot.studio.where import where_of_reaction
from bot.ui.door import appeal_below, sentence
from gpu_worker.protocol.specs import JobSpec

__all__ = ["Reactions"]

log = logging.getLogger(__name__)

REROLL, UPSCALE, DELETE, KEEP, ORIGINAL = "🔁", "⬆", "❌", "⭐", "✉"


class Reactions:
    def __init__(
        self,
        *,
        client: discord.Client,
        jobs: Jobs,
        images: Images,
        favourites: Favourites,
        users: Users,
        intake: Intake,
        pressed: Pressed,
    ) -> None:
        self._client = client
        self._jobs = jobs
        self._images = images
        self._favourites = favourites
        self._users = users
        self._intake = intake
        self._pressed = pressed

    async def added(self, event: discord.RawReactionActionEvent) -> None:
        """Whatever goes wrong is told to the one who reacted, by direct message: a reaction has no other answer."""
        emoji = event.emoji.name.replace("\ufe0f", "")
        if emoji not in (REROLL, UPSCALE, DELETE, KEEP, ORIGINAL):
            return
        if self._client.user is not None and event.user_id == self._client.user.id:
            return
        job = await self._jobs.by_message(event.message_id)
        if job is None:
            await self._intake.answers_over()
            job = await self._jobs.by_message(event.message_id)
        if job is None or (event.member is not None and event.member.bot):
            return
        texts = texts_for(await self._users.locale(UserId(event.user_id)) or job.locale)
        try:
            await self._act(emoji, event, job, texts)
        except discord.HTTPException as error:
            log.info("reaction %s on job %s: %s", emoji, job.id, error)
        except Exception as error:
            said = sentence(texts, error, f"reaction {emoji} on job {job.id}")
            await self._tell(event.user_id, said, appeal_below(error, texts))

    async def removed(self, event: discord.RawReactionActionEvent) -> None:
        if event.emoji.name.replace("\ufe0f", "") == KEEP:
            job = await self._jobs.by_message(event.message_id)
            if job is not None:
                images = await self._images.of_job(job.id)
                await self._favourites.remove(UserId(event.user_id), [image.id for image in images])

    async def _act(self, emoji: str, event: discord.RawReactionActionEvent, job: Job, texts: Texts) -> None:
        user_id = UserId(event.user_id)
        images = [image for image in await self._images.of_job(job.id) if not image.deleted]
        match emoji:
            case "🔁":
                spec = await self._pressed.rerolled(job)
                await self._begin(event, texts, spec, Action.REROLL, job.source_image_id, job.id)
            case "⬆" if images:
                # A card of several pictures: the first. The others have their own buttons.
                spec = await self._pressed.upscaled(job, images[0])
                await self._begin(event, texts, spec, Action.UPSCALE, images[0].id)
            case "❌":
                await self._pressed.delete(job, user_id, moderator=self._is_moderator(event))
                await self._message(event).delete()
            case "⭐" if images:
                await self._favourites.add(user_id, [image.id for image in images])
            case "✉" if images:
                await self._send_original(user_id, job, images, texts)
            case _:
                pass  # nothing is drawn yet

    async def _begin(
        self,
        event: discord.RawReactionActionEvent,
        texts: Texts,
        spec: JobSpec,
        action: Action,
        source: ImageId | None,
        parent_id: JobId | None = None,
    ) -> None:
        await self._intake.begin_by_reaction(
            user_id=UserId(event.user_id),
            channel_id=ChannelId(event.channel_id),
            guild_id=GuildId(event.guild_id) if event.guild_id is not None else None,
            where=where_of_reaction(event, self._client),
            message_id=MessageId(event.message_id),
            locale=texts.language,
            spec=spec,
            action=action,
            source_image_id=source,
            parent_id=parent_id,
        )

    async def _send_original(self, user_id: UserId, job: Job, images: list[Image], texts: Texts) -> None:
        if await self._intake.veiled([image.id for image in images], Where(user_id=user_id)):
            raise UserFacingError("picture_veiled")
        user = await self._client.fetch_user(user_id)
        for image in images:
            try:
                data = await self._images.read(image)
            except MissingPictureError as error:
                raise UserFacingError("original_gone") from error
            # One message a picture, so that each has the whole limit to itself.
            await self._send_file(user, job, image, data)

    async def _send_file(self, user: discord.User, job: Job, image: Image, data: bytes) -> None:
        limit = DEFAULT_LIMIT_BYTES
        while True:
            _, uploads = await asyncio.to_thread(climb_down, [data], [image.infotext], limit)
            if not uploads:
                raise UserFacingError("original_too_large")
            (upload,) = uploads
            name = filename(job, image.index, upload.suffix)
            try:
                await user.send(neutral(image.infotext, 1900), file=discord.File(io.BytesIO(upload.data), name))
                return
            except discord.HTTPException as error:
                if error.status != 413 and error.code != 40005:
                    raise
                # Discord's word counts, whatever the limit was said to be.
                limit = int(len(upload.data) * 0.8)

    async def _tell(self, user_id: int, text: str, below: discord.ui.View | None = None) -> None:
        try:
            user = await self._client.fetch_user(user_id)
            if below is None:
                await user.send(text)
            else:
                await user.send(text, view=below)
        except discord.HTTPException:
            log.info("user %s takes no direct messages", user_id)

    def _message(self, event: discord.RawReactionActionEvent) -> discord.PartialMessage:
        channel = self._client.get_partial_messageable(event.channel_id, guild_id=event.guild_id)
        return channel.get_partial_message(event.message_id)

    def _is_moderator(self, event: discord.RawReactionActionEvent) -> bool:
        channel = self._client.get_channel(event.channel_id)
        if event.member is None or not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
            return False
        return channel.permissions_for(event.member).manage_messages
