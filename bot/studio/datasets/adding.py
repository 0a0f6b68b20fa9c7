"""Pictures become part of a data set: fetched, looked at, kept, and whoever gave them told of each that was not."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from bot.domain.captions.rules import allowed_part, teachable
from bot.domain.ids import FolderId
from bot.domain.limits import Limits
from bot.domain.training.archives import Left
from bot.domain.training.datasets import CAPTION_CHARS_MAX, PICTURES_MAX, Dataset, Folder, NewPicture, Picture
from bot.domain.training.looks import NEAR_BITS
from bot.domain.training.names import picture_name
from bot.errors import UserFacingError
from bot.storage.datasets import Datasets, Waiting
from bot.storage.inputs import InputPictures
from bot.studio.datasets.inspecting import Inspected, UnfitError, inspect_picture
from gpu_worker.language.training.folders import FolderName

__all__ = ["Adding", "Given", "Report"]

TOGETHER = 8
TOGETHER_BYTES = 48 * 2**20
"""So much is in memory at a time."""
LOOKED_AT_ONCE = 2
"""Whoever adds them: unpacked, a picture is a hundred megabytes."""
TOLD_EVERY_S = 2.0
SMALL_PX = 512
"""What most models draw at; a shorter side is enlarged for the training, which is told."""
_WHYS = {
    "picture_large": "large",
    "picture_gone": "gone",
    "picture_unknown": "gone",
    "original_gone": "gone",
    "picture_foreign": "foreign",
    "picture_unreadable": "broken",
}


@dataclass(frozen=True, slots=True)
class Given:
    """One picture on its way."""

    name: str
    read: Callable[[], Awaitable[bytes]]
    """Raises UserFacingError, UnfitError."""
    source: str
    caption: Callable[[], Awaitable[str]] | None = None
    """Raises UnfitError."""
    folder: FolderName | None = None
    is_reg: bool = False


@dataclass
class Report:
    """What became of them."""

    added: list[Picture] = field(default_factory=list[Picture])
    waiting: list[Waiting] = field(default_factory=list[Waiting])
    there: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Name, and what the same picture is called in the data set."""
    left: list[Left] = field(default_factory=list[Left])
    values: dict[str, dict[str, object]] = field(default_factory=dict[str, dict[str, object]])
    """What a reason's sentence is filled with."""
    nsfw: bool = False
    """The data set is marked from now on."""
    folders_full: bool = False
    """Some went into another folder than they say."""
    shortened: list[str] = field(default_factory=list[str])
    """Names of those whose captions lost what may not be taught."""

    @property
    def small(self) -> list[Picture]:
        return [one for one in self.added if min(one.width, one.height) < SMALL_PX]

    def join(self, other: Report) -> None:
        self.added += other.added
        self.waiting += other.waiting
        self.there += other.there
        self.left += other.left
        self.values |= other.values
        self.nsfw = self.nsfw or other.nsfw
        self.folders_full = self.folders_full or other.folders_full
        self.shortened += other.shortened

    def leave(self, name: str, why: str, values: dict[str, object] | None = None) -> None:
        self.left.append(Left(name, why))
        self.values.setdefault(why, values or {})


Told = Callable[[int, int], Awaitable[object]]
"""Done and of how many."""
Judge = Callable[[Sequence[str]], Awaitable[frozenset[str]]]
"""Which of these captions may not be."""


@dataclass(frozen=True, slots=True)
class _Ready:
    given: Given
    data: bytes
    seen: Inspected
    caption: str | None


