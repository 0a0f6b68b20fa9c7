"""The tag editor: it shows a data set's captions and changes them, and is where it was after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from bot.domain.captions.editor import CaptionEditor
from bot.domain.captions.operations import changed, common_of, removing, shortened, without_doubles
from bot.domain.ids import JobId
from bot.domain.training.datasets import Dataset
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.caption_editors import CaptionEditors
from bot.storage.jobs import Jobs
from bot.studio.captions.cards import OF_CHOSEN, TAGGED, Step, Work
from bot.studio.captions.changing import CaptionChanges, operation_of
from bot.studio.captions.forms import editor_form, read_filter, read_tagger, tagger_form
from bot.studio.captions.pages import EditorPages
from bot.studio.captions.tagging import Tagging
from bot.studio.datasets.rules import DatasetRules
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import say
from bot.ui.forms import fields_of
from bot.ui.redraw import begin_redraw
from bot.ui.selects import chosen_value, chosen_values
from gpu_worker.language.training.tag_editor import write_tags
from gpu_worker.protocol.specs import Caption

__all__ = ["CAPTION_FORMS", "CAPTION_VERBS", "CaptionDesk", "TaggedCards"]

CAPTION_VERBS = (
    Verb.TAG_EDITOR,
    Verb.CAPTIONS,
    Verb.CAPTIONS_OPEN,
    Verb.CAPTIONS_TAGS,
    Verb.CAPTIONS_WORK,
    Verb.CAPTIONS_DO,
)
CAPTION_FORMS = (Verb.CAPTIONS_FORM,)
_AT_ONCE = {Work.DOUBLES: without_doubles, Work.SHORTEN: shortened}


class CaptionDesk:
    def __init__(
        self,
        *,
        editors: CaptionEditors,
        pages: EditorPages,
        changes: CaptionChanges,
        tagging: Tagging,
        rules: DatasetRules,
    ) -> None:
        self._editors = editors
        self._pages = pages
        self._changes = changes
        self._tagging = tagging
        self._rules = rules

    async def open(self, interaction: Interaction, dataset: Dataset) -> None:
        """Answers with the editor of a data set of this person's, which they alone see. Raises UserFacingError
        (`dataset_elsewhere`)."""
        self._rules.require_shown(interaction, dataset)
        if not interaction.response.is_done():
            await interaction.response.defer(ephemeral=True, thinking=True)
        editor = CaptionEditor(dataset=dataset.id)
        await self._pages.draw(interaction, await self._editors.add(interaction.user.id, editor), editor)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `captions_unknown`, `dataset_gone`, `dataset_elsewhere`, and what refuses a step."""
        if address.verb == Verb.TAG_EDITOR:
            await self.open(interaction, await self._pages.own(interaction, address.id))
            return
        editor, dataset = await self._editor(interaction, address)
        match address.verb:
            case Verb.CAPTIONS:
                page = editor.page if address.n is None else address.n
                await self._go(interaction, address, editor.model_copy(update={"page": page, "open": ""}))
            case Verb.CAPTIONS_OPEN:
                await self._go(interaction, address, editor.model_copy(update={"open": chosen_value(interaction)}))
            case Verb.CAPTIONS_TAGS:
                listed = [tag for tag, _ in (await self._pages.found(editor)).tags(editor)]
                marked = [tag for tag in chosen_values(interaction) if tag in listed]
                await self._go(interaction, address, editor.marked(listed, marked))
            case Verb.CAPTIONS_WORK:
                value = chosen_value(interaction)
                work = Work(int(value)) if value.isdecimal() and int(value) in {*Work} else None
                await self._work(interaction, address, editor, dataset, work)
            case _:
                await self._step(interaction, address, editor, dataset)

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the captions then stay as they were."""
        editor, dataset = await self._editor(interaction, address)
        fields = fields_of(interaction)
        match address.n:
            case Work.FILTER:
                await self._go(interaction, address, read_filter(editor, fields))
            case Work.TAGGER:
                await self._tag(interaction, editor, dataset, fields)
            case Work.CAPTION:
                picture = await self._pages.alone(editor)
                note = await self._changes.by_hand(interaction, dataset, picture, fields.get("caption", ""))
                await self._go(interaction, address, editor, [note])
            case Work.SEARCH:
                pictures = await self._pages.shown(editor)
                await begin_redraw(interaction)  # a process has to start
                note = await self._changes.searched(interaction, editor, dataset, pictures, fields)
                await self._go(interaction, address, editor, [note])
            case Work.TRIGGER | Work.FRONT | Work.END | Work.REPLACE | Work.COMMON | Work.SORT:
                await self._filled(interaction, address, editor, dataset, Work(address.n), fields)
            case _:
                raise UserFacingError("form_unknown")

    # --- buttons and lists --------------------------------------------------------------------------------------------

    async def _step(self, interaction: Interaction, address: Address, editor: CaptionEditor, dataset: Dataset) -> None:
        match address.n:
            case Step.FILTER | Step.CAPTION:
                await self._form(
                    interaction, address, Work.FILTER if address.n == Step.FILTER else Work.CAPTION, editor
                )
            case Step.UNFILTER:
                await self._go(interaction, address, editor.unfiltered())
            case Step.TAGS | Step.PICTURES:
                cloud = address.n == Step.TAGS
                await self._go(interaction, address, editor.model_copy(update={"cloud": cloud, "tag_page": 0}))
            case Step.MORE_TAGS | Step.TAGS_BEFORE:
                last = (await self._pages.found(editor)).tag_pages - 1
                page = min(editor.tag_page, last) + (1 if address.n == Step.MORE_TAGS else -1)
                await self._go(interaction, address, editor.model_copy(update={"tag_page": min(max(0, page), last)}))
            case Step.CHOOSE_NONE:
                await self._go(interaction, address, editor.model_copy(update={"chosen": ()}))
            case Step.UNDO:
                note = await self._changes.take_back(interaction, dataset)
                await self._go(interaction, address, editor, [note])
            case Step.TAGGER:
                await self._pages.shown(editor)
                texts, taggers = texts_for(str(interaction.locale)), self._tagging.taggers(interaction)
                await interaction.response.send_modal(tagger_form(address.id, taggers, texts))
            case Step.NEXT | Step.BEFORE:
                beside = await self._pages.beside(editor, 1 if address.n == Step.NEXT else -1)
                await self._go(interaction, address, beside)
            case _:
                raise UserFacingError("button_unknown")

    async def _work(
        self, interaction: Interaction, address: Address, editor: CaptionEditor, dataset: Dataset, work: Work | None
    ) -> None:
        if work in OF_CHOSEN and not editor.chosen:
            raise UserFacingError("captions_none_chosen")
        match work:
            case Work.WITH | Work.WITHOUT:
                await self._go(interaction, address, editor.narrowed(with_chosen=work is Work.WITH))
            case Work.REMOVE | Work.DOUBLES | Work.SHORTEN:
                pictures = await self._pages.shown(editor)
                await begin_redraw(interaction)
                operation = _AT_ONCE[work] if work in _AT_ONCE else removing(editor.chosen)
                new = await asyncio.to_thread(changed, pictures, operation)  # a second, of a large data set
                note = await self._changes.bulk(interaction, dataset, pictures, new, work.name.lower())
                rest = editor.model_copy(update={"chosen": ()}) if work is Work.REMOVE else editor
                await self._go(interaction, address, rest, [note])
            case Work.REPLACE | Work.COMMON:
                if work is Work.COMMON:
                    editor = await self._common(address, editor)
                await self._form(interaction, address, work, editor)
            case Work.TRIGGER | Work.FRONT | Work.END | Work.SEARCH | Work.SORT:
                await self._pages.shown(editor)
                await self._form(interaction, address, work, editor)
            case _:
                raise UserFacingError("button_unknown")

    async def _common(self, address: Address, editor: CaptionEditor) -> CaptionEditor:
        """The tags of all are chosen: what the form lists is what its lines stand for, whatever is changed meanwhile.
        Raises UserFacingError: `captions_none_shown`, `captions_none_common`."""
        common = common_of(await self._pages.shown(editor))
        if not common:
            raise UserFacingError("captions_none_common")
        editor = editor.model_copy(update={"chosen": common})
        await self._editors.change(address.id, editor)
        return editor

    # --- forms --------------------------------------------------------------------------------------------------------

    async def _form(self, interaction: Interaction, address: Address, work: Work, editor: CaptionEditor) -> None:
        texts = texts_for(str(interaction.locale))
        picture = await self._pages.alone(editor) if work is Work.CAPTION else None
        await interaction.response.send_modal(editor_form(address.id, work, editor, picture, texts))

    async def _filled(
        self,
        interaction: Interaction,
        address: Address,
        editor: CaptionEditor,
        dataset: Dataset,
        work: Work,
        fields: Mapping[str, str],
    ) -> None:
        pictures = await self._pages.shown(editor)
        operation = operation_of(work, editor, pictures, fields)
        await begin_redraw(interaction)
        new = await asyncio.to_thread(changed, pictures, operation)
        note = await self._changes.bulk(interaction, dataset, pictures, new, work.name.lower())
        if work in (Work.REPLACE, Work.COMMON):
            editor = editor.model_copy(update={"chosen": ()})
        await self._go(interaction, address, editor, [note])

    async def _tag(
        self, interaction: Interaction, editor: CaptionEditor, dataset: Dataset, fields: Mapping[str, str]
    ) -> None:
        pictures, wish = await self._pages.shown(editor), read_tagger(fields)
        if wish.always:
            await self._rules.require(interaction, [write_tags(wish.always)])
        await self._tagging.begin(interaction, dataset, pictures, wish)

    # --- steps --------------------------------------------------------------------------------------------------------

    async def _go(
        self, interaction: Interaction, address: Address, editor: CaptionEditor, notes: Sequence[str] = ()
    ) -> None:
        await begin_redraw(interaction)  # pictures are read and made small
        await self._editors.change(address.id, editor)
        await self._pages.draw(interaction, address.id, editor, notes)

    async def _editor(self, interaction: Interaction, address: Address) -> tuple[CaptionEditor, Dataset]:
        editor = await self._editors.get(address.id, interaction.user.id)
        if editor is None:
            raise UserFacingError("captions_unknown")
        return editor, await self._pages.own(interaction, editor.dataset)


class TaggedCards:
    """Presses on the card of a job that captioned."""

    OPEN, UNDO = 1, 2

    def __init__(self, *, jobs: Jobs, pages: EditorPages, changes: CaptionChanges, desk: CaptionDesk) -> None:
        self._jobs = jobs
        self._pages = pages
        self._changes = changes
        self._desk = desk

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `job_unknown`, `dataset_gone`, `dataset_elsewhere`, those of
        `CaptionChanges.take_back`."""
        job = await self._jobs.get(JobId(address.id))
        if job is None or not isinstance(job.task, Caption) or job.user_id != interaction.user.id:
            raise UserFacingError("job_unknown")
        dataset = await self._pages.own(interaction, job.task.dataset)
        if address.n == self.OPEN:
            await self._desk.open(interaction, dataset)
        elif address.n == self.UNDO:
            await say(interaction, await self._changes.take_back(interaction, dataset, f"{TAGGED}{job.id}"))
        else:
            raise UserFacingError("button_unknown")
