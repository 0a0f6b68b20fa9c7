"""What each sub-command of /model-admin about one model answers, and each button below those answers.

Whoever gets here may administer: `Stewards` tells whether as a server's admin or as the operator.
"""

from __future__ import annotations

import asyncio

import discord

from bot.domain.mentions import neutral, spoken
from bot.domain.model_rules import EVERYWHERE, ModelDefaults
from bot.errors import UserFacingError
from bot.library import Library, LibraryFile
from bot.storage.model_audit import ModelAudit
from bot.studio.attachments import Attachments
from bot.studio.model_admin.files import ModelFiles
from bot.studio.model_admin.reporting import Reporting
from bot.studio.model_admin.reports import defaults_text, plain_card, rules_text
from bot.studio.model_admin.ruling import Ruling, Target
from bot.studio.model_admin.telling import answer, texts_of, wait
from bot.studio.model_admin.trials import TESTABLE, Trials
from bot.studio.models import Models
from bot.studio.shelf_cards import facts_of, name_line
from bot.studio.shelves import PREVIEW_PX, pictures_of
from bot.studio.stewards import Stewards
from bot.studio.where import where_of
from bot.ui.buttons import AddressButton, button
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import say

__all__ = ["ADMIN_VERBS", "ModelAdmin"]

ADMIN_VERBS = (Verb.MODEL_UNDO, Verb.MODEL_TEST, Verb.MODEL_ENABLE, Verb.TEST_ENABLE)


