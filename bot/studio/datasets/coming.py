"""Where a data set's pictures come from: files of a command, zips among them, a message, one's own history."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import discord

from bot.domain.ids import JobId, UserId
from bot.domain.limits import Limits
from bot.domain.training.archives import PICTURE_SUFFIXES, Planned
from bot.domain.training.datasets import Dataset, Folder
from bot.errors import UserFacingError
from bot.storage.database import StorageFullError
from bot.storage.datasets import Datasets
from bot.storage.finds import Find, Finds, FoundPicture
from bot.studio.attachments import Attachments
from bot.studio.datasets.adding import Adding, Given, Report, Told
from bot.studio.datasets.archive import Archive
from bot.studio.datasets.inspecting import UnfitError
from bot.studio.datasets.rules import DatasetRules
from bot.studio.looking.pointed import Pointed, found_attachment
from bot.ui.client import Interaction

__all__ = ["Coming"]

ZIP_BYTES_MAX = 512 * 2**20
"""Discord's largest upload."""
DISK_LEFT_BYTES = 1 << 30
_OF_ZIPS = ("dataset_zip_", "attachment_gone")


class Coming:
    def __init__(
        self,
        *,
        datasets: Datasets,
        finds: Finds,
        pointed: Pointed,
        attachments: Attachments,
        adding: Adding,
        rules: DatasetRules,
        limits: Limits,
        folder: Path,
    ) -> None:
        """`folder` is for zips while they are read."""
        self._datasets = datasets
        self._finds = finds
        self._pointed = pointed
        self._attachments = attachments
        self._adding = adding
        self._rules = rules
        self._limits = limits
        self._folder = folder

    async def clear(self) -> None:
        """At a start: what an earlier life left."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def pointed_at(self, interaction: Interaction, find_id: str) -> Find:
        """Raises UserFacingError (`find_unknown`)."""
        find = await self._finds.get(JobId(find_id))
        if find is None or find.user_id != interaction.user.id:
            raise UserFacingError("find_unknown")
        return find

    async def point(self, interaction: Interaction, pictures: Sequence[FoundPicture]) -> Find:
        return await self._finds.add(UserId(interaction.user.id), tuple(pictures))

    async def add_files(
        self,
        interaction: Interaction,
        dataset: Dataset,
        folder: Folder,
        files: Sequence[discord.Attachment],
        told: Told,
    ) -> Report:
        """Pictures and zips. Raises UserFacingError: `dataset_zip_size`, and of a file that is alone those of `Archive`
        and `Attachments.save`."""
        zips = [one for one in files if one.filename.casefold().endswith(".zip")]
        for one in zips:
            if one.size > ZIP_BYTES_MAX:
                raise UserFacingError("dataset_zip_size", limit_mb=ZIP_BYTES_MAX >> 20)
        report, nsfw = Report(), self._rules.restricted(interaction)
        loose = [found_attachment(one) for one in files if one not in zips]
        if loose:
            await self._add(interaction, dataset, folder, loose, "upload", report, told, nsfw=nsfw)
        for one in zips:
            try:
                async with self._unpacked(one) as archive:
                    given = [self._of_zip(archive, planned) for planned in archive.plan.pictures]
                    await self._take(interaction, dataset, folder, given, report, told, nsfw=nsfw)
                    report.left += archive.plan.left
            except UserFacingError as error:
                # What came of the other files is told all the same.
                if len(files) == 1 or not error.key.startswith(_OF_ZIPS):
                    raise
                report.leave(one.filename, "zip")
        report.nsfw = report.nsfw and not dataset.nsfw
        return report

    async def add_found(
        self,
        interaction: Interaction,
        dataset: Dataset,
        folder: Folder,
        pictures: Sequence[FoundPicture],
        told: Told,
    ) -> Report:
        """Of a message or the history. Raises UserFacingError."""
        report = Report()
        ours = [one.image_id for one in pictures if one.image_id is not None]
        nsfw = self._rules.restricted(interaction) or (bool(ours) and await self._rules.adult(ours))
        await self._add(interaction, dataset, folder, pictures, "message", report, told, nsfw=nsfw)
        report.nsfw = report.nsfw and not dataset.nsfw
        return report

    async def _add(
        self,
        interaction: Interaction,
        dataset: Dataset,
        folder: Folder,
        pictures: Sequence[FoundPicture],
        source: str,
        report: Report,
        told: Told,
        *,
        nsfw: bool,
    ) -> None:
        # What may not be seen here may not be taken from here, either.
        ours = [one.image_id for one in pictures if one.image_id is not None]
        veiled = await self._rules.veiled(interaction, ours)
        given: list[Given] = []
        for one in pictures:
            if one.image_id in veiled:
                report.leave(str(one.image_id), "veiled")
            else:
                given.append(self._of_found(one, source))
        await self._take(interaction, dataset, folder, given, report, told, nsfw=nsfw)

    async def _take(
        self,
        interaction: Interaction,
        dataset: Dataset,
        folder: Folder,
        given: Sequence[Given],
        report: Report,
        told: Told,
        *,
        nsfw: bool,
    ) -> None:
        done = await self._adding.take(
            dataset, folder, given, lambda captions: self._rules.refused(interaction, captions), told, nsfw=nsfw
        )
        report.join(done)

    def _of_found(self, found: FoundPicture, source: str) -> Given:
        async def read() -> bytes:
            if found.image_id is None and not _is_picture(found.filename):
                raise UnfitError("type")
            return await self._pointed.read(found)

        if found.image_id is not None:
            return Given(str(found.image_id), read, f"image:{found.image_id}")
        return Given(found.filename, read, source)

    def _of_zip(self, archive: Archive, planned: Planned) -> Given:
        async def read() -> bytes:
            return await archive.read(planned.entry)

        async def caption() -> str:
            assert planned.caption is not None
            return await archive.caption(planned.caption)

        return Given(
            planned.entry, read, "zip", caption if planned.caption is not None else None, planned.folder, planned.is_reg
        )

    @contextlib.asynccontextmanager
    async def _unpacked(self, file: discord.Attachment) -> AsyncGenerator[Archive]:
        path = self._folder / f"{secrets.token_hex(8)}.zip"
        try:
            try:
                await asyncio.to_thread(self._make_room, file.size)
                await self._attachments.save(file, path)
            except OSError as error:
                raise StorageFullError from error
            async with Archive(path, self._limits.max_picture_bytes) as archive:
                yield archive
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    def _make_room(self, wanted_bytes: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._folder).free - wanted_bytes < DISK_LEFT_BYTES:
            raise OSError("no room for a zip")


def _is_picture(filename: str) -> bool:
    return any(filename.casefold().endswith(suffix) for suffix in PICTURE_SUFFIXES)
