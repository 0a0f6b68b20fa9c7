"""The pictures of a data set: one by itself, several of a page, those that nearly equal others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bot.domain.mentions import neutral
from bot.domain.training.datasets import Dataset
from bot.errors import UserFacingError
from bot.storage.datasets import Datasets
from bot.storage.images import MissingPictureError
from bot.storage.inputs import InputPictures
from bot.studio.datasets.cards import PAIRS, near_card, picture_card
from bot.studio.datasets.folders import Folders
from bot.studio.datasets.forms import TAKE_OUT, choose_form, row_of
from bot.studio.datasets.rules import DatasetRules
from bot.studio.datasets.showing import DatasetShowing
from bot.studio.datasets.tiles import large_tile, tiles
from bot.studio.styles.telling import texts_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb, encode
from bot.ui.forms import OPTIONS_LIMIT, field_values, fields_of
from bot.ui.redraw import begin_redraw, redraw
from bot.ui.selects import chosen_value, chosen_values, offered_values

__all__ = ["DatasetPictures"]


class DatasetPictures:
    def __init__(
        self,
        *,
        datasets: Datasets,
        inputs: InputPictures,
        folders: Folders,
        rules: DatasetRules,
        showing: DatasetShowing,
    ) -> None:
        self._datasets = datasets
        self._inputs = inputs
        self._folders = folders
        self._rules = rules
        self._showing = showing

    async def open(self, interaction: Interaction, dataset: Dataset, picture_id: str, page: int) -> None:
        """Its own page. Raises UserFacingError (`dataset_picture_gone`)."""
        picture = await self._showing.picture(dataset, picture_id)
        await begin_redraw(interaction)
        file = None
        if self._rules.may_show(interaction, dataset):
            try:
                file = await asyncio.to_thread(large_tile, await self._inputs.read(picture.ref))
            except MissingPictureError:
                file = None
        folders = await self._datasets.folders(dataset.id)
        view = picture_card(dataset, folders, picture, page, texts_of(interaction), shown=file is not None)
        await redraw(interaction, view, [file] if file is not None else [])

    async def one(self, interaction: Interaction, address: Address) -> None:
        """The buttons of that page. Raises UserFacingError: `dataset_picture_gone`, `dataset_folder_gone`."""
        found = await self._datasets.with_picture(address.id)
        if found is None or found.user_id != interaction.user.id:
            raise UserFacingError("dataset_picture_gone")
        if address.verb == Verb.DATASET_REMOVE:
            await begin_redraw(interaction)
            await self._datasets.remove_pictures(found.id, [address.id])
            await self._showing.redraw(interaction, found)
            return
        folder = await self._folders.of(found, chosen_value(interaction))
        await begin_redraw(interaction)
        await self._datasets.move_pictures(found.id, [address.id], folder.id)
        note = texts_of(interaction)("dataset.moved", n=1, name=neutral(folder.name))
        await self._showing.redraw(interaction, found, note=note)

    async def choose(self, interaction: Interaction, dataset: Dataset, page: int) -> None:
        """The form about several of a page. Raises UserFacingError (`dataset_picture_gone`)."""
        on_page = await self._showing.on_page(dataset, page)
        if not on_page:
            raise UserFacingError("dataset_picture_gone")
        folders = await self._datasets.folders(dataset.id)
        await interaction.response.send_modal(choose_form(dataset, page, on_page, folders, texts_of(interaction)))

    async def chosen(self, interaction: Interaction, dataset: Dataset, page: int) -> None:
        """That form, sent. Raises UserFacingError: `dataset_none_chosen`, `dataset_folder_gone`."""
        rows = {
            row_of(number, one)[:100]: one.id
            for number, one in enumerate(await self._showing.on_page(dataset, page), 1)
        }
        ids = [rows[row] for row in field_values(interaction, "pictures") if row in rows]
        if not ids:
            raise UserFacingError("dataset_none_chosen")
        way, texts = fields_of(interaction).get("way", ""), texts_of(interaction)
        if way == TAKE_OUT:
            await begin_redraw(interaction)
            note = texts("dataset.taken_out", n=await self._datasets.remove_pictures(dataset.id, ids))
        else:
            folder = await self._folders.of(dataset, way)
            await begin_redraw(interaction)
            moved = await self._datasets.move_pictures(dataset.id, ids, folder.id)
            note = texts("dataset.moved", n=moved, name=neutral(folder.name))
        await self._showing.redraw(interaction, dataset, page, note)

    async def near(self, interaction: Interaction, dataset: Dataset) -> None:
        """Those that wait for a word, beside what they resemble."""
        await begin_redraw(interaction)
        waiting = await self._datasets.waiting(dataset.id)
        if not waiting:
            await self._showing.redraw(interaction, dataset)
            return
        shown = self._rules.may_show(interaction, dataset)
        pairs = [one for each in waiting[:PAIRS] for one in (each.picture, each.like)]
        files = await asyncio.to_thread(tiles, pairs, self._inputs) if shown else []
        await redraw(interaction, near_card(dataset, waiting, texts_of(interaction), shown=shown), files)

    async def answer_near(self, interaction: Interaction, address: Address, dataset: Dataset) -> None:
        """The word about them."""
        await begin_redraw(interaction)
        asked = offered_values(interaction, encode(Verb.DATASET_NEAR_PICK, dataset.id))
        keep: Sequence[str] = chosen_values(interaction)
        if address.verb == Verb.DATASET_NEAR:
            if len(asked) >= OPTIONS_LIMIT:  # "all" are more than the list holds
                asked = [one.picture.id for one in await self._datasets.waiting(dataset.id)]
            keep = asked if address.n == 1 else []
        # What came later, or is not in the list, waits on.
        taken, left = await self._datasets.answer_waiting(dataset.id, keep, asked=asked)
        await self._inputs.discard_unused(left)
        await self._showing.redraw(interaction, dataset, note=texts_of(interaction)("dataset.near_taken", n=taken))
