"""What a training's card shows: row, files, curve, and of its samples what may be seen where the card is."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import discord

from bot.delivery.post import Card
from bot.delivery.progress_state import ProgressState
from bot.delivery.training_card import (
    CURVE_NAME,
    SHEET_NAME,
    TrainingPicture,
    TrainingShown,
    ended_training_card,
    live_training_card,
    new_training,
    training_failure,
)
from bot.delivery.veils import Veils
from bot.domain.ids import ImageId, JobId
from bot.domain.job import Image, Job
from bot.domain.safety.rules import Shown
from bot.domain.scripts import GridLayout, TitlePart
from bot.grids import draw_grid
from bot.i18n import texts_for
from bot.storage.images import Images, MissingPictureError
from bot.storage.jobs import Jobs
from bot.storage.trainings import SavedFile, Training, Trainings
from bot.studio.scripts.composing import thumbnail
from bot.studio.trainings.curve import curve_picture
from bot.studio.trainings.result_rows import diagnosis_of, finding_lines, result_rows
from bot.studio.trainings.rows import ended_rows
from gpu_worker.language.pictures import picture_spec

__all__ = ["Sampled", "TrainingCards"]

CELL_PX = 256
SHEET_COLUMNS_MAX = 12
CURVE_POINTS_MIN = 2


@dataclass(frozen=True, slots=True)
class Sampled:
    """What one saved epoch has drawn, as far as it is there."""

    file: SavedFile
    job: Job
    images: Sequence[Image]


class TrainingCards:
    def __init__(self, *, trainings: Trainings, jobs: Jobs, images: Images, veils: Veils) -> None:
        self._trainings = trainings
        self._jobs = jobs
        self._images = images
        self._veils = veils
        self._thumbs: dict[JobId, dict[ImageId, bytes]] = {}
        self.kept_until: Callable[[Training], Awaitable[float | None]] | None = None
        """Unix seconds when its files go; None where they stay, or where there are none."""

    async def live(
        self, job: Job, state: ProgressState | None, cancelling: bool, *, fresh: bool = False
    ) -> tuple[object, Card] | None:
        """The card now, and what of it can change."""
        training = await self._trainings.get(job.id)
        if training is None or job.training is None:
            return None
        files = await self._trainings.files(job.id)
        told = state.training if state is not None else None
        curve = told.curve if told is not None and told.curve else training.curve
        step = max(training.step, told.step if told is not None else 0)
        newest = next(iter(reversed(await self.sampled(files))), None)
        seen = await self._plain(job, newest.images) if newest is not None else []
        thumbs = await self._thumbnails(job.id, seen)
        parts: list[tuple[TrainingPicture, bytes]] = []
        texts = texts_for(job.locale)
        if len(curve) >= CURVE_POINTS_MIN:
            drawn = await asyncio.to_thread(curve_picture, curve, step, [file.step for file in files])
            parts.append((TrainingPicture(CURVE_NAME, texts("train.card.alt_curve", step=step)), drawn))
        if newest is not None:
            for image, data in thumbs:
                alt = texts("train.card.alt_sample", name=newest.file.name, prompt=_prompt(newest.job, image))
                parts.append((TrainingPicture(f"sample-{image.index}.webp", alt), data))
        notes = [texts("train.card.samples", name=newest.file.name)] if newest is not None and thumbs else []
        if newest is not None and not thumbs and newest.images:
            notes = [texts("train.card.veiled")]
        shown = TrainingShown(training, files, [part for part, _ in parts], notes)
        key = (
            state.phase if state is not None else None, told, training.held, training.step, job.status,
            len(files), tuple(image.id for image, _ in thumbs), cancelling, None if state is None else state.step,
        )  # fmt: skip
        view = live_training_card(job, shown, state, cancelling=cancelling, fresh=fresh)
        return key, Card(view, _files(parts))

    async def ended(self, job: Job) -> Card:
        """Of one that is done, failed or cancelled."""
        training = await self._trainings.get(job.id)
        files = await self._trainings.files(job.id)
        texts = texts_for(job.locale)
        parts: list[tuple[TrainingPicture, bytes]] = []
        if training is None:
            training = new_training(job)
        if len(training.curve) >= CURVE_POINTS_MIN:
            saved = [file.step for file in files]
            drawn = await asyncio.to_thread(curve_picture, training.curve, training.step, saved)
            parts.append((TrainingPicture(CURVE_NAME, texts("train.card.alt_curve", step=training.step)), drawn))
        sampled = await self.sampled(files)
        sheet = await self._sheet(job, sampled)
        notes: list[str] = []
        if sheet is not None:
            parts.append((TrainingPicture(SHEET_NAME, texts("train.card.alt_sheet")), sheet))
        elif any(one.images for one in sampled):
            notes.append(texts("train.card.veiled"))
        rows = [*ended_rows(job, training, files, texts), *result_rows(job.id, training, files, texts)]
        diagnosis = diagnosis_of(training)
        if diagnosis is not None:
            notes += finding_lines(diagnosis, texts)
        until = await self.kept_until(training) if self.kept_until is not None else None
        if until is not None:
            notes.append(texts("trained.goes", when=int(until)))
        shown = TrainingShown(training, files, [part for part, _ in parts], notes, rows)
        view = ended_training_card(job, shown, reason=training_failure(job, texts))
        self._thumbs.pop(job.id, None)
        return Card(view, _files(parts))

    async def sampled(self, files: Sequence[SavedFile]) -> list[Sampled]:
        """Of all epochs that have drawn something, in the order of training."""
        found: list[Sampled] = []
        for file in files:
            job = await self._jobs.get(file.sample_job_id) if file.sample_job_id else None
            if job is None:
                continue
            images = [image for image in await self._images.of_job(job.id) if not image.deleted]
            if images:
                found.append(Sampled(file, job, images))
        return found

    async def _plain(self, job: Job, images: Sequence[Image]) -> list[Image]:
        """Those that may stand in the open where the training's card is."""
        shown = await self._veils.of_job(job, images)
        return [image for image in images if shown[image.id] is Shown.PLAIN]

    async def _thumbnails(self, job_id: JobId, images: Sequence[Image]) -> list[tuple[Image, bytes]]:
        known = self._thumbs.setdefault(job_id, {})
        found: list[tuple[Image, bytes]] = []
        for image in images:
            if image.id not in known:
                try:
                    known[image.id] = await asyncio.to_thread(thumbnail, await self._images.read(image))
                except MissingPictureError:
                    continue
            found.append((image, known[image.id]))
        return found

    async def _sheet(self, job: Job, sampled: Sequence[Sampled]) -> bytes | None:
        """Epochs side by side, a row for each prompt."""
        columns = [*sampled[-SHEET_COLUMNS_MAX:]]
        cells: dict[int, bytes] = {}
        height = max((image.index + 1 for one in columns for image in one.images), default=0)
        size: tuple[int, int] | None = None
        for column, one in enumerate(columns):
            for image, data in await self._thumbnails(job.id, await self._plain(job, one.images)):
                cells[image.index * len(columns) + column] = data
                size = size or (image.width, image.height)
        if not cells or size is None:
            return None
        scale = min(1.0, CELL_PX / max(size))
        cell = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
        titles = tuple((TitlePart(str(one.file.epoch)),) for one in columns)
        layout = GridLayout(columns=len(columns), rows=height, column_titles=titles)
        return await asyncio.to_thread(_drawn, layout, cells, cell)


def _drawn(layout: GridLayout, cells: dict[int, bytes], cell: tuple[int, int]) -> bytes:
    picture = draw_grid(layout, cells.get, cell, {})
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=85)
    return out.getvalue()


def _files(parts: Sequence[tuple[TrainingPicture, bytes]]) -> Callable[[], Sequence[discord.File]]:
    return partial(_made, parts)


def _made(parts: Sequence[tuple[TrainingPicture, bytes]]) -> list[discord.File]:
    return [discord.File(io.BytesIO(data), part.filename) for part, data in parts]


def _prompt(job: Job, image: Image) -> str:
    return picture_spec(job.spec, image.index).prompt
