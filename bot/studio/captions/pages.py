"""What the tag editor has to show: looked up, drawn off the loop, and put in the place of what was there."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence

import discord

from bot.domain.captions.advice import advise
from bot.domain.captions.editor import CaptionEditor, Found, found_in
from bot.domain.ids import PictureId
from bot.domain.training.datasets import Dataset, Picture
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.datasets import Datasets
from bot.storage.images import MissingPictureError
from bot.storage.inputs import InputPictures
from bot.studio.captions.cards import Shown, editor_page, picture_page
from bot.studio.captions.cloud import CLOUD_NAME, cloud_picture
from bot.studio.datasets.rules import DatasetRules
from bot.studio.datasets.tiles import large_tile, tiles
from bot.ui.client import Interaction
from bot.ui.redraw import redraw

__all__ = ["EditorPages"]


class EditorPages:
    def __init__(self, *, datasets: Datasets, inputs: InputPictures, rules: DatasetRules) -> None:
        self._datasets = datasets
        self._inputs = inputs
        self._rules = rules

    async def own(self, interaction: Interaction, dataset_id: str) -> Dataset:
        """A data set of this person's that may be shown here. Raises UserFacingError: `dataset_gone`,
        `dataset_elsewhere`."""
        dataset = await self._datasets.get(dataset_id)
        if dataset is None or dataset.user_id != interaction.user.id:
            raise UserFacingError("dataset_gone")
        self._rules.require_shown(interaction, dataset)
        return dataset

    async def found(self, editor: CaptionEditor) -> Found:
        """What the editor's filter leaves."""
        return await asyncio.to_thread(found_in, await self._datasets.pictures(editor.dataset), editor)

    async def shown(self, editor: CaptionEditor) -> tuple[Picture, ...]:
        """At least one picture. Raises UserFacingError (`captions_none_shown`)."""
        found = await self.found(editor)
        if not found.pictures:
            raise UserFacingError("captions_none_shown")
        return found.pictures

    async def alone(self, editor: CaptionEditor) -> Picture:
        """The open picture. Raises UserFacingError (`captions_picture_gone`)."""
        for picture in await self._datasets.pictures(editor.dataset):
            if picture.id == editor.open:
                return picture
        raise UserFacingError("captions_picture_gone")

    async def beside(self, editor: CaptionEditor, by: int) -> CaptionEditor:
        """With the next picture open, or the one before: round and round. Raises UserFacingError
        (`captions_none_shown`)."""
        ids = [one.id for one in await self.shown(editor)]
        at = (ids.index(PictureId(editor.open)) + by) % len(ids) if editor.open in ids else 0
        return editor.model_copy(update={"open": ids[at]})

    async def draw(self, interaction: Interaction, id_: str, editor: CaptionEditor, notes: Sequence[str] = ()) -> None:
        """After `begin_redraw`, or a deferred answer. Raises UserFacingError as `own`."""
        dataset = await self.own(interaction, editor.dataset)
        pictures, folders = await self._datasets.pictures(dataset.id), await self._datasets.folders(dataset.id)
        changes = await self._datasets.changes(dataset.id)
        found = await asyncio.to_thread(found_in, pictures, editor)
        advice = await asyncio.to_thread(advise, pictures, folders)
        shown = Shown(id_, editor, dataset, folders, pictures, found, changes, advice)
        texts = texts_for(str(interaction.locale))
        alone = shown.open
        if alone is not None:
            large = await self._large(alone)
            page = picture_page(shown, alone, texts, notes, in_sight=large is not None)
            await redraw(interaction, page, [large] if large is not None else [])
            return
        await redraw(interaction, editor_page(shown, texts, notes), await self._files(editor, found))

    async def _files(self, editor: CaptionEditor, found: Found) -> list[discord.File]:
        if editor.cloud:
            if not found.counts:
                return []
            cloud = await asyncio.to_thread(cloud_picture, found.counts, editor.chosen)
            return [discord.File(io.BytesIO(cloud), CLOUD_NAME)]
        return await asyncio.to_thread(tiles, found.page(editor), self._inputs)

    async def _large(self, picture: Picture) -> discord.File | None:
        try:
            return await asyncio.to_thread(large_tile, await self._inputs.read(picture.ref))
        except MissingPictureError:
            return None
