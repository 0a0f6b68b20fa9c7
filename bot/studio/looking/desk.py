"""Everything that begins with a finished picture: commands and menus point at one, buttons lead on from there."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import discord

from bot.domain import actions
from bot.domain.enlarging import Enlargement
from bot.domain.ids import ImageId, JobId, UserId
from bot.domain.imagine import Built, ImagineOptions
from bot.domain.job import Action, Job
from bot.domain.mentions import neutral
from bot.domain.notes import named
from bot.domain.pasted import read_pasted
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.finds import Find, Finds, FoundPicture
from bot.storage.inputs import given_pictures
from bot.storage.jobs import Jobs
from bot.storage.styles import Styles
from bot.studio.looking.blending import ImagePrompting
from bot.studio.looking.describing import CHARACTER, GENERAL, Describing
from bot.studio.looking.enlarging import Enlarging
from bot.studio.looking.info_card import TEXT_FILE, Info, info_card
from bot.studio.looking.pointed import Pointed
from bot.studio.looking.style_form import found_style_form, sent_style
from bot.studio.looking.tiling import Tiling
from bot.studio.models import Models
from bot.studio.notes import told
from bot.studio.panels import Panels
from bot.studio.reading import PictureReader
from bot.studio.requests import Requests
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import say
from bot.ui.forms import fields_of
from bot.ui.selects import chosen_value
from gpu_worker.protocol.specs import Drawing, JobSpec

__all__ = ["LOOKING_FORMS", "LOOKING_VERBS", "Looking"]

LOOKING_VERBS = (
    Verb.ENLARGE, Verb.INFO, Verb.FIND, Verb.FIND_DESCRIBE, Verb.FIND_ENLARGE, Verb.USE_FOUND, Verb.STYLE_FOUND,
    Verb.ULTIMATE, Verb.USE_SEEN, Verb.DRAW_TAGS, Verb.EDIT_TAGS, Verb.FIND_PROMPT,
)  # fmt: skip
LOOKING_FORMS = (
    Verb.ENLARGE_FORM,
    Verb.ULTIMATE_FORM,
    Verb.EDIT_TAGS_FORM,
    Verb.STYLE_FOUND_FORM,
    Verb.FIND_PROMPT_FORM,
)


class Restored(Protocol):
    async def __call__(self, interaction: Interaction, built: Built, *, panel: bool) -> Built: ...


class Looking:
    def __init__(
        self,
        *,
        finds: Finds,
        jobs: Jobs,
        styles: Styles,
        pointed: Pointed,
        reader: PictureReader,
        requests: Requests,
        models: Models,
        panels: Panels,
        describing: Describing,
        enlarging: Enlarging,
        prompting: ImagePrompting,
        tiling: Tiling,
    ) -> None:
        self._tiling = tiling
        self._finds = finds
        self._jobs = jobs
        self._styles = styles
        self._pointed = pointed
        self._reader = reader
        self._requests = requests
        self._models = models
        self._panels = panels
        self._describing = describing
        self._enlarging = enlarging
        self._prompting = prompting
        self.restored: Restored
        """Set by whoever wires the parts: gives the control units of a text their pictures."""

    # --- what commands and menus ask ----------------------------------------------------------------------------------

    async def info(self, interaction: Interaction, pictures: Sequence[FoundPicture]) -> None:
        """Answers with the card, which only the asker sees. Raises UserFacingError: those of `Pointed.read`."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        find = await self._finds.add(UserId(interaction.user.id), tuple(pictures))
        await self._show(interaction, find, 0)

    async def describe(
        self,
        interaction: Interaction,
        pictures: Sequence[FoundPicture],
        *,
        tagger: str | None = None,
        general: float = GENERAL,
        character: float = CHARACTER,
    ) -> None:
        """Of several the first; the card of all of them has a button for each. Without any tagger, what the picture
        says itself is shown. Raises UserFacingError as `Describing.begin`."""
        try:
            self._describing.tagger(interaction, tagger)
        except UserFacingError as error:
            if error.key != "tagger_none":
                raise
            await self._without_tagger(interaction, pictures, error)
            return
        if len(pictures) > 1:
            await self.info(interaction, pictures)
            return
        await self._describing.begin(interaction, pictures[0], tagger=tagger, general=general, character=character)

    async def enlarge(self, interaction: Interaction, picture: FoundPicture, wish: Enlargement) -> None:
        await self._enlarging.begin(interaction, picture, wish)

    async def enlarge_form(self, interaction: Interaction, pictures: Sequence[FoundPicture]) -> None:
        """The form, for one picture; of several the asker chooses first."""
        if len(pictures) > 1:
            await self.info(interaction, pictures)
            return
        find = await self._finds.add(UserId(interaction.user.id), tuple(pictures))
        await interaction.response.send_modal(self._enlarging.form(interaction, find, 0))

    async def ultimate_form(self, interaction: Interaction, picture: FoundPicture) -> None:
        """Raises UserFacingError (`picture_unknown`): a form for what is gone would be filled in vain."""
        await self._pointed.ours(picture)
        find = await self._finds.add(UserId(interaction.user.id), (picture,))
        await interaction.response.send_modal(self._tiling.form(interaction, find, 0))

    async def prompt_form(self, interaction: Interaction, pictures: Sequence[FoundPicture]) -> None:
        """The form that draws with it as an image prompt; of several the asker chooses first."""
        if len(pictures) > 1:
            await self.info(interaction, pictures)
            return
        find = await self._finds.add(UserId(interaction.user.id), tuple(pictures))
        await interaction.response.send_modal(self._prompting.form(interaction, find, 0))

    async def _without_tagger(
        self, interaction: Interaction, pictures: Sequence[FoundPicture], error: UserFacingError
    ) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        find = await self._finds.add(UserId(interaction.user.id), tuple(pictures))
        find = await self._read(find, 0)
        if not find.pictures[0].infotext:
            raise error
        texts = texts_for(str(interaction.locale))
        await self._show(interaction, find, 0, notes=(texts(f"error.{error.key}"),))

    # --- presses ------------------------------------------------------------------------------------------------------

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the button's door tells it."""
        match address.verb:
            case Verb.INFO:
                await self.info(interaction, [FoundPicture(image_id=ImageId(address.id))])
            case Verb.ENLARGE:
                await self.enlarge_form(interaction, [FoundPicture(image_id=ImageId(address.id))])
            case Verb.ULTIMATE:
                await self.ultimate_form(interaction, FoundPicture(image_id=ImageId(address.id)))
            case Verb.DRAW_TAGS:
                await self._describing.draw(interaction, await self._job(address))
            case Verb.EDIT_TAGS:
                await interaction.response.send_modal(
                    await self._describing.form(interaction, await self._job(address))
                )
            case Verb.USE_SEEN:
                job = await self._job(address)
                if job.description is None or not job.description.infotext:
                    raise UserFacingError("nothing_seen")
                await self._use_text(interaction, job.description.infotext, private=job.private)
            case _:
                await self._pressed_find(interaction, address)

    async def _pressed_find(self, interaction: Interaction, address: Address) -> None:
        find = await self._find(interaction, address)
        if address.verb == Verb.FIND:
            chosen = chosen_value(interaction)
            number = int(chosen) if chosen.isdecimal() else 0
            await interaction.response.defer()
            await self._show(interaction, find, min(number, len(find.pictures) - 1))
            return
        number = self._number(find, address)
        match address.verb:
            case Verb.FIND_DESCRIBE:
                await self._describing.begin(interaction, find.pictures[number])
            case Verb.FIND_ENLARGE:
                await self._pointed.ours(find.pictures[number])  # a form for what is gone would be filled in vain
                await interaction.response.send_modal(self._enlarging.form(interaction, find, number))
            case Verb.FIND_PROMPT:
                await self._pointed.ours(find.pictures[number])
                await interaction.response.send_modal(self._prompting.form(interaction, find, number))
            case Verb.USE_FOUND:
                await self._use(interaction, find, number)
            case Verb.STYLE_FOUND:
                spec = await self._spec(interaction, find, number)
                await interaction.response.send_modal(
                    found_style_form(find, number, spec, texts_for(str(interaction.locale)))
                )
            case _:
                raise UserFacingError("button_unknown")

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; on_interaction tells it."""
        fields = fields_of(interaction)
        match address.verb:
            case Verb.EDIT_TAGS_FORM:
                await self._describing.submitted(interaction, await self._job(address), fields)
            case Verb.ENLARGE_FORM:
                find = await self._find(interaction, address)
                await self._enlarging.submitted(interaction, find.pictures[self._number(find, address)], fields)
            case Verb.ULTIMATE_FORM:
                find = await self._find(interaction, address)
                await self._tiling.submitted(interaction, find.pictures[self._number(find, address)], fields)
            case Verb.FIND_PROMPT_FORM:
                find = await self._find(interaction, address)
                await self._prompting.submitted(interaction, find.pictures[self._number(find, address)], fields)
            case Verb.STYLE_FOUND_FORM:
                find = await self._find(interaction, address)
                await self._save_style(interaction, await self._spec(interaction, find, self._number(find, address)))
            case _:
                raise UserFacingError("form_unknown")

    # --- parts --------------------------------------------------------------------------------------------------------

    async def _show(self, interaction: Interaction, find: Find, number: int, *, notes: tuple[str, ...] = ()) -> None:
        """On the answer, which is acknowledged already."""
        find = await self._read(find, number)
        texts = texts_for(str(interaction.locale))
        picture = find.pictures[number]
        info = Info(
            find=find.id,
            number=number,
            others=tuple([await self._name(each, at) for at, each in enumerate(find.pictures)]),
            infotext=picture.infotext or None,
            ours=await self._pointed.ours(picture),
            notes=notes,
        )
        if info.infotext is not None:
            styles = await self._requests.styles_in(interaction, info.infotext)
            info = replace(info, notes=(*notes, *self._lacks(interaction, info.infotext), *styles))
        view, whole = info_card(info, texts)
        files = [discord.File(io.BytesIO(whole.encode()), TEXT_FILE)] if whole is not None else []
        await interaction.edit_original_response(view=view, attachments=files)

    async def _name(self, picture: FoundPicture, at: int) -> str:
        ours = await self._pointed.ours(picture) if picture.image_id is not None else None
        return f"{ours[1].id}-{ours[0].index + 1}" if ours is not None else (picture.filename or str(at + 1))

    async def _read(self, find: Find, number: int) -> Find:
        """With the picture's text read; once is enough. Raises UserFacingError: those of `Pointed.read`."""
        picture = find.pictures[number]
        if picture.infotext is not None:
            return find
        ours = await self._pointed.ours(picture)
        if ours is not None:
            text = ours[0].infotext
        else:
            text = await self._reader.infotext(await self._pointed.read(picture)) or ""
        return await self._finds.change(find, number, picture.model_copy(update={"infotext": text}))

    def _lacks(self, interaction: Interaction, infotext: str) -> list[str]:
        """Models that the text names and that are not here."""
        try:
            pasted = read_pasted(infotext, self._models.facts(where_of(interaction)))
        except UserFacingError:
            return []
        if pasted is None or not pasted.missing:
            return []
        return [texts_for(str(interaction.locale))("info.missing", names=named(pasted.missing))]

    async def _use(self, interaction: Interaction, find: Find, number: int) -> None:
        ours = await self._pointed.ours(find.pictures[number])
        if ours is not None and isinstance(ours[1].task, Drawing):
            spec = actions.first_pass(actions.picture_spec(ours[1].spec, ours[0].index))
            # Its job is told, so that its given pictures stay those of who gave them.
            given = bool(given_pictures(spec))
            await self._panels.open(
                interaction,
                spec,
                Action.EDIT if given else Action.IMAGINE,
                parent_id=ours[1].id if given else None,
                private=ours[1].private,
            )
            return
        find = await self._read(find, number)
        private = ours is not None and ours[1].private
        await self._use_text(interaction, find.pictures[number].infotext or "", private=private)

    async def _use_text(self, interaction: Interaction, infotext: str, *, private: bool) -> None:
        built = self._requests.build(interaction, ImagineOptions(infotext))
        built = await self.restored(interaction, built, panel=True)
        notes = told(built.notes, texts_for(str(interaction.locale)))
        await self._panels.open(interaction, built.spec, Action.IMAGINE, notes=notes, private=private)

    async def _spec(self, interaction: Interaction, find: Find, number: int) -> JobSpec:
        ours = await self._pointed.ours(find.pictures[number])
        if ours is not None and isinstance(ours[1].task, Drawing):
            return actions.first_pass(ours[1].spec)
        find = await self._read(find, number)
        return self._requests.build(interaction, ImagineOptions(find.pictures[number].infotext or "")).spec

    async def _save_style(self, interaction: Interaction, spec: JobSpec) -> None:
        fields = fields_of(interaction)
        style = sent_style(fields, spec)
        await self._styles.save_own(interaction.user.id, style, replace=fields.get("replace") == "True")
        await say(interaction, texts_for(str(interaction.locale))("reply.style_saved", name=neutral(style.name)))

    async def _find(self, interaction: Interaction, address: Address) -> Find:
        find = await self._finds.get(JobId(address.id))
        if find is None or find.user_id != interaction.user.id:
            raise UserFacingError("find_unknown")
        return find

    @staticmethod
    def _number(find: Find, address: Address) -> int:
        number = address.n or 0
        if number >= len(find.pictures):
            raise UserFacingError("find_unknown")
        return number

    async def _job(self, address: Address) -> Job:
        job = await self._jobs.get(JobId(address.id))
        if job is None:
            raise UserFacingError("job_unknown")
        return job
