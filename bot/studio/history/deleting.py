"""Deleting pictures from the history: asked first, hidden at once, back for a while, then gone with all they left."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import aiohttp
import discord

from bot.delivery.deliver import Deliverer
from bot.delivery.post import Card, TooLargeError
from bot.domain.ids import JobId, UserId
from bot.domain.job import Job, JobStatus
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.deletions import UNDO_S, Deletion, Deletions
from bot.storage.favourites import Favourites
from bot.storage.history import Shot
from bot.storage.images import Images
from bot.storage.inputs import InputPictures, given_pictures
from bot.storage.jobs import Jobs
from bot.studio.history.cards import asked_card, back_card, gone_card
from bot.ui.client import Interaction

__all__ = ["Deleting", "delete_message"]

log = logging.getLogger(__name__)


class Deleting:
    def __init__(
        self,
        *,
        client: discord.Client,
        deletions: Deletions,
        jobs: Jobs,
        images: Images,
        inputs: InputPictures,
        favourites: Favourites,
        deliverer: Deliverer,
    ) -> None:
        self._client = client
        self._deletions = deletions
        self._jobs = jobs
        self._images = images
        self._inputs = inputs
        self._favourites = favourites
        self._deliverer = deliverer

    async def ask(self, interaction: Interaction, desk_id: str, shots: Sequence[Shot], *, one: bool) -> None:
        kept = await self._favourites.kept([shot.id for shot in shots])
        texts = texts_for(str(interaction.locale))
        card = asked_card(desk_id, len(shots), len(kept), round(UNDO_S / 60), texts, one=one)
        await interaction.response.edit_message(view=card, attachments=[])

    async def delete(self, interaction: Interaction, shots: Sequence[Shot]) -> discord.ui.LayoutView:
        """Whether they may is the caller's to know. Returns the card that can take it back."""
        deletion = await self._deletions.begin(UserId(interaction.user.id), [shot.id for shot in shots])
        texts = texts_for(str(interaction.locale))
        return gone_card(deletion.id, len(deletion.images), deletion.due_at, texts)

    async def undo(self, interaction: Interaction, deletion_id: str) -> None:
        """Raises UserFacingError (`deletion_over`)."""
        back = await self._deletions.undo(deletion_id, UserId(interaction.user.id))
        if not back:
            raise UserFacingError("deletion_over")
        texts = texts_for(str(interaction.locale))
        await interaction.response.edit_message(view=back_card(len(back), texts))

    async def finish_due(self) -> int:
        """Deletes for good what is due; returns how many pictures. A crash in between leaves it due."""
        count = 0
        for deletion in await self._deletions.due():
            try:
                count += await self._finish(deletion)
            except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
                log.warning("a deletion is finished later: %s", error)
        return count

    async def _finish(self, deletion: Deletion) -> int:
        images = [image for one in deletion.images if (image := await self._images.get(one)) is not None]
        await self._images.delete(images)
        jobs = await self._deletions.jobs_of(deletion.images) if deletion.images else []
        for job_id, everything in jobs:
            if everything:
                await self._retire(job_id)
            else:
                await self._redraw_card(job_id)
        await self._deletions.finished(deletion.id)
        return len(images)

    async def _redraw_card(self, job_id: JobId) -> None:
        """Its card shows what is left of it."""
        job = await self._jobs.get(job_id)
        if job is None or job.message_id is None or job.private or job.status is not JobStatus.DELIVERED:
            return
        channel = self._client.get_partial_messageable(job.channel_id, guild_id=job.guild_id)
        message = channel.get_partial_message(job.message_id)

        async def edit(card: Card) -> None:
            try:
                await message.edit(view=card.view, attachments=list(card.files()))
            except discord.HTTPException as error:
                if error.status == 413 or error.code == 40005:
                    raise TooLargeError from error
                if error.status >= 500:
                    raise
                log.info("the card of job %s still shows a deleted picture: %s", job_id, error)

        await self._deliverer.show(job, self._deliverer.limit_bytes(job), edit)

    async def _retire(self, job_id: JobId) -> None:
        """Nothing is left of what it drew: its card goes, and the pictures that it started from."""
        await self._jobs.set_deleted(job_id)
        job = await self._jobs.get(job_id)
        if job is None:
            return
        await self._inputs.discard_unused(given_pictures(job.task))
        await delete_message(self._client, job)


async def delete_message(client: discord.Client, job: Job) -> bool:
    """Deletes the card of a job, as far as Discord lets us; whether it is gone now. Raises discord.HTTPException (5xx)
    and what the network raises, for trouble that may pass."""
    if job.message_id is None:
        return True
    if job.private:
        return False  # only its user's client has it, and it goes with that
    channel = client.get_partial_messageable(job.channel_id, guild_id=job.guild_id)
    try:
        await channel.get_partial_message(job.message_id).delete()
    except discord.NotFound:
        return True
    except discord.HTTPException as error:
        if error.status >= 500:
            raise
        log.info("the message of job %s could not be deleted: %s", job.id, error)
        return False
    return True