class ModelAdmin:
    def __init__(
        self,
        *,
        library: Library,
        files: ModelFiles,
        ruling: Ruling,
        trials: Trials,
        reporting: Reporting,
        models: Models,
        audit: ModelAudit,
        stewards: Stewards,
        attachments: Attachments,
    ) -> None:
        self._library = library
        self._files = files
        self._ruling = ruling
        self._trials = trials
        self._reporting = reporting
        self._models = models
        self._audit = audit
        self._stewards = stewards
        self._attachments = attachments

    # --- files --------------------------------------------------------------------------------------------------------

    async def remove(self, interaction: Interaction, model: str) -> None:
        steward, texts = self._stewards.commanding(interaction), texts_of(interaction)
        await wait(interaction)
        file, undo_id = await self._files.remove(model, steward)
        text = texts("model_admin.removed", name=spoken(file.name))
        undo = button(Verb.MODEL_UNDO, undo_id, texts("model_admin.undo"), emoji="↩️")
        await answer(interaction, plain_card(text, [undo]))

    async def rename(self, interaction: Interaction, model: str, name: str) -> None:
        steward, texts = self._stewards.commanding(interaction), texts_of(interaction)
        await wait(interaction)
        before, after = await self._files.rename(model, name, steward)
        await say(interaction, texts("model_admin.renamed", name=spoken(before.name), new_name=spoken(after.name)))

    async def note(self, interaction: Interaction, model: str, text: str) -> None:
        steward, texts = self._stewards.commanding(interaction), texts_of(interaction)
        await wait(interaction)
        file = await self._files.note(model, text, steward)
        key = "model_admin.noted" if file.note else "model_admin.note_gone"
        await say(interaction, texts(key, name=spoken(file.name)))

    async def preview(self, interaction: Interaction, model: str, picture: discord.Attachment | None) -> None:
        steward, texts = self._stewards.commanding(interaction), texts_of(interaction)
        self._files.theirs(model, steward)
        data = b""
        if picture is not None:
            self._attachments.check(picture)
        await wait(interaction)
        if picture is not None:
            data = await self._attachments.fetch(picture)
        file = await self._files.preview(model, data, steward)
        key = "model_admin.previewed" if picture is not None else "model_admin.preview_gone"
        await say(interaction, texts(key, name=spoken(file.name)))

    async def info(self, interaction: Interaction, model: str) -> None:
        steward, texts = self._stewards.commanding(interaction), texts_of(interaction)
        file = self._files.named(model)
        await wait(interaction)
        favourite = file.id in self._ruling.favourites(interaction.guild_id)
        facts = facts_of(file, texts, self._models.measured(file), full=True)
        text = f"### {name_line(file, favourite=favourite)}\n{facts}"
        if steward.operator:
            text += f"\n-# `{neutral(str(file.path), 200)}`"
        rules = self._ruling.said(steward, file)
        if rules:
            text += "\n" + rules_text(rules, {file.id: file.name}, texts)
        buttons: list[AddressButton] = []
        if file.problem is None and file.kind in TESTABLE:
            buttons.append(button(Verb.MODEL_TEST, file.id, texts("model_admin.test"), emoji="🧪"))
        if self._ruling.helps(file, steward, where_of(interaction)):
            buttons.append(button(Verb.MODEL_ENABLE, file.id, texts("button.enable"), emoji="✅"))
        names, pictures = await asyncio.to_thread(pictures_of, [file], PREVIEW_PX)
        view = plain_card(text, buttons, picture=names.get(file.id))
        await interaction.edit_original_response(view=view, attachments=pictures)

    # --- rules --------------------------------------------------------------------------------------------------------

    async def allow(
        self,
        interaction: Interaction,
        model: str,
        *,
        enabled: bool,
        channel_id: int | None,
        role_id: int | None,
        everywhere: bool,
    ) -> None:
        steward, texts = self._stewards.commanding(interaction), texts_of(interaction)
        file = self._files.named(model)
        target = Target(steward, channel_id=channel_id, role_id=role_id, everywhere=everywhere)
        await wait(interaction)
        lifted = await self._ruling.allow(file, steward, target, enabled=enabled)
        place = (
            texts("model_admin.place_everywhere")
            if target.guild_id == EVERYWHERE
            else target.mention or texts("model_admin.place_server")
        )
        key = "model_admin.enabled" if enabled else "model_admin.disabled"
        text = texts(key, name=spoken(file.name), place=place)
        await say(interaction, text + (" " + texts("model_admin.lifted") if lifted else ""))

    async def rules(self, interaction: Interaction, model: str | None, *, clear: bool) -> None:
        """Raises UserFacingError: `rules_clear_which`."""
        steward, texts = self._stewards.commanding(interaction), texts_of(interaction)
        file = self._files.named(model) if model is not None else None
        if clear:
            if file is None:
                raise UserFacingError("rules_clear_which")
            n = await self._ruling.clear(file, steward)
            await say(interaction, texts("model_admin.rules_cleared", n=n, name=spoken(file.name)))
            return
        names = {found.id: found.name for found in self._library.files()}
        await answer(interaction, plain_card(rules_text(self._ruling.said(steward, file), names, texts)))

    async def favourite(self, interaction: Interaction, model: str, *, on: bool) -> None:
        steward, texts = self._stewards.commanding(interaction), texts_of(interaction)
        file = self._files.named(model)
        await self._ruling.favourite(file, steward, on=on)
        key = "model_admin.favourite" if on else "model_admin.unfavourite"
        await say(interaction, texts(key, name=spoken(file.name)))

    async def defaults(
        self, interaction: Interaction, wanted: ModelDefaults, *, channel_id: int | None, clear: bool
    ) -> None:
        steward, texts = self._stewards.commanding(interaction), texts_of(interaction)
        if wanted.empty and not clear:
            now = self._ruling.defaults(steward, channel_id)
        else:
            now = await self._ruling.set_defaults(steward, where_of(interaction), channel_id, wanted, clear=clear)
        place = f"<#{channel_id}>" if channel_id else ""
        await answer(interaction, plain_card(defaults_text(now, place, texts)))

    async def test(self, interaction: Interaction, model: str) -> None:
        steward = self._stewards.commanding(interaction)
        await self._trials.draw(interaction, self._files.named(model), steward)

    # --- buttons ------------------------------------------------------------------------------------------------------

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the button's door tells it."""
        match address.verb:
            case Verb.MODEL_UNDO:
                await self._undo(interaction, address)
            case Verb.MODEL_TEST:
                await self._trials.draw(interaction, self._file(address.id), self._stewards.pressing(interaction))
            case Verb.MODEL_ENABLE:
                await self._enable(interaction, self._file(address.id))
            case Verb.TEST_ENABLE:
                self._stewards.pressing(interaction)
                test = await self._audit.test(address.id)
                if test is None:
                    raise UserFacingError("model_gone")
                await self._enable(interaction, self._file(test.file_id))
            case _:
                raise UserFacingError("button_unknown")

    async def _undo(self, interaction: Interaction, address: Address) -> None:
        """Below a removal's answer, or on the page `n` of the log, which shows it then."""
        texts, steward = texts_of(interaction), self._stewards.presses(interaction)
        await interaction.response.defer()
        file = await self._files.undo(address.id, steward, interaction.user.id)
        text = texts("model_admin.restored", name=spoken(file.name))
        if address.n is None:
            await interaction.edit_original_response(view=plain_card(text))
            return
        if steward is not None:
            await interaction.edit_original_response(view=await self._reporting.audit_page(steward, address.n, texts))
        await say(interaction, text)

    async def _enable(self, interaction: Interaction, file: LibraryFile) -> None:
        texts = texts_of(interaction)
        steward = self._stewards.pressing(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        if self._ruling.enabled(file, where_of(interaction)):
            await say(interaction, texts("model_admin.enabled_already", name=spoken(file.name)))
            return
        lifted = await self._ruling.enable(file, steward)
        place = texts("model_admin.place_everywhere" if steward.place == EVERYWHERE else "model_admin.place_server")
        text = texts("model_admin.enabled", name=spoken(file.name), place=place)
        await say(interaction, text + (" " + texts("model_admin.lifted") if lifted else ""))

    def _file(self, id_: str) -> LibraryFile:
        file = self._library.get(id_)
        if file is None:
            raise UserFacingError("model_gone")
        return file
