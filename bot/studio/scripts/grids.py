"""The pictures of a script's grid, as it fills and when it is finished, with what may be shown of its cells."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import discord

from bot.delivery.grid_card import GRID_NAME, filling_grid_card
from bot.delivery.post import Card
from bot.delivery.veils import Veils, blurred
from bot.domain.ids import ImageId, JobId, new_image_id
from bot.domain.job import Image, Job
from bot.domain.safety.rules import Shown
from bot.i18n import texts_for
from bot.storage.images import Images, MissingPictureError
from bot.storage.picture_looks import PictureLook, PictureLooks
from bot.storage.scripts import Scripts
from bot.studio.scripts.composing import composed, filling, thumbnail
from bot.studio.scripts.outlook import Outlook

__all__ = ["FinishedGrid", "Grids"]

log = logging.getLogger(__name__)

REASONS = ("oom", "missing_model", "bad_model", "cancelled")
"""Of blank cells, those with a word of their own."""


@dataclass(frozen=True, slots=True)
class FinishedGrid:
    images: list[Image]
    looks: Mapping[ImageId, PictureLook]


@dataclass(frozen=True, slots=True)
class _Cell:
    image: Image
    shown: Shown


class Grids:
    def __init__(
        self,
        *,
        images: Images,
        scripts: Scripts,
        looks: PictureLooks,
        veils: Veils,
        wants_previews: Callable[[Job], bool],
        outlook: Callable[[Job], Awaitable[Outlook]],
    ) -> None:
        self._outlook = outlook
        self._images = images
        self._scripts = scripts
        self._looks = looks
        self._veils = veils
        self._wants_previews = wants_previews
        self._thumbs: dict[JobId, dict[ImageId, bytes]] = {}
        self._drawn: dict[JobId, tuple[object, bytes]] = {}
        """The last picture of each grid that fills, with what it shows: cards are asked for whatever in the line
        changes."""

    def forget(self, script_id: JobId) -> None:
        self._thumbs.pop(script_id, None)
        self._drawn.pop(script_id, None)

    async def card(self, job: Job, cancelling: bool) -> tuple[object, Card] | None:
        """The card as the grid fills, and what of it can change. Only what may be seen plainly where the card is goes
        into its picture."""
        if job.script is None:
            return None
        progress = await self._scripts.progress(job.id)
        preview: bytes | None = None
        if progress.drawn and self._wants_previews(job):
            preview = await self._filling(job)

        def files() -> list[discord.File]:
            return [] if preview is None else [discord.File(io.BytesIO(preview), GRID_NAME)]

        outlook = await self._outlook(job)
        view = filling_grid_card(
            job,
            progress.drawn,
            progress.total,
            has_preview=preview is not None,
            cancelling=cancelling,
            drawing=outlook.drawing,
            outlook=outlook.sentence(texts_for(job.locale)),
        )
        return (progress.drawn, cancelling, preview is not None, outlook), Card(view, files)

    async def _filling(self, job: Job) -> bytes | None:
        assert job.script is not None
        cells = await self._cells(job)
        known = self._thumbs.setdefault(job.id, {})
        thumbs: dict[int, bytes] = {}
        for place, cell in cells.items():
            if cell.shown is not Shown.PLAIN:
                continue
            if cell.image.id not in known:
                try:
                    data = await self._images.read(cell.image)
                except MissingPictureError:
                    continue
                known[cell.image.id] = await asyncio.to_thread(thumbnail, data)
            thumbs[place] = known[cell.image.id]
        if not thumbs:
            return None
        shown = {place: cells[place].image.id for place in thumbs}
        last = self._drawn.get(job.id)
        if last is not None and last[0] == shown:
            return last[1]
        first = next(iter(cells.values())).image
        layout = await asyncio.to_thread(job.script.layout)
        made = await asyncio.to_thread(filling, layout, thumbs, (first.width, first.height))
        self._drawn[job.id] = shown, made
        return made

    async def finished(self, job: Job) -> FinishedGrid:
        """Its pictures, written to the outputs folder; another try writes the same again. Raises OSError where the disk
        is full."""
        assert job.script is not None
        script = job.script
        cells = await self._cells(job)
        texts = texts_for(job.locale)
        kinds = await self._scripts.reasons(job.id)
        blank = {place: texts(f"script.blank_{kind if kind in REASONS else 'other'}") for place, kind in kinds.items()}
        hidden = {place for place, cell in cells.items() if cell.shown is Shown.BLOCK}
        blank |= dict.fromkeys(hidden, texts("script.blank_withheld"))

        def read(place: int) -> bytes | None:
            cell = cells.get(place)
            if cell is None or cell.shown is Shown.BLOCK:
                return None
            try:
                data = self._images.read_here(cell.image)
            except MissingPictureError:  # a grid with one black cell is better than none
                log.exception("the picture of cell %s of script %s is gone or damaged", place, job.id)
                return None
            return blurred(data) if cell.shown is Shown.BLUR else data

        sizes = [(cell.image.width, cell.image.height) for cell in cells.values()]
        size = (max(width for width, _ in sizes), max(height for _, height in sizes))
        infotext = cells[min(cells)].image.infotext
        pictures = await asyncio.to_thread(composed, script, size, read, blank, infotext)
        plain = [cell.image.id for cell in cells.values() if cell.shown in (Shown.PLAIN, Shown.SPOILER)]
        look = await self._worst(plain)
        images: list[Image] = []
        for index, picture in enumerate(pictures):
            place = self._images.place(job, index, ".png")
            sha256 = await self._images.put(picture.png, place)
            images.append(
                Image(
                    id=new_image_id(),
                    job_id=job.id,
                    index=index,
                    path=place,
                    sha256=sha256,
                    mime="image/png",
                    width=picture.width,
                    height=picture.height,
                    size_bytes=len(picture.png),
                    seed=script.base.seed,
                    infotext=picture.infotext,
                    action=job.action,
                    parent_image_id=job.source_image_id,
                )
            )
        return FinishedGrid(images, {image.id: look for image in images} if look is not None else {})

    async def _cells(self, job: Job) -> dict[int, _Cell]:
        """By place, those that are there."""
        found = await self._images.of_cells(job.id)
        shown = await self._veils.of_job(job, list(found.values()))
        return {place: _Cell(image, shown[image.id]) for place, image in found.items()}

    async def _worst(self, images: list[ImageId]) -> PictureLook | None:
        """What a classifier says of the grid: as of its nudest cell."""
        looks = await self._looks.of(images)
        if not looks:
            return None
        worst = max(looks.values(), key=lambda look: (look.looked.failed, look.looked.nude))
        return replace(worst, strict=any(look.strict for look in looks.values()))
