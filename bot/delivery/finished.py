"""The card of a finished job, as large as its way to the user takes it."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import discord

from bot.delivery.cards import Picture, filename, result_card
from bot.delivery.changed import joined_changes
from bot.delivery.extras import extra_buttons, with_row
from bot.delivery.grid_card import GridPart, finished_grid_card
from bot.delivery.ladder import Rung, Upload, climb_down
from bot.delivery.looked import enlarged_card
from bot.delivery.mapped import mapped_card
from bot.delivery.post import Card, TooLargeError
from bot.delivery.tiled import tiled_card, tiles_line
from bot.delivery.veils import Veiled, Veils, veiled
from bot.domain.actions import first_pass
from bot.domain.changes import changes
from bot.domain.job import Action, Image, Job
from bot.domain.mentions import spoken
from bot.i18n import Texts, texts_for
from bot.storage.images import Images, MissingPictureError
from bot.storage.jobs import Jobs
from bot.storage.origins import as_drawn, parent_of
from bot.storage.scripts import Scripts
from gpu_worker.protocol.specs import Img2Img, Preprocess, Txt2Img, Ultimate, Upscale

__all__ = ["FinishedCards"]

log = logging.getLogger(__name__)

T = TypeVar("T")

CHANGES_CHARS = 400
_PICTURES_OF_ONE = frozenset({Action.REROLL, Action.VARY_SUBTLE, Action.VARY_STRONG})
_TOLD_BY_ACTION = frozenset({"Seed", "Variation", "Count"})


@dataclass(frozen=True, slots=True)
class _Prepared:
    rung: Rung
    uploads: list[Upload]


class FinishedCards:
    def __init__(self, jobs: Jobs, images: Images, veils: Veils | None, scripts: Scripts | None = None) -> None:
        self._scripts = scripts
        self._jobs = jobs
        self._images = images
        self._veils = veils

    async def fitting(self, job: Job, limit: int, post: Callable[[Card], Awaitable[T]]) -> T:
        """The card by `post`: made smaller as long as that raises TooLargeError. Raises what else it raises."""
        seen = await veiled(self._veils, job, *await self._originals(job))
        deleted = sum(image.deleted for image in await self._images.of_job(job.id))
        seen = replace(seen, withheld=max(0, seen.withheld - deleted))  # by people, and not by rules
        while True:
            prepared = await self._prepare(seen.data, seen.images, limit)
            try:
                return await post(await self._result(job, seen, prepared))
            except TooLargeError:
                # Discord's word counts, whatever the limit was said to be.
                largest = max((len(u.data) for u in prepared.uploads), default=0)
                limit = min(limit, int(largest * 0.8))

    async def _originals(self, job: Job) -> tuple[list[Image], list[bytes]]:
        images: list[Image] = []
        originals: list[bytes] = []
        for image in await self._images.of_job(job.id):
            if image.deleted:
                continue
            try:
                originals.append(await self._images.read(image))
                images.append(image)
            except MissingPictureError:
                log.exception("picture %s vanished before it was delivered", image.id)
        return images, originals

    async def _prepare(self, originals: list[bytes], images: list[Image], limit: int) -> _Prepared:
        infotexts = [image.infotext for image in images]
        rung, uploads = await asyncio.to_thread(climb_down, originals, infotexts, limit)
        return _Prepared(rung, uploads)

    async def _result(self, job: Job, seen: Veiled, prepared: _Prepared) -> Card:
        texts, images = texts_for(job.locale), seen.images
        shrunk = {
            Rung.WEBP: texts("card.shrunk_webp"),
            Rung.JPEG: texts("card.shrunk_jpeg"),
            Rung.NOTHING: texts("card.too_large"),
        }
        notes = [*([shrunk[prepared.rung]] if prepared.rung in shrunk else []), *seen.note(texts)]
        below = extra_buttons(job, prepared.rung, texts)
        if changed := await self._changed(job, texts):
            notes.insert(0, texts("change.line", changes=changed))
        parent = await parent_of(self._jobs, self._images, job)
        drawn = await as_drawn(self._jobs, self._images, job)
        if drawn is not job and isinstance(job.task, Upscale):
            notes.insert(0, texts("looked.by", upscaler=spoken(job.task.upscaler)))
        if drawn is not job and isinstance(job.task, Ultimate):
            notes.insert(0, tiles_line(job.task, texts))
        named = [
            (image, upload, filename(job, image.index, upload.suffix))
            for image, upload in zip(images, prepared.uploads, strict=False)
        ]
        pictures = [Picture(image, name, image.id in seen.spoilers) for image, _, name in named]
        pictures = pictures or [Picture(image, None) for image in images]

        cells = await self._cells(job) if job.script is not None else []

        def files() -> list[discord.File]:
            return [discord.File(io.BytesIO(upload.data), name) for _, upload, name in named]

        def view(*more: str) -> discord.ui.LayoutView:
            owner = parent.owner_id if parent is not None else None
            if job.script is not None:
                parts = [GridPart(picture.image, picture.filename, picture.spoiler) for picture in pictures]
                made = finished_grid_card(job, parts, cells, total=job.script.size, notes=[*notes, *more])
            elif isinstance(drawn.task, Preprocess):
                made = mapped_card(job, pictures, notes=[*notes, *more], source_owner=owner)
            elif isinstance(drawn.task, Ultimate):
                made = tiled_card(job, pictures, notes=[*notes, *more], source_owner=owner)
            elif isinstance(drawn.task, Upscale):
                first = pictures[0] if pictures else None
                image, name = (first.image, first.filename) if first is not None else (None, None)
                veil = first is not None and first.spoiler
                made = enlarged_card(job, image, name, notes=[*notes, *more], source_owner=owner, spoiler=veil)
            else:
                made = result_card(drawn, pictures, notes=[*notes, *more], parent=parent)
            return with_row(made, below)

        if job.private:
            direct = texts("private.only_you_dm", channel=job.channel_id)
            return Card(view(texts("private.only_you")), files, view(direct), in_channel_only=seen.nude)
        direct_view = view(texts("card.dm_because")) if job.guild_id is not None else None
        return Card(view(), files, direct_view, in_channel_only=seen.nude)

    async def _cells(self, job: Job) -> list[tuple[int, str]]:
        """Those that can be picked, each with what sets it apart."""
        assert job.script is not None
        expanded = await asyncio.to_thread(job.script.expanded)
        labels = {cell.index: cell.note or "" for cell in expanded.cells}
        found = await self._scripts.pictures(job.id) if self._scripts is not None else []
        return [(cell.place, labels.get(cell.place, "")) for cell in found if not cell.deleted]

    async def _changed(self, job: Job, texts: Texts) -> str:
        """What it does differently from the job it was changed from; empty where its action says so much."""
        before = await self._jobs.get(job.parent_id) if job.parent_id is not None else None
        if before is None or not isinstance(job.task, Txt2Img | Img2Img) or not isinstance(before.task, type(job.task)):
            return ""
        if before.user_id != job.user_id or (before.private and not job.private):
            return ""  # nobody reads in it what they could not see
        told = _TOLD_BY_ACTION if job.action in _PICTURES_OF_ONE else frozenset[str]()
        found = [change for change in changes(first_pass(before.task), job.task) if change.key not in told]
        return joined_changes(found, texts, CHANGES_CHARS)
