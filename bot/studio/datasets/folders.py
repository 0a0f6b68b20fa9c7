"""The folders of a data set: found by name, made, changed, joined, removed."""

from __future__ import annotations

from bot.domain.mentions import neutral
from bot.domain.training.datasets import Dataset, Folder
from bot.domain.training.names import check_class_tokens, check_repeats
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.datasets import Datasets
from bot.studio.datasets.forms import folder_form
from bot.studio.datasets.rules import DatasetRules
from bot.ui.client import Interaction
from bot.ui.codec import Address
from bot.ui.forms import fields_of

__all__ = ["Folders", "folder_label"]

NEW = "new"


def folder_label(folder: Folder) -> str:
    """As a command's option has it; no two folders of a data set have the same."""
    return f"reg/{folder.name}" if folder.is_reg else folder.name


class Folders:
    def __init__(self, datasets: Datasets, rules: DatasetRules) -> None:
        self._datasets = datasets
        self._rules = rules

    async def named(self, dataset: Dataset, name: str | None) -> Folder:
        """None: the first one of what is learnt. Raises UserFacingError (`dataset_folder_unknown`)."""
        folders = await self._datasets.folders(dataset.id)
        if name is None:
            return folders[0]
        wanted = name.strip().casefold()
        found = next((one for one in folders if folder_label(one).casefold() == wanted), None)
        if found is None:
            raise UserFacingError("dataset_folder_unknown", name=neutral(name, 60))
        return found

    async def of(self, dataset: Dataset, folder_id: str) -> Folder:
        """Raises UserFacingError (`dataset_folder_gone`)."""
        for one in await self._datasets.folders(dataset.id):
            if one.id == folder_id:
                return one
        raise UserFacingError("dataset_folder_gone")

    async def open(self, interaction: Interaction, dataset: Dataset, chosen: str) -> None:
        folder = None if chosen == NEW else await self.of(dataset, chosen)
        form = folder_form(dataset, folder, texts_for(str(interaction.locale)))
        await interaction.response.send_modal(form)

    async def submitted(self, interaction: Interaction, address: Address) -> tuple[Dataset, str]:
        """What the form about a folder says is done; returns the sentence about it. Raises UserFacingError:
        `dataset_gone`, `dataset_repeats`, `dataset_tokens_…`, `dataset_folder_…`, whatever refuses words."""
        folder = None if address.n == 1 else await self._datasets.folder(address.id)
        dataset = await self._datasets.get(address.id if folder is None else folder.dataset_id)
        if dataset is None or dataset.user_id != interaction.user.id:
            raise UserFacingError("dataset_gone")
        fields = fields_of(interaction)
        if folder is not None and fields.get("remove") == "True":
            return dataset, await self.remove(interaction, folder)
        repeats, tokens = check_repeats(fields.get("repeats", "")), fields.get("tokens", "")
        return dataset, await self.put(
            interaction, dataset, folder, repeats, tokens, is_reg=fields.get("reg") == "True"
        )

    async def put(
        self,
        interaction: Interaction,
        dataset: Dataset,
        folder: Folder | None,
        repeats: int,
        tokens: str,
        *,
        is_reg: bool,
    ) -> str:
        """Changes it, or makes a new one."""
        tokens, texts = check_class_tokens(tokens), texts_for(str(interaction.locale))
        await self._rules.require(interaction, [dataset.name, tokens])
        if folder is None:
            made = await self._datasets.add_folder(dataset.id, repeats, tokens, is_reg=is_reg)
            return texts("dataset.folder_made", name=neutral(made.name))
        changed = await self._datasets.change_folder(folder.id, repeats, tokens, is_reg=is_reg)
        return texts("dataset.folder_changed", name=neutral(changed.name))

    async def remove(self, interaction: Interaction, folder: Folder) -> str:
        await self._datasets.remove_folder(folder.id)
        return texts_for(str(interaction.locale))("dataset.folder_removed", name=neutral(folder.name))
