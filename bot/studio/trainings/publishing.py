"""A saved epoch becomes a LoRA of the library: a copy, with trigger word, weight and picture, and under its rules.

Adding it is adding a model: whoever may do that may do this, with the same room, and it is removed the same way.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.domain.content import require_allowed
from bot.domain.job import Image, JobStatus
from bot.domain.mentions import spoken
from bot.domain.model_rules import EVERYWHERE, Rule, Scope
from bot.domain.stewards import Steward
from bot.domain.text import clean
from bot.domain.training.planning import require_name
from bot.errors import UserFacingError
from bot.library import Library, LibraryFile
from bot.library.arrival import Arrival
from bot.storage.datasets import Datasets
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.model_audit import ModelAudit
from bot.storage.model_rules import ModelRules
from bot.storage.trainings import SavedFile, Training, Trainings
from bot.studio.model_admin.files import added_entry
from bot.studio.model_admin.room import Room
from bot.studio.safety.results import PictureJudge

__all__ = ["TRAINED_BY", "PublishWish", "Published", "Publisher"]

log = logging.getLogger(__name__)

TRAINED_BY = "training:"
"""Before the job's id: where a file of the library came from."""
WEIGHT_MAX = 4.0
TRIGGER_CHARS = 200


@dataclass(frozen=True, slots=True)
class PublishWish:
    name: str
    trigger: str = ""
    weight: float = 1.0
    """That its tag has when it is picked."""
    note: str = ""
    """What its card says."""


@dataclass(frozen=True, slots=True)
class Published:
    file: LibraryFile
    held: bool
    """It is disabled until somebody enables it where adult pictures may be."""
    has_picture: bool


class Publisher:
    def __init__(
        self,
        *,
        library: Library,
        rules: ModelRules,
        audit: ModelAudit,
        room: Room,
        trainings: Trainings,
        datasets: Datasets,
        jobs: Jobs,
        images: Images,
        judge: PictureJudge,
        folder: Path,
    ) -> None:
        """`folder` is for copies on their way; what a death left there goes with the next one."""
        self._library = library
        self._rules = rules
        self._audit = audit
        self._room = room
        self._trainings = trainings
        self._datasets = datasets
        self._jobs = jobs
        self._images = images
        self._judge = judge
        self._folder = folder
        self._turn = asyncio.Lock()
        """Two at once would both find the name free."""

    async def publish(self, steward: Steward, training: Training, saved: SavedFile, wish: PublishWish) -> Published:
        """Raises UserFacingError: `train_name`, `train_publish_taken`, `train_publish_weight`, `train_file_gone`, those
        of `Room.require` and of the library; ContentRefusedError."""
        name = require_name(wish.name)
        if not 0 < abs(wish.weight) <= WEIGHT_MAX:
            raise UserFacingError("train_publish_weight", limit=f"{WEIGHT_MAX:g}")
        for text in (name, wish.trigger):
            # It stands in everybody's lists, wherever those are opened.
            await asyncio.to_thread(require_allowed, text)
        async with self._turn:
            await self._require_free(name, training)
            await self._room.require(steward, saved.size_bytes)
            samples = await self._images.of_job(saved.sample_job_id) if saved.sample_job_id is not None else []
            adult = await self._is_adult(training, saved, samples)
            picture = None if adult else await asyncio.to_thread(self._first_there, samples)
            file = await self._adopted(steward, training, saved, name, picture, held=adult)
            file = await self._described(file, wish)
            await self._trainings.set_published(training.job_id, file.name)
            await self._audit.add(added_entry(steward, file))
        return Published(file, held=adult, has_picture=file.preview is not None)

    def is_there(self, training: Training) -> bool:
        """Whether what was published of it still is in the library."""
        file = self._library.find("lora", training.published) if training.published is not None else None
        return file is not None and file.source == f"{TRAINED_BY}{training.job_id}"

    async def _require_free(self, name: str, training: Training) -> None:
        folded = name.casefold()
        in_library = any(
            folded in (file.name.casefold(), (file.alias or "").casefold()) for file in self._library.files("lora")
        )
        saved = await self._trainings.file_named(name)
        other = await self._trainings.get(saved.job_id) if saved is not None else None
        if in_library or (other is not None and other.user_id != training.user_id):
            raise UserFacingError("train_publish_taken", name=spoken(name))

    async def _is_adult(self, training: Training, saved: SavedFile, samples: Sequence[Image]) -> bool:
        """It has learnt, or draws, what only an age-restricted channel may show."""
        dataset = await self._datasets.get(training.dataset_id) if training.dataset_id else None
        if training.nsfw or (dataset is not None and dataset.nsfw):
            return True
        if await self._judge.nude(samples):
            return True
        job = await self._jobs.get(saved.sample_job_id) if saved.sample_job_id else None
        # Pictures that were not kept have no rows.
        return job is not None and job.status is JobStatus.DELIVERED and len(samples) < job.spec.count

    def _first_there(self, images: Sequence[Image]) -> Path | None:
        return next((self._images.file(one) for one in images if self._images.file(one).is_file()), None)

    async def _adopted(
        self, steward: Steward, training: Training, saved: SavedFile, name: str, picture: Path | None, *, held: bool
    ) -> LibraryFile:
        async def hold(file_id: str) -> None:
            place = EVERYWHERE if steward.owner is None else steward.owner
            await self._rules.put(Rule(place, Scope.SERVER, place, file_id, enabled=False))

        try:
            copy = await asyncio.to_thread(self._copied, saved.path)
        except FileNotFoundError as error:
            raise UserFacingError("train_file_gone") from error
        except OSError as error:
            raise UserFacingError("library_disk", name=name) from error
        try:
            return await self._library.adopt(
                Arrival(
                    copy, "lora", f"{name}.safetensors", source=f"{TRAINED_BY}{training.job_id}",
                    added_by=training.user_id, added_in=steward.owner, preview=picture,
                    before_seen=hold if held else None,
                )
            )  # fmt: skip
        finally:
            await asyncio.to_thread(copy.unlink, missing_ok=True)

    def _copied(self, path: Path) -> Path:
        """Not a link: what somebody does to the file of the library is not done to the training's."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.iterdir():
            left.unlink(missing_ok=True)
        copy = self._folder / f"{secrets.token_hex(8)}.safetensors"
        try:
            shutil.copyfile(path, copy)
        except OSError:
            copy.unlink(missing_ok=True)
            raise
        return copy

    async def _described(self, file: LibraryFile, wish: PublishWish) -> LibraryFile:
        """By the card that A1111 keeps beside a LoRA (behaviours §5.4), so that it goes wherever the file goes."""
        card = {
            "description": wish.note, "activation text": " ".join(clean(wish.trigger).text.split())[:TRIGGER_CHARS],
            "preferred weight": wish.weight,
        }  # fmt: skip
        try:
            await asyncio.to_thread(_write, file.path.with_suffix(".json"), json.dumps(card, ensure_ascii=False))
            await self._library.refresh()
        except OSError:  # the file is there, and works without
            log.exception("the card beside %s could not be written", file.name)
        return self._library.get(file.id) or file


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
