"""The original: a picture's file as it was drawn, for whoever may see the picture, however small the card's is."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import discord

from bot.delivery.cards import filename
from bot.delivery.ladder import DEFAULT_LIMIT_BYTES, REQUEST_LIMIT_BYTES, Rung, Upload, climb_down
from bot.delivery.strips import strips
from bot.domain.ids import JobId
from bot.domain.job import Image, Job
from bot.domain.safety.rules import Shown
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.images import Images, MissingPictureError
from bot.storage.jobs import Jobs
from bot.studio.intake import Intake
from bot.studio.safety.results import PictureJudge
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address

__all__ = ["Originals"]

_TOO_LARGE = 40005
_REQUEST_BYTES = REQUEST_LIMIT_BYTES - 64 * 1024


class Originals:
    def __init__(self, *, jobs: Jobs, images: Images, intake: Intake, judge: PictureJudge) -> None:
        self._jobs = jobs
        self._images = images
        self._intake = intake
        self._judge = judge

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `job_unknown`, `original_not_yours`, `original_gone`, `original_veiled`,
        `original_too_large`, and what the door says."""
        job = await self._jobs.get(JobId(address.id))
        if job is None:
            raise UserFacingError("job_unknown")
        await self._original(interaction, job)

    async def _original(self, interaction: Interaction, job: Job) -> None:
        """The stored files, one message each so that each has the whole limit to itself; where even that is too small,
        the same pixels as lossless WebP, or in strips."""
        if job.private and job.user_id != interaction.user.id:
            raise UserFacingError("original_not_yours")
        await self._intake.require_shown(job.task, where_of(interaction))
        await interaction.response.defer(ephemeral=True, thinking=True)
        texts = texts_for(str(interaction.locale))
        images = [image for image in await self._images.of_job(job.id) if not image.deleted]
        if not images:
            raise UserFacingError("original_gone")
        limit = _limit_bytes(interaction)
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
        for form in _FORMS:
            uploads = await asyncio.to_thread(form.made, data, image.infotext, limit)
            for start, part in _messages(uploads):
                note = texts(form.key, n=len(uploads)) if start == 0 else ""
                files = [
                    discord.File(io.BytesIO(upload.data), filename(job, image.index, upload.suffix), spoiler=spoiler)
                    for upload in part
                ]
                try:
                    await interaction.followup.send(note, files=files, ephemeral=True)
                except discord.HTTPException as error:
                    if error.status != 413 and error.code != _TOO_LARGE:
                        raise
                    # Discord's word counts, whatever the limit was said to be.
                    limit = int(max(len(upload.data) for upload in part) * 0.8)
                    break
            else:
                if uploads:
                    return
        raise UserFacingError("original_too_large")


def _limit_bytes(interaction: Interaction) -> int:
    return interaction.filesize_limit or DEFAULT_LIMIT_BYTES


@dataclass(frozen=True)
class _Form:
    """`made` gives every pixel within the limit of a file, or nothing; it blocks."""

    key: str
    made: Callable[[bytes, str, int], list[Upload]]


def _whole(data: bytes, infotext: str, limit: int) -> list[Upload]:
    return [Upload(data, ".png")] if len(data) <= limit else []


def _webp(data: bytes, infotext: str, limit: int) -> list[Upload]:
    rung, uploads = climb_down([data], [infotext], min(limit, len(data) - 1))
    return uploads if rung is Rung.WEBP else []


_FORMS = (
    _Form("private.original_here", _whole),
    _Form("private.original_webp", _webp),
    _Form("private.original_parts", strips),
)


def _messages(uploads: Sequence[Upload]) -> Iterator[tuple[int, Sequence[Upload]]]:
    """As many files a message as a request takes."""
    start = 0
    while start < len(uploads):
        end, total = start, 0
        while end < len(uploads) and (end == start or total + len(uploads[end].data) <= _REQUEST_BYTES):
            total += len(uploads[end].data)
            end += 1
        yield start, uploads[start:end]
        start = end
