"""Changes of a data set's captions: held to the rules first, kept with what was there before, and taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from bot.domain.captions.editor import CaptionEditor, tags_of
from bot.domain.captions.operations import Operation, adding, listed_tags, rewriting, sorting, triggering
from bot.domain.captions.rules import teachable
from bot.domain.ids import PictureId
from bot.domain.mentions import spoken
from bot.domain.notes import named as listed
from bot.domain.text import clean
from bot.domain.training.datasets import CAPTION_CHARS_MAX, Dataset, Picture
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.datasets import CHANGES_KEPT, Change, Datasets
from bot.studio.captions.cards import Work, change_name
from bot.studio.captions.forms import read_list, read_search, read_sorting
from bot.studio.captions.replacing import Replacer
from bot.studio.datasets.rules import DatasetRules
from bot.ui.client import Interaction
from gpu_worker.language.training.tag_editor import read_tags, write_tags

__all__ = ["CaptionChanges", "Captions", "operation_of"]

Captions = Mapping[PictureId, str | None]


class CaptionChanges:
    """Each method says what it did, in a sentence."""

    def __init__(self, *, datasets: Datasets, replacer: Replacer, rules: DatasetRules) -> None:
        self._datasets = datasets
        self._replacer = replacer
        self._rules = rules

    async def bulk(
        self, interaction: Interaction, dataset: Dataset, pictures: Sequence[Picture], new: Captions, what: str
    ) -> str:
        """Many captions at once: all, or none where one of them may not be. Raises UserFacingError: `captions_long`,
        `captions_refused`."""
        if any(text is not None and len(text) > CAPTION_CHARS_MAX for text in new.values()):
            raise UserFacingError("captions_long", most=CAPTION_CHARS_MAX)
        before = {one.id: tags_of(one) for one in pictures}
        # What only lost tags says nothing that it did not say before.
        said = [text for one, text in new.items() if text and not set(read_tags(text)) <= {*before.get(one, ())}]
        refused = await self._rules.refused(interaction, list(dict.fromkeys(said)))
        refused |= await asyncio.to_thread(lambda: {text for text in set(said) if not teachable(text)})
        if refused:
            names = [one.name for one in pictures if new.get(one.id) in refused]
            raise UserFacingError("captions_refused", n=len(names), names=listed([spoken(name) for name in names]))
        return await self._keep(interaction, dataset, new, what)

    async def searched(
        self,
        interaction: Interaction,
        editor: CaptionEditor,
        dataset: Dataset,
        pictures: Sequence[Picture],
        fields: Mapping[str, str],
    ) -> str:
        """Raises UserFacingError as `read_search`, `Replacer.replaced` and `bulk`."""
        after = await self._replacer.replaced([one.caption or "" for one in pictures], read_search(editor, fields))
        new = {
            one.id: write_tags(tags) or None for one, tags in zip(pictures, after, strict=True) if tags != tags_of(one)
        }
        return await self.bulk(interaction, dataset, pictures, new, "search")

    async def by_hand(self, interaction: Interaction, dataset: Dataset, picture: Picture, typed: str) -> str:
        """Raises UserFacingError as `DatasetRules.require`."""
        # kohya reads a caption's first line alone.
        text = " ".join(clean(typed).text.split())[:CAPTION_CHARS_MAX] or None
        if text == picture.caption:
            return await self._keep(interaction, dataset, {}, "hand")
        if text is not None:
            await self._rules.require(interaction, [text])
        return await self._keep(interaction, dataset, {picture.id: text}, "hand")

    async def take_back(self, interaction: Interaction, dataset: Dataset, what: str | None = None) -> str:
        """The newest change; with `what` that one, if it is. Raises UserFacingError: `captions_undo_none`,
        `captions_undo_later`."""
        changes = await self._datasets.changes(dataset.id)
        if what is not None and changes and changes[0].what != what and any(one.what == what for one in changes):
            raise UserFacingError("captions_undo_later")
        there = bool(changes) and what in (None, changes[0].what)
        change: Change | None = await self._datasets.undo(dataset.id) if there else None
        if change is None:
            raise UserFacingError("captions_undo_none", most=CHANGES_KEPT)
        texts = texts_for(str(interaction.locale))
        return texts("tag_editor.undone", what=change_name(change.what, texts), n=change.pictures)

    async def _keep(self, interaction: Interaction, dataset: Dataset, new: Captions, what: str) -> str:
        n = await self._datasets.set_captions(dataset.id, new, what) if new else 0
        texts = texts_for(str(interaction.locale))
        key = "tag_editor.changed" if n else "tag_editor.unchanged"
        return texts(key, what=change_name(what, texts), n=n)


def operation_of(
    work: Work, editor: CaptionEditor, pictures: Sequence[Picture], fields: Mapping[str, str]
) -> Operation:
    """What a filled form asks for. Raises UserFacingError: `captions_none_chosen`, `captions_no_text`,
    `captions_many_tags`, `captions_number`."""
    # Line by line: an emptied first line says something.
    typed = "\n".join(clean(line).text for line in fields.get("tags", "").splitlines())
    match work:
        case Work.SORT:
            wish = read_sorting(fields)
            return sorting(pictures, wish.by, descending=wish.descending, keep=wish.keep)
        case Work.REPLACE | Work.COMMON:
            if not editor.chosen:
                raise UserFacingError("captions_none_chosen")
            return rewriting(listed_tags(editor.chosen), typed, prepend=fields.get("prepend") == "True")
        case _:
            text = write_tags(read_list(typed))
            if not text:
                raise UserFacingError("captions_no_text")
            return triggering(text) if work is Work.TRIGGER else adding(text, "front" if work is Work.FRONT else "end")
