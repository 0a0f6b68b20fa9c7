"""Which data set somebody means, and its card."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from bot.domain.mentions import neutral
from bot.domain.training.datasets import Dataset, Held, Picture
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.storage.datasets import Datasets
from bot.storage.inputs import InputPictures
from bot.studio.datasets.cards import PAGE, Shown, dataset_card
from bot.studio.datasets.rules import DatasetRules
from bot.studio.datasets.tiles import tiles
from bot.studio.styles.telling import texts_of
from bot.ui.buttons import AddressButton
from bot.ui.client import Interaction
from bot.ui.redraw import begin_redraw, redraw

__all__ = ["DatasetShowing", "More"]

More = Callable[[Dataset, int, Texts], Awaitable[Sequence[AddressButton]]]


class DatasetShowing:
    def __init__(
        self,
        *,
        datasets: Datasets,
        inputs: InputPictures,
        rules: DatasetRules,
        room_bytes: int,
        more: Sequence[More] = (),
    ) -> None:
        """`more` are other desks' buttons on the card, for a data set and how many pictures it has."""
        self._datasets = datasets
        self._inputs = inputs
        self._rules = rules
        self._room_bytes = room_bytes
        self._more = more

    async def named(self, interaction: Interaction, name: str) -> Dataset:
        """One's own. Raises UserFacingError (`dataset_unknown`)."""
        found = await self._datasets.by_name(interaction.user.id, name)
        if found is None:
            raise UserFacingError("dataset_unknown", name=neutral(name, 60))
        return found

    async def of(self, interaction: Interaction, dataset_id: str) -> Dataset:
        """One's own. Raises UserFacingError (`dataset_gone`)."""
        found = await self._datasets.get(dataset_id)
        if found is None or found.user_id != interaction.user.id:
            raise UserFacingError("dataset_gone")
        return found

    async def picture(self, dataset: Dataset, picture_id: str) -> Picture:
        """Raises UserFacingError (`dataset_picture_gone`)."""
        for one in await self._datasets.pictures(dataset.id):
            if one.id == picture_id:
                return one
        raise UserFacingError("dataset_picture_gone")

    async def on_page(self, dataset: Dataset, page: int) -> list[Picture]:
        return (await self._datasets.pictures(dataset.id))[page * PAGE : (page + 1) * PAGE]

    async def redraw(self, interaction: Interaction, dataset: Dataset, page: int = 0, note: str = "") -> None:
        """Below what was pressed, or as an answer."""
        await begin_redraw(interaction)
        await self.put(interaction, dataset, page, note)

    async def put(self, interaction: Interaction, dataset: Dataset, page: int = 0, note: str = "") -> None:
        """After an answer was deferred."""
        dataset = await self.of(interaction, dataset.id)
        pictures = await self._datasets.pictures(dataset.id)
        texts = texts_of(interaction)
        page = min(page, max(0, -(-len(pictures) // PAGE) - 1))
        shown = Shown(
            dataset,
            await self._datasets.folders(dataset.id),
            pictures,
            waiting=len(await self._datasets.waiting(dataset.id)),
            removable=await self._datasets.removable(dataset.id),
            owned=await self._datasets.held_by(dataset.user_id),
            room_bytes=self._room_bytes,
            page=page,
            visible=self._rules.may_show(interaction, dataset),
            note=note,
            more=[one for more in self._more for one in await more(dataset, len(pictures), texts)],
        )
        files = await asyncio.to_thread(tiles, shown.on_page, self._inputs) if shown.visible else []
        await redraw(interaction, dataset_card(shown, texts), files)

    async def own(self, interaction: Interaction) -> list[tuple[Dataset, Held]]:
        """This person's data sets, with how much is in each."""
        return [(one, await self._datasets.held(one.id)) for one in await self._datasets.of_user(interaction.user.id)]
