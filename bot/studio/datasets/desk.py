"""What /dataset and the buttons below its cards do. Every card is for its data set's user alone."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Sequence

import discord

from bot.domain.ids import GuildId, ImageId, UserId
from bot.domain.mentions import neutral
from bot.domain.training.datasets import DEFAULT_REPEATS, Dataset
from bot.domain.training.names import check_class_tokens, check_dataset_name, check_repeats
from bot.errors import UserFacingError
from bot.storage.datasets import Datasets
from bot.storage.finds import FoundPicture
from bot.storage.inputs import InputPictures
from bot.studio.datasets.adding import Report
from bot.studio.datasets.cards import (
    PAIRS,
    asked_card,
    into_card,
    list_card,
    plain_card,
    report_card,
    report_lines,
)
from bot.studio.datasets.coming import Coming
from bot.studio.datasets.exporting import DatasetExport
from bot.studio.datasets.folders import Folders, folder_label
from bot.studio.datasets.forms import add_form, new_form
from bot.studio.datasets.pictures import DatasetPictures
from bot.studio.datasets.rules import DatasetRules
from bot.studio.datasets.showing import DatasetShowing
from bot.studio.datasets.tiles import tiles
from bot.studio.styles.telling import texts_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.forms import fields_of, uploaded
from bot.ui.redraw import begin_redraw, redraw
from bot.ui.selects import chosen_value

__all__ = ["DATASET_FORMS", "DATASET_VERBS", "DatasetDesk", "Train"]

DATASET_VERBS = (
    Verb.DATASET, Verb.DATASET_OPEN, Verb.DATASET_NEW, Verb.DATASET_INTO, Verb.DATASET_IMAGE, Verb.DATASET_HOW,
    Verb.DATASET_PICTURE, Verb.DATASET_MOVE, Verb.DATASET_REMOVE, Verb.DATASET_CHOOSE, Verb.DATASET_FOLDER,
    Verb.DATASET_UNDO, Verb.DATASET_NEAR, Verb.DATASET_NEAR_PICK, Verb.DATASET_EXPORT, Verb.DATASET_DELETE,
    Verb.DATASET_TRAIN,
)  # fmt: skip
DATASET_FORMS = (Verb.DATASET_FORM, Verb.DATASET_ADD_FORM, Verb.DATASET_FOLDER_FORM, Verb.DATASET_CHOOSE_FORM)
NOTHING = "0"
REPORT_FILE_FROM = 15
"""Pictures that were not simply taken: beyond so many a file names them all."""
Train = Callable[[Interaction, Dataset, str], Awaitable[None]]
"""With the trigger word that it suggests."""


class DatasetDesk:
    def __init__(
        self,
        *,
        datasets: Datasets,
        inputs: InputPictures,
        coming: Coming,
        folders: Folders,
        export: DatasetExport,
        rules: DatasetRules,
        showing: DatasetShowing,
        pictures: DatasetPictures,
        room_bytes: int,
        train: Train,
    ) -> None:
        """`train` opens the desk of a training."""
        self._datasets = datasets
        self._inputs = inputs
        self._coming = coming
        self._folders = folders
        self._export = export
        self._rules = rules
        self._room_bytes = room_bytes
        self._train = train
        self._showing = showing
        self._pictures = pictures

    # --- commands -----------------------------------------------------------------------------------------------------

    async def create(self, interaction: Interaction, name: str, tokens: str, repeats: int) -> None:
        """Answers with the form that asks whether they may. Raises UserFacingError: `dataset_name_…`,
        `dataset_tokens_…`, `dataset_exists`."""
        name, tokens = check_dataset_name(name), check_class_tokens(tokens)
        if await self._datasets.by_name(interaction.user.id, name) is not None:
            raise UserFacingError("dataset_exists", name=name)
        await interaction.response.send_modal(new_form(NOTHING, name, tokens, repeats, texts_of(interaction)))

    async def show(self, interaction: Interaction, name: str | None) -> None:
        """By name; without one the only one, or a list. Raises UserFacingError (`dataset_unknown`)."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        if name is None:
            own = await self._datasets.of_user(interaction.user.id)
            if len(own) != 1:
                await self._list(interaction)
                return
            await self._showing.put(interaction, own[0])
            return
        await self._showing.put(interaction, await self._showing.named(interaction, name))

    async def add(
        self,
        interaction: Interaction,
        name: str,
        files: Sequence[discord.Attachment],
        pictures: Sequence[FoundPicture],
        folder: str | None,
    ) -> None:
        """Raises UserFacingError: `dataset_unknown`, `dataset_add_what`, `dataset_folder_unknown`, those of
        `Coming`."""
        if not files and not pictures:
            raise UserFacingError("dataset_add_what")
        dataset = await self._showing.named(interaction, name)
        place = await self._folders.named(dataset, folder)
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self._rules.require(interaction)
        told = self._telling(interaction)
        report = Report()
        if files:
            report = await self._coming.add_files(interaction, dataset, place, files, told)
        if pictures:
            report.join(await self._coming.add_found(interaction, dataset, place, pictures, told))
        await self._report(interaction, dataset, report)

    async def delete(self, interaction: Interaction, name: str) -> None:
        """Asks first."""
        await self._ask_delete(interaction, await self._showing.named(interaction, name))

    async def export(self, interaction: Interaction, name: str) -> None:
        await self._send(interaction, await self._showing.named(interaction, name))

    async def add_folder(self, interaction: Interaction, name: str, repeats: int, tokens: str, *, is_reg: bool) -> None:
        """Raises UserFacingError as `Folders.put`."""
        dataset = await self._showing.named(interaction, name)
        await interaction.response.defer(ephemeral=True, thinking=True)
        note = await self._folders.put(interaction, dataset, None, repeats, tokens, is_reg=is_reg)
        await self._showing.put(interaction, dataset, note=note)

    async def change_folder(
        self,
        interaction: Interaction,
        name: str,
        label: str,
        repeats: int | None,
        tokens: str | None,
        *,
        is_reg: bool | None,
    ) -> None:
        """None leaves as it is. Raises UserFacingError: `dataset_folder_unknown`, those of `Folders.put`."""
        dataset = await self._showing.named(interaction, name)
        folder = await self._folders.named(dataset, label)
        await interaction.response.defer(ephemeral=True, thinking=True)
        note = await self._folders.put(
            interaction,
            dataset,
            folder,
            folder.repeats if repeats is None else repeats,
            folder.class_tokens if tokens is None else tokens,
            is_reg=folder.is_reg if is_reg is None else is_reg,
        )
        await self._showing.put(interaction, dataset, note=note)

    async def remove_folder(self, interaction: Interaction, name: str, label: str, into: str | None) -> None:
        """Its pictures go `into` another one first. Raises UserFacingError: `dataset_folder_unknown`,
        `dataset_folder_holds`, `dataset_folder_last`."""
        dataset = await self._showing.named(interaction, name)
        folder = await self._folders.named(dataset, label)
        target = await self._folders.named(dataset, into) if into is not None else None
        await interaction.response.defer(ephemeral=True, thinking=True)
        if target is not None and target.id != folder.id:
            ids = [one.id for one in await self._datasets.pictures(dataset.id, folder.id)]
            await self._datasets.move_pictures(dataset.id, ids, target.id)
        await self._showing.put(interaction, dataset, note=await self._folders.remove(interaction, folder))

    async def into(self, interaction: Interaction, pictures: Sequence[FoundPicture]) -> None:
        """Pictures that somebody pointed at: into which of their data sets, or into a new one."""
        find = await self._coming.point(interaction, pictures)
        own = await self._showing.own(interaction)
        if own:
            view = into_card(find.id, len(find.pictures), own, texts_of(interaction))
            await _answer(interaction, view)
        else:
            await interaction.response.send_modal(new_form(find.id, "", "", DEFAULT_REPEATS, texts_of(interaction)))

    # --- presses ------------------------------------------------------------------------------------------------------

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `dataset_gone`, `dataset_picture_gone`, `dataset_folder_gone`, `find_unknown`, those
        of commands."""
        match address.verb:
            case Verb.DATASET_NEW:
                if address.id != NOTHING:
                    await self._coming.pointed_at(interaction, address.id)
                form = new_form(address.id, "", "", DEFAULT_REPEATS, texts_of(interaction))
                await interaction.response.send_modal(form)
            case Verb.DATASET_IMAGE:
                await self.into(interaction, [FoundPicture(image_id=ImageId(address.id))])
            case Verb.DATASET_INTO:
                dataset = await self._showing.of(interaction, chosen_value(interaction))
                await self._take_found(interaction, dataset, address.id)
            case Verb.DATASET_MOVE | Verb.DATASET_REMOVE:
                await self._pictures.one(interaction, address)
            case Verb.DATASET_OPEN:
                dataset = await self._showing.of(interaction, chosen_value(interaction))
                await self._showing.redraw(interaction, dataset)
            case _:
                await self._pressed_on(interaction, address, await self._showing.of(interaction, address.id))

    async def _pressed_on(self, interaction: Interaction, address: Address, dataset: Dataset) -> None:
        texts = texts_of(interaction)
        match address.verb, address.n:
            case Verb.DATASET, n:
                await self._showing.redraw(interaction, dataset, n or 0)
            case Verb.DATASET_HOW, _:
                folders = [(one.id, folder_label(one)) for one in await self._datasets.folders(dataset.id)]
                await interaction.response.send_modal(add_form(dataset, folders, texts))
            case Verb.DATASET_PICTURE, n:
                await self._pictures.open(interaction, dataset, chosen_value(interaction), n or 0)
            case Verb.DATASET_CHOOSE, n:
                await self._pictures.choose(interaction, dataset, n or 0)
            case Verb.DATASET_FOLDER, _:
                await self._folders.open(interaction, dataset, chosen_value(interaction))
            case Verb.DATASET_UNDO, _:
                await begin_redraw(interaction)
                back = await self._datasets.bring_back(dataset.id)
                await self._showing.redraw(interaction, dataset, note=texts("dataset.back_in", n=back))
            case (Verb.DATASET_NEAR, 1 | 2) | (Verb.DATASET_NEAR_PICK, _):
                await self._pictures.answer_near(interaction, address, dataset)
            case Verb.DATASET_NEAR, _:
                await self._pictures.near(interaction, dataset)
            case Verb.DATASET_EXPORT, _:
                await self._send(interaction, dataset)
            case Verb.DATASET_TRAIN, _:
                folder = await self._folders.named(dataset, None)
                await self._train(interaction, dataset, folder.class_tokens)
            case Verb.DATASET_DELETE, 1:
                await self._delete(interaction, dataset)
            case Verb.DATASET_DELETE, 2:
                await self._showing.redraw(interaction, dataset)
            case Verb.DATASET_DELETE, _:
                await self._ask_delete(interaction, dataset)
            case _:
                raise UserFacingError("button_unknown")

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `dataset_consent`, `dataset_repeats`, `dataset_none_chosen`, those of commands."""
        if address.verb == Verb.DATASET_FORM:
            await self._made(interaction, address.id)
        elif address.verb == Verb.DATASET_ADD_FORM:
            await self._sent(interaction, await self._showing.of(interaction, address.id))
        elif address.verb == Verb.DATASET_FOLDER_FORM:
            dataset, note = await self._folders.submitted(interaction, address)
            await self._showing.redraw(interaction, dataset, note=note)
        else:
            await self._pictures.chosen(interaction, await self._showing.of(interaction, address.id), address.n or 0)

    # --- making one ---------------------------------------------------------------------------------------------------

    async def _made(self, interaction: Interaction, find_id: str) -> None:
        fields = fields_of(interaction)
        name = check_dataset_name(fields.get("name", ""))
        tokens, repeats = check_class_tokens(fields.get("tokens", "")), check_repeats(fields.get("repeats", ""))
        if fields.get("consent") != "True":
            raise UserFacingError("dataset_consent")
        await begin_redraw(interaction)
        if find_id != NOTHING:  # before there is a data set without them
            await self._coming.pointed_at(interaction, find_id)
        await self._rules.require(interaction, [name, tokens])
        dataset = await self._datasets.create(
            UserId(interaction.user.id),
            name,
            guild_id=GuildId(interaction.guild_id) if interaction.guild_id is not None else None,
            consent_at=time.time(),
            repeats=repeats,
            class_tokens=tokens,
        )
        if find_id != NOTHING:
            await self._take_found(interaction, dataset, find_id)
            return
        how = texts_of(interaction)("dataset.how", name=neutral(dataset.name))
        await self._showing.redraw(interaction, dataset, note=how)

    async def _sent(self, interaction: Interaction, dataset: Dataset) -> None:
        """Files in the form."""
        files = uploaded(interaction, "files")
        if not files:
            raise UserFacingError("dataset_add_what")
        chosen = fields_of(interaction).get("folder")
        place = await (self._folders.of(dataset, chosen) if chosen else self._folders.named(dataset, None))
        await begin_redraw(interaction)
        await self._rules.require(interaction)
        report = await self._coming.add_files(interaction, dataset, place, files, self._telling(interaction))
        await self._report(interaction, dataset, report)

    async def _take_found(self, interaction: Interaction, dataset: Dataset, find_id: str) -> None:
        find = await self._coming.pointed_at(interaction, find_id)
        await begin_redraw(interaction)
        await self._rules.require(interaction)
        place = await self._folders.named(dataset, None)
        told = self._telling(interaction)
        report = await self._coming.add_found(interaction, dataset, place, find.pictures, told)
        await self._report(interaction, dataset, report)

    async def _report(self, interaction: Interaction, dataset: Dataset, report: Report) -> None:
        texts = texts_of(interaction)
        seen = await self._showing.of(interaction, dataset.id)  # it may be marked since
        shown = bool(report.waiting) and self._rules.may_show(interaction, seen)
        files = await self._pair_tiles(report) if shown else []
        await redraw(interaction, report_card(seen, report, texts, shown=shown), files)
        if len(report.left) + len(report.there) + len(report.shortened) > REPORT_FILE_FROM:
            lines = "\n".join(report_lines(seen, report, texts, all_names=True)).replace("\\", "")
            file = discord.File(io.BytesIO(lines.encode()), texts("dataset.report.file"))
            await interaction.followup.send(file=file, ephemeral=True)

    async def _pair_tiles(self, report: Report) -> list[discord.File]:
        pairs = [one for each in report.waiting[:PAIRS] for one in (each.picture, each.like)]
        return await asyncio.to_thread(tiles, pairs, self._inputs)

    def _telling(self, interaction: Interaction) -> Callable[[int, int], Awaitable[object]]:
        async def told(done: int, of: int) -> None:
            text = texts_of(interaction)("dataset.adding", done=done, of=of)
            try:
                await interaction.edit_original_response(view=plain_card(text), attachments=[])
            except discord.HTTPException:  # no reason to stop adding
                return

        return told

    # --- one data set -------------------------------------------------------------------------------------------------

    async def _list(self, interaction: Interaction) -> None:
        owned = await self._datasets.held_by(interaction.user.id)
        view = list_card(await self._showing.own(interaction), owned, self._room_bytes, texts_of(interaction))
        await redraw(interaction, view, [])

    async def _ask_delete(self, interaction: Interaction, dataset: Dataset) -> None:
        held = await self._datasets.held(dataset.id)
        view = asked_card(dataset, held.pictures, texts_of(interaction))
        if interaction.message is not None:
            await redraw(interaction, view, [])
        else:
            await _answer(interaction, view)

    async def _delete(self, interaction: Interaction, dataset: Dataset) -> None:
        await begin_redraw(interaction)
        refs = await self._datasets.delete(dataset.id)
        await self._inputs.discard_unused(refs or [])
        text = texts_of(interaction)("dataset.deleted", name=neutral(dataset.name))
        await redraw(interaction, plain_card(text), [])

    async def _send(self, interaction: Interaction, dataset: Dataset) -> None:
        self._rules.require_shown(interaction, dataset)
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self._export.send(interaction, dataset)


async def _answer(interaction: Interaction, view: discord.ui.LayoutView) -> None:
    """A message of its own, for the asker alone."""
    if interaction.response.is_done():
        await interaction.followup.send(view=view, ephemeral=True)
    else:
        await interaction.response.send_message(view=view, ephemeral=True)
