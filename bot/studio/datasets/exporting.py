"""A data set as zips in kohya's folder layout: `img/10_mychar/a.png` with `a.txt`, and `reg/1_girl/…`."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import discord

from bot.delivery.ladder import DEFAULT_LIMIT_BYTES, REQUEST_LIMIT_BYTES
from bot.domain.mentions import spoken
from bot.domain.packing import ENTRY_BYTES, PART_BYTES, parts_of
from bot.domain.training.datasets import Dataset, Folder, Picture
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.datasets import Datasets
from bot.storage.images import MissingPictureError
from bot.storage.inputs import InputPictures
from bot.ui.client import Interaction

__all__ = ["DatasetExport", "entry_names"]

NAMES_SHOWN = 10
PARTS_MAX = 30
"""Of one export: 300 MB where Discord takes 10 MB a file."""
MARGIN_BYTES = 64 * 1024
"""What a request needs beside the file."""
CAPTION_COST = 512
"""Of a caption's entry beside its text."""
DISK_LEFT_BYTES = 1 << 30
_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif"}


@dataclass(frozen=True, slots=True)
class _Entry:
    picture: Picture
    name: str


def entry_names(folders: Sequence[Folder], pictures: Sequence[Picture]) -> list[tuple[Picture, str]]:
    """Where each picture is in a zip; no two names differ by case alone."""
    roots = {one.id: f"{'reg' if one.is_reg else 'img'}/{one.name}" for one in folders}
    taken: set[str] = set()
    found: list[tuple[Picture, str]] = []
    for picture in pictures:
        stem, n = picture.name, 2
        root = roots.get(picture.folder_id, "img/1_")
        while f"{root}/{stem}".casefold() in taken:
            stem, n = f"{picture.name}-{n}", n + 1
        # Its caption has the same stem, so another picture may not have it with another suffix.
        taken.add(f"{root}/{stem}".casefold())
        found.append((picture, f"{root}/{stem}{_SUFFIXES.get(picture.mime, '.png')}"))
    return found


class DatasetExport:
    def __init__(self, *, datasets: Datasets, inputs: InputPictures, folder: Path) -> None:
        """`folder` is for the zips until they are sent."""
        self._datasets = datasets
        self._inputs = inputs
        self._folder = folder

    async def clear(self) -> None:
        """At a start: what an earlier life left."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def send(self, interaction: Interaction, dataset: Dataset) -> None:
        """As many messages as there are parts, for the user alone. A bot that stops in the middle leaves the parts that
        were sent, each a zip of its own. Raises UserFacingError: `dataset_empty`, `dataset_export_large`,
        `dataset_export_picture`, `export_disk`, `export_part_large`."""
        texts = texts_for(str(interaction.locale))
        folders = await self._datasets.folders(dataset.id)
        entries = [_Entry(*one) for one in entry_names(folders, await self._datasets.pictures(dataset.id))]
        if not entries:
            raise UserFacingError("dataset_empty", name=dataset.name)
        part_bytes = min(interaction.filesize_limit or DEFAULT_LIMIT_BYTES, REQUEST_LIMIT_BYTES) - MARGIN_BYTES
        # A smaller copy would not be what is trained on: what no message takes stays here, and is named.
        large = [one for one in entries if _cost(one.picture) + ENTRY_BYTES + PART_BYTES > part_bytes]
        fitting = [one for one in entries if one not in large]
        parts = parts_of([_cost(one.picture) for one in fitting], part_bytes)
        if not parts:
            raise UserFacingError(
                "dataset_export_picture", name=spoken(large[0].picture.name), limit_mb=part_bytes >> 20
            )
        if len(parts) > PARTS_MAX:
            raise UserFacingError("dataset_export_large", parts=len(parts), most=PARTS_MAX, limit_mb=part_bytes >> 20)
        missing = 0
        for number, part in enumerate(parts, 1):
            some = [fitting[one.index] for one in part]
            path = self._folder / f"{secrets.token_hex(8)}.zip"
            try:
                missing += await self._written(path, some)
                name = f"{dataset.name}.zip" if len(parts) == 1 else f"{dataset.name}-{number}-of-{len(parts)}.zip"
                text = texts("dataset.exported_whole", n=len(some))
                if len(parts) > 1:
                    text = texts("dataset.exported", n=number, parts=len(parts), pictures=len(some))
                file = await asyncio.to_thread(discord.File, path, name)
                await interaction.followup.send(text, file=file, ephemeral=True)
            except discord.HTTPException as error:
                if error.status != 413 and error.code != 40005:
                    raise
                raise UserFacingError("export_part_large") from error
            except OSError as error:
                raise UserFacingError("export_disk") from error
            finally:
                await asyncio.to_thread(path.unlink, missing_ok=True)
        if large:
            names = ", ".join(spoken(one.picture.name) for one in large[:NAMES_SHOWN])
            left = texts("dataset.export_left", n=len(large), limit_mb=part_bytes >> 20, names=names)
            await interaction.followup.send(left, ephemeral=True)
        if missing:
            await interaction.followup.send(texts("dataset.export_missing", n=missing), ephemeral=True)

    async def _written(self, path: Path, entries: Sequence[_Entry]) -> int:
        """Returns how many pictures have no file any more. Raises OSError."""
        data: list[tuple[_Entry, bytes]] = []
        for one in entries:
            try:
                data.append((one, await self._inputs.read(one.picture.ref)))
            except MissingPictureError:
                continue
        await asyncio.to_thread(_write, path, data)
        return len(entries) - len(data)


def _cost(picture: Picture) -> int:
    caption = len((picture.caption or "").encode()) + CAPTION_COST if picture.caption is not None else 0
    return picture.size_bytes + caption


def _write(path: Path, data: Sequence[tuple[_Entry, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(path.parent).free < DISK_LEFT_BYTES:
        raise OSError("no room for an export")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # pictures are packed already
        for one, picture in data:
            archive.writestr(_info(one.name), picture)
            if one.picture.caption is not None:
                stem = one.name.rpartition(".")[0]
                archive.writestr(_info(f"{stem}.txt"), one.picture.caption.encode())


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o644 << 16
    return info