class Adding:
    def __init__(self, *, datasets: Datasets, inputs: InputPictures, limits: Limits, room_bytes: int) -> None:
        """`room_bytes` is what all data sets of one person may take."""
        self._datasets = datasets
        self._inputs = inputs
        self._limits = limits
        self.room_bytes = room_bytes
        self._looking = asyncio.Semaphore(LOOKED_AT_ONCE)

    async def take(
        self,
        dataset: Dataset,
        folder: Folder,
        given: Sequence[Given],
        judge: Judge,
        told: Told | None = None,
        *,
        nsfw: bool = False,
    ) -> Report:
        """A few at a time, each few committed, with the mark that `nsfw` gives the data set: after a crash those are
        there, and the same pictures given once more are found to be. Raises UserFacingError (`dataset_folder_gone`),
        StorageFullError."""
        report, said = Report(), time.monotonic()
        room = self.room_bytes - (await self._datasets.held_by(dataset.user_id)).size_bytes
        places = PICTURES_MAX - (await self._datasets.held(dataset.id)).pictures
        batch: list[_Ready] = []
        for number, one in enumerate(given, 1):
            if len(report.added) + len(batch) >= places:
                report.leave(one.name, "full", {"most": PICTURES_MAX})
                continue
            ready = await self._looked_at(one, report)
            if ready is not None and len(ready.data) > room:
                report.leave(one.name, "room", {"limit_mb": self.room_bytes // 10**6})
            elif ready is not None:
                batch.append(ready)
            if len(batch) >= TOGETHER or sum(len(each.data) for each in batch) >= TOGETHER_BYTES:
                room -= await self._store(dataset, folder, batch, judge, report, nsfw=nsfw)
                batch = []
            if told is not None and time.monotonic() - said > TOLD_EVERY_S:
                said = time.monotonic()
                await told(number, len(given))
        await self._store(dataset, folder, batch, judge, report, nsfw=nsfw)
        return report

    async def _looked_at(self, one: Given, report: Report) -> _Ready | None:
        try:
            data = await one.read()
            async with self._looking:
                seen = await asyncio.to_thread(inspect_picture, data, self._limits.max_picture_pixels)
            caption = await one.caption() if one.caption is not None else None
        except UnfitError as error:
            report.leave(one.name, error.why, error.values)
            return None
        except UserFacingError as error:
            if error.key not in _WHYS:
                raise
            report.leave(one.name, _WHYS[error.key], {"limit_mb": self._limits.max_picture_bytes >> 20})
            return None
        if caption is not None and len(caption) > CAPTION_CHARS_MAX:
            report.leave(one.name, "caption_long", {"limit": CAPTION_CHARS_MAX})
            return None
        return _Ready(one, data, seen, caption)

    async def _store(
        self, dataset: Dataset, folder: Folder, batch: Sequence[_Ready], judge: Judge, report: Report, *, nsfw: bool
    ) -> int:
        """Returns how many bytes came to it."""
        captions = {one.caption for one in batch if one.caption}
        # Of a folder that a zip brings: its name is the caption of what has none.
        tokens = {one.given.folder.class_tokens for one in batch if one.given.folder is not None} - {""}
        refused = await judge(sorted(captions | tokens)) if captions or tokens else frozenset[str]()
        unfit = await asyncio.to_thread(lambda: {name for name in tokens if name in refused or not teachable(name)})
        # As a tagger's: what the door of trainings will refuse is better not there, and the picture is worth no less.
        parts = await asyncio.to_thread(_parts, captions - refused)
        by_folder: dict[FolderId, list[_Ready]] = {}
        for one in batch:
            if one.caption in refused:
                report.leave(one.given.name, "content")
                continue
            if one.given.folder is not None and one.given.folder.class_tokens in unfit:
                report.leave(one.given.name, "folder")
                continue
            if one.caption in parts:
                report.shortened.append(one.given.name)
                one = replace(one, caption=parts[one.caption])
            by_folder.setdefault(await self._folder(dataset, folder, one.given, report), []).append(one)
        return sum([await self._store_in(folder_id, some, report, nsfw=nsfw) for folder_id, some in by_folder.items()])

    async def _store_in(self, folder_id: FolderId, batch: Sequence[_Ready], report: Report, *, nsfw: bool) -> int:
        async with contextlib.AsyncExitStack() as held:
            new: list[NewPicture] = []
            for one in batch:
                ref = await held.enter_async_context(self._inputs.keeping(one.data, one.seen.mime))
                seen, given = one.seen, one.given
                new.append(
                    NewPicture(
                        ref, seen.width, seen.height, seen.look, picture_name(given.name), one.caption, given.source
                    )
                )
            done = await self._datasets.add_pictures(
                folder_id, new, room_bytes=self.room_bytes, near_bits=NEAR_BITS, nsfw=nsfw
            )
        # The same file may be in another data set, or in this one: only what nothing needs goes.
        needless = (*(one for one, _ in done.there), *done.full, *done.over)
        await self._inputs.discard_unused([one.ref for one in needless])
        report.added += done.added
        report.waiting += done.waiting
        report.nsfw = report.nsfw or (nsfw and bool(done.added or done.waiting))
        report.there += [(one.name, like.name) for one, like in done.there]
        for one in done.full:
            report.leave(one.name, "full", {"most": PICTURES_MAX})
        for one in done.over:
            report.leave(one.name, "room", {"limit_mb": self.room_bytes // 10**6})
        return sum(one.size_bytes for one in done.added) + sum(one.picture.size_bytes for one in done.waiting)

    async def _folder(self, dataset: Dataset, folder: Folder, given: Given, report: Report) -> FolderId:
        """The one that its own folder in a zip names, made where it is not there; else the one that was said."""
        wish = given.folder
        if wish is None and not given.is_reg:
            return folder.id
        try:
            repeats, tokens = (wish.repeats, wish.class_tokens) if wish is not None else (1, "")
            return (await self._datasets.add_folder(dataset.id, repeats, tokens, is_reg=given.is_reg)).id
        except UserFacingError as error:
            if error.key != "dataset_folders_full":
                raise
            report.folders_full = True
            return folder.id


def _parts(captions: Iterable[str]) -> dict[str, str | None]:
    """What is left of those that may not be taught as a whole. Blocks."""
    return {caption: allowed_part(caption) or None for caption in captions if not teachable(caption)}
